//! The epochs of a run, from its initial weights or from where it was stopped.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use burn::module::Module;

use super::average::WeightAverage;
use super::checkpoint::{Checkpoint, Checkpoints, Position};
use super::epoch::{EpochStart, EpochStats, evaluate, train_epoch};
use super::evaluate::{Evaluation, Prediction};
use super::learner::Learner;
use super::optimizer;
use super::run::{Ending, Event, RunContext};
use super::size::micro_batch_on;
use super::step::Diverged;
use crate::architecture::{Architecture, ArchitectureConfig};
use crate::config::{EarlyStoppingConfig, EvaluateOn};
use crate::data::{BatchReader, Digest, Images};
use crate::error::Result;
use crate::results::EpochRecord;
use crate::weights;

/// A model trained to the end, and how that went.
pub(super) struct Fitted {
    pub learner: Learner,
    pub position: Position,
    /// Seconds from the process's beginning to its first step, and of that step.
    pub first_step: Option<(f64, f64)>,
}

/// The sizes of the run's model on the run's images.
pub(super) fn architecture(context: &RunContext<'_>) -> ArchitectureConfig {
    let RunContext { config, dataset, .. } = context;
    config.model.architecture.for_images(dataset.image_size, dataset.classes.len())
}

/// Trains all epochs, or those that are missing, and leaves a checkpoint after each.
pub(super) fn fit(
    context: &RunContext<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<std::result::Result<Fitted, Ending>> {
    let config = context.config;
    let checkpoints = Checkpoints::of(context.folder, &context.identity.run);
    let found = checkpoints.last(&mut |problem| on_event(Event::Remark(problem)))?;
    let mut learner = learner(context, found.as_ref())?;
    let mut position = match &found {
        Some(checkpoint) => checkpoint.position()?,
        None => Position::default(),
    };
    if found.is_some() {
        // What the checkpoint knows is what the run knows, even if a file was written after it.
        context.folder.write_epochs(&position.epochs)?;
        on_event(Event::Resumed { epoch: position.epochs.len() + 1, steps: position.stats.steps });
    }
    let mut training =
        Training { context, checkpoints, architecture: architecture(context), saved: Instant::now(), first_step: None };
    while position.epochs.len() < config.train.epochs && !has_stalled(config.train.early_stopping, &position.epochs) {
        if let Err(ending) = training.epoch(&mut learner, &mut position, on_event)? {
            return Ok(Err(ending));
        }
    }
    Ok(Ok(Fitted { learner, position, first_step: training.first_step }))
}

/// A model with fresh weights, those of a file, or those of a checkpoint.
fn learner(context: &RunContext<'_>, from: Option<&Checkpoint>) -> Result<Learner> {
    let RunContext { config, dataset, .. } = context;
    let architecture = architecture(context);
    let device = context.device.clone().autodiff();
    let mut model = architecture.init(config.seed, &device);
    if let Some(checkpoint) = from {
        model = checkpoint.model(&architecture, model)?;
    } else if let Some(init) = &config.model.init {
        // What is adapted was said when the plan was checked.
        (model, _) = weights::load(&init.path, &architecture, model)?;
    }
    let average = match (config.train.ema, from) {
        (None, _) => None,
        (Some(ema), None) => Some(WeightAverage::new(ema, &model)),
        (Some(ema), Some(checkpoint)) => Some(checkpoint.average(ema, &architecture, model.valid())?),
    };
    let mut optimizer = optimizer::build(&config.train.optimizer, config.train.decay, &model);
    if let Some(checkpoint) = from {
        optimizer = checkpoint.optimizer(optimizer)?;
    }
    let micro_batch = micro_batch_on(config.device, &config.model, &architecture, config.train.batch_size);
    let learner = Learner::new(model, optimizer, device, micro_batch, dataset.classes.len());
    Ok(match average {
        Some(average) => learner.with_average(average),
        None => learner,
    })
}

/// What the epochs of a run share.
struct Training<'a> {
    context: &'a RunContext<'a>,
    checkpoints: Checkpoints,
    architecture: ArchitectureConfig,
    /// When the last checkpoint was written.
    saved: Instant,
    /// As [`Fitted`] has it.
    first_step: Option<(f64, f64)>,
}

impl Training<'_> {
    /// Trains what is missing of an epoch, evaluates, and leaves record and checkpoint.
    fn epoch(
        &mut self,
        learner: &mut Learner,
        position: &mut Position,
        on_event: &mut dyn FnMut(Event<'_>),
    ) -> Result<std::result::Result<(), Ending>> {
        let context = self.context;
        let RunContext { config, dataset, lanes, machine, .. } = context;
        let epoch = position.epochs.len() + 1;
        let diverged = |why: Diverged| Ok(Err(Ending::Diverged { epoch, why }));
        let reader = BatchReader::training(&dataset.train, &config.data, config.seed);
        let Some(mut turn) = machine.turn(context.stop)? else { return Ok(Err(Ending::Interrupted)) };
        let begun = Instant::now();
        let mut clock = Stopwatch::start(position.epoch_seconds);
        let mut failed = None;
        let made = std::mem::take(&mut position.stats);
        let start = EpochStart { seed: config.seed, epoch: epoch as u64 - 1, made };
        let pass = {
            let on_step = |learner: &Learner, stats: &EpochStats, digests: &[Digest]| {
                self.first_step
                    .get_or_insert_with(|| ((begun - context.started).as_secs_f64(), begun.elapsed().as_secs_f64()));
                position.batches.update(digests.iter().map(AsRef::as_ref));
                on_event(Event::Step { epoch, stats });
                let mut stop = context.stop.load(Ordering::Relaxed);
                let due = self.saved.elapsed() >= context.checkpoint_every;
                if !stop && !due && !turn.is_asked_for() {
                    return ControlFlow::Continue(());
                }
                let pause = Instant::now();
                position.epoch_seconds = clock.seconds();
                position.stats = stats.clone();
                let mut save = || {
                    self.saved = Instant::now();
                    self.checkpoints.save(position, learner, &self.architecture)
                };
                let mut outcome = if stop || due { save() } else { Ok(()) };
                if !stop && outcome.is_ok() {
                    outcome = turn.give_way(context.stop);
                    // The wait may have been long, and ends early if the run is to stop.
                    stop = context.stop.load(Ordering::Relaxed);
                    if stop && outcome.is_ok() {
                        outcome = save();
                    }
                }
                failed = outcome.err();
                clock.leave_out(pause.elapsed());
                if stop || failed.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            train_epoch(learner, lanes, &reader, &dataset.train, &config.train, start, on_step)
        };
        let train_seconds = clock.seconds();
        if let Some(error) = failed {
            return Err(error);
        }
        let stats = match pass {
            Ok(ControlFlow::Continue(stats)) => stats,
            Ok(ControlFlow::Break(())) => return Ok(Err(Ending::Interrupted)),
            Err(why) => return diverged(why),
        };
        let start = Instant::now();
        let (split, images) = match config.train.evaluate_on {
            EvaluateOn::Test => ("test", &dataset.test),
            EvaluateOn::Val => ("val", &dataset.val),
        };
        let Evaluated { evaluation, raw, .. } = match evaluate_images(context, learner, images) {
            Ok(Some(found)) => found,
            Ok(None) => {
                // Taken up again, the epoch has no step left and is evaluated.
                (position.stats, position.epoch_seconds) = (stats, train_seconds);
                self.checkpoints.save(position, learner, &self.architecture)?;
                return Ok(Err(Ending::Interrupted));
            }
            Err(why) => return diverged(why),
        };
        position.epochs.push(EpochRecord {
            epoch,
            lr: stats.lr,
            train_loss: stats.seen.loss(),
            train_top1: stats.seen.top1(),
            split: split.to_owned(),
            eval_loss: evaluation.loss(),
            eval_top1: evaluation.top1(),
            eval_top5: evaluation.top5(dataset.classes.len()),
            non_ema_eval_loss: raw.as_ref().map(Evaluation::loss),
            non_ema_eval_top1: raw.as_ref().map(Evaluation::top1),
            train_seconds,
            eval_seconds: start.elapsed().as_secs_f64(),
            train_images_per_s: dataset.train.len() as f64 / train_seconds,
        });
        position.stats = EpochStats::default();
        position.epoch_seconds = 0.0;
        context.folder.write_epochs(&position.epochs)?;
        self.checkpoints.save(position, learner, &self.architecture)?;
        self.saved = Instant::now();
        on_event(Event::Epoch(&position.epochs[epoch - 1]));
        Ok(if context.stop.load(Ordering::Relaxed) { Err(Ending::Interrupted) } else { Ok(()) })
    }
}

/// Seconds spent, pauses aside.
struct Stopwatch {
    start: Instant,
    before: f64,
    left_out: Duration,
}

impl Stopwatch {
    fn start(before: f64) -> Self {
        Self { start: Instant::now(), before, left_out: Duration::ZERO }
    }

    fn seconds(&self) -> f64 {
        self.before + (self.start.elapsed() - self.left_out).as_secs_f64()
    }

    fn leave_out(&mut self, pause: Duration) {
        self.left_out += pause;
    }
}

/// Whether the recipe stops early and the best of the epochs lies far enough back.
fn has_stalled(early_stopping: Option<EarlyStoppingConfig>, epochs: &[EpochRecord]) -> bool {
    match (early_stopping, EpochRecord::best(epochs)) {
        (Some(early), Some(best)) => epochs.len() >= best.epoch + early.patience,
        _ => false,
    }
}

/// What a learner's model says of images.
pub(super) struct Evaluated {
    pub evaluation: Evaluation,
    /// The verdict on each image.
    pub predictions: Vec<Prediction>,
    /// Loss and hits of the weights of the last step, where the model is an average of weights.
    pub raw: Option<Evaluation>,
}

/// `None` if the run is to stop.
pub(super) fn evaluate_images(
    context: &RunContext<'_>,
    learner: &Learner,
    images: &Images,
) -> std::result::Result<Option<Evaluated>, Diverged> {
    let reader = BatchReader::evaluation(images, &context.config.data);
    let sizes = (learner.micro_batch(), learner.classes());
    let of =
        |model: &Architecture| evaluate(model, context.lanes, &reader, images, sizes, context.device, context.stop);
    let Some((evaluation, predictions)) = of(&learner.result())? else { return Ok(None) };
    let mut raw = None;
    if learner.averages() {
        match of(&learner.model().valid())? {
            Some((evaluation, _)) => raw = Some(evaluation),
            None => return Ok(None),
        }
    }
    Ok(Some(Evaluated { evaluation, predictions, raw }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn training_stalls_when_the_best_epoch_lies_far_enough_back() {
        let epoch = |(index, top1): (usize, &f64)| EpochRecord {
            epoch: index + 1,
            lr: 0.1,
            train_loss: 1.0,
            train_top1: 0.5,
            split: "val".to_owned(),
            eval_loss: 1.0,
            eval_top1: *top1,
            eval_top5: None,
            non_ema_eval_loss: None,
            non_ema_eval_top1: None,
            train_seconds: 1.0,
            eval_seconds: 1.0,
            train_images_per_s: 1.0,
        };
        let stalled = |top1s: &[f64], patience| {
            let epochs: Vec<EpochRecord> = top1s.iter().enumerate().map(epoch).collect();
            has_stalled(Some(EarlyStoppingConfig { patience }), &epochs)
        };
        assert!(!stalled(&[], 1) && !stalled(&[0.2], 1));
        assert!(!stalled(&[0.2, 0.3, 0.25], 2) && stalled(&[0.2, 0.3, 0.25, 0.29], 2));
        assert!(stalled(&[0.3, 0.3], 1), "as good is no better");
        assert!(!stalled(&[0.1, f64::NAN, 0.2], 1));
    }
}
