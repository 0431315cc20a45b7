//! The epochs of a run, from its initial weights or its last checkpoint.

use std::time::{Duration, Instant};

use burn::module::Module;

use super::average::WeightAverage;
use super::checkpoint::{Checkpoint, Checkpoints};
use super::context::{Ending, Event, Flow, RunContext};
use super::epoch::{EpochStart, train_epoch};
use super::evaluate::{Evaluated, evaluate_learner};
use super::evaluation::Evaluation;
use super::learner::Learner;
use super::optimizer;
use super::position::{EpochStats, Position};
use super::size::micro_batch_on;
use crate::architecture::ArchitectureConfig;
use crate::config::{EarlyStoppingConfig, EvaluateOn};
use crate::data::{BatchReader, Digest};
use crate::error::Result;
use crate::measure::Turn;
use crate::results::EpochRecord;
use crate::weights;

/// A model in training.
pub(super) struct Training<'a> {
    pub(super) context: &'a RunContext<'a>,
    pub(super) architecture: ArchitectureConfig,
    pub(super) learner: Learner,
    pub(super) position: Position,
    pub(super) first_step: Option<FirstStep>,
    checkpoints: Checkpoints,
    /// When the last checkpoint was written.
    saved: Instant,
}

/// When the first step of this process began and how long it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstStep {
    /// Seconds from the beginning of the run to the step.
    pub(super) start_seconds: f64,
    /// Seconds that the step took.
    pub(super) seconds: f64,
}

impl<'a> Training<'a> {
    /// Makes the model, or restores it from the run's last checkpoint.
    pub(super) fn begin(context: &'a RunContext<'a>, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Self> {
        let checkpoints = Checkpoints::of(context.folder, &context.identity.run);
        let found = checkpoints.last(&mut |problem| on_event(Event::Remark(problem)))?;
        let architecture = context.architecture();
        let learner = learner(context, &architecture, found.as_ref())?;
        let position = match &found {
            Some(checkpoint) => checkpoint.position()?,
            None => Position::default(),
        };
        if found.is_some() {
            // The run resumes from the checkpoint, even if a file was written after it.
            context.folder.write_epochs(&position.epochs)?;
            on_event(Event::Resumed { epoch: position.epochs.len() + 1, steps: position.stats.steps });
        }
        Ok(Self { context, architecture, learner, position, first_step: None, checkpoints, saved: Instant::now() })
    }

    /// Trains the remaining epochs and writes a checkpoint after each.
    pub(super) fn finish(&mut self, on_event: &mut dyn FnMut(Event<'_>)) -> Flow<()> {
        while !self.is_finished() {
            let mut turn = self.context.machine.turn(self.context.stop)?.ok_or(Ending::Interrupted)?;
            self.train(&mut turn, on_event)?;
            let start = Instant::now();
            let evaluated = self.evaluate()?;
            self.record(&evaluated, start)?;
            on_event(Event::Epoch(self.position.epochs.last().expect("an epoch was just recorded")));
            self.context.check_stop()?;
        }
        Ok(())
    }

    /// The epoch in progress, from 1; the last one when all are complete.
    pub(super) fn epoch(&self) -> usize {
        self.position.epochs.len() + usize::from(!self.is_finished())
    }

    fn is_finished(&self) -> bool {
        let recipe = &self.context.config.train;
        self.position.epochs.len() >= recipe.epochs || has_stalled(recipe.early_stopping, &self.position.epochs)
    }

    /// Trains the remaining steps of the epoch in progress. Pauses while another process times, and writes checkpoints when they are due.
    fn train(&mut self, turn: &mut Turn<'_>, on_event: &mut dyn FnMut(Event<'_>)) -> Flow<()> {
        let Self { context, architecture, learner, position, first_step, checkpoints, saved } = self;
        let context = *context;
        let RunContext { config, dataset, lanes, .. } = context;
        let epoch = position.epochs.len() + 1;
        let reader = BatchReader::training(&dataset.train, &config.data, config.seed);
        let begun = Instant::now();
        let mut clock = Stopwatch::start(position.epoch_seconds);
        let made = std::mem::take(&mut position.stats);
        let start = EpochStart { seed: config.seed, epoch: epoch as u64 - 1, made };
        let on_step = |learner: &Learner, stats: &EpochStats, digests: &[Digest]| {
            first_step.get_or_insert_with(|| FirstStep {
                start_seconds: (begun - context.started).as_secs_f64(),
                seconds: begun.elapsed().as_secs_f64(),
            });
            position.batches.update(digests.iter().map(AsRef::as_ref));
            on_event(Event::Step { epoch, stats });
            let mut stopped = context.is_stopped();
            let due = saved.elapsed() >= context.checkpoint_every;
            if !stopped && !due && !turn.is_requested() {
                return Ok(());
            }
            let pause = Instant::now();
            position.epoch_seconds = clock.seconds();
            position.stats = stats.clone();
            let mut save = || {
                *saved = Instant::now();
                checkpoints.save(position, learner, architecture)
            };
            if !stopped {
                if due {
                    save()?;
                }
                // The wait may be long, and a stop ends it.
                turn.give_way(context.stop)?;
                stopped = context.is_stopped();
            }
            if stopped {
                save()?;
                return Err(Ending::Interrupted);
            }
            clock.leave_out(pause.elapsed());
            Ok(())
        };
        position.stats = train_epoch(learner, lanes, &reader, &dataset.train, &config.train, start, on_step)?;
        position.epoch_seconds = clock.seconds();
        Ok(())
    }

    /// Evaluates the model after the last step of an epoch.
    fn evaluate(&self) -> Flow<Evaluated> {
        let dataset = self.context.dataset;
        let images = match self.context.config.train.evaluate_on {
            EvaluateOn::Test => &dataset.test,
            EvaluateOn::Val => &dataset.val,
        };
        let evaluated = evaluate_learner(self.context, &self.learner, images);
        if let Err(Ending::Interrupted) = evaluated {
            // The resumed run finds no step left in this epoch and evaluates it.
            self.checkpoints.save(&self.position, &self.learner, &self.architecture)?;
        }
        evaluated
    }

    /// Records an epoch whose evaluation began at `start`, and writes a checkpoint.
    fn record(&mut self, evaluated: &Evaluated, start: Instant) -> Result<()> {
        let Self { context, architecture, learner, position, .. } = self;
        let RunContext { config, dataset, .. } = context;
        let split = match config.train.evaluate_on {
            EvaluateOn::Test => "test",
            EvaluateOn::Val => "val",
        };
        let Evaluated { evaluation, non_ema, .. } = evaluated;
        let EpochStats { seen, lr, .. } = std::mem::take(&mut position.stats);
        let train_seconds = std::mem::take(&mut position.epoch_seconds);
        position.epochs.push(EpochRecord {
            epoch: position.epochs.len() + 1,
            lr,
            train_loss: seen.loss(),
            train_top1: seen.top1(),
            split: split.to_owned(),
            eval_loss: evaluation.loss(),
            eval_top1: evaluation.top1(),
            eval_top5: evaluation.top5(dataset.classes.len()),
            non_ema_eval_loss: non_ema.as_ref().map(Evaluation::loss),
            non_ema_eval_top1: non_ema.as_ref().map(Evaluation::top1),
            train_seconds,
            eval_seconds: start.elapsed().as_secs_f64(),
            train_images_per_s: dataset.train.len() as f64 / train_seconds,
        });
        context.folder.write_epochs(&position.epochs)?;
        self.checkpoints.save(position, learner, architecture)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// Deletes the checkpoints of a complete run.
    pub(super) fn clear_checkpoints(&self) -> Result<()> {
        self.checkpoints.clear_all()
    }
}

/// A model with random initialisation, with the weights of a file, or with those of a checkpoint.
fn learner(context: &RunContext<'_>, architecture: &ArchitectureConfig, from: Option<&Checkpoint>) -> Result<Learner> {
    let RunContext { config, dataset, .. } = context;
    let device = context.device.clone().autodiff();
    let mut model = architecture.init(config.seed, &device);
    if let Some(checkpoint) = from {
        model = checkpoint.model(architecture, model)?;
    } else if let Some(init) = &config.model.init {
        // What had to be adapted was reported when the plan was checked.
        (model, _) = weights::load(&init.path, architecture, model)?;
    }
    let average = match (config.train.ema, from) {
        (None, _) => None,
        (Some(ema), None) => Some(WeightAverage::new(ema, &model)),
        (Some(ema), Some(checkpoint)) => Some(checkpoint.average(ema, architecture, model.valid())?),
    };
    let mut optimizer = optimizer::build(&config.train.optimizer, config.train.decay, architecture, &model);
    if let Some(checkpoint) = from {
        optimizer = checkpoint.optimizer(optimizer)?;
    }
    let micro_batch = micro_batch_on(config.device, &config.model, architecture, config.train.batch_size);
    let learner = Learner::new(model, optimizer, device, micro_batch, dataset.classes.len());
    Ok(match average {
        Some(average) => learner.with_average(average),
        None => learner,
    })
}

/// Measures time, leaving out pauses.
struct Stopwatch {
    start: Instant,
    before: f64,
    left_out: Duration,
}

impl Stopwatch {
    /// Starts at `before` seconds.
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

/// Whether the recipe stops early and the best epoch lies far enough back.
fn has_stalled(early_stopping: Option<EarlyStoppingConfig>, epochs: &[EpochRecord]) -> bool {
    match (early_stopping, EpochRecord::best(epochs)) {
        (Some(early), Some(best)) => epochs.len() >= best.epoch + early.patience,
        _ => false,
    }
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
        assert!(stalled(&[0.3, 0.3], 1), "an equal accuracy is no improvement");
        assert!(!stalled(&[0.1, f64::NAN, 0.2], 1));
    }
}
