//! A run from initial weights to records on disk.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::Device;

use super::checkpoint::Checkpoints;
use super::epoch::EpochStats;
use super::evaluate::{Evaluation, Prediction};
use super::fit::{Evaluated, Fitted, architecture, evaluate_images, fit};
use super::kept::keep_images;
use super::learner::Learner;
use super::size::model_size;
use super::step::{Diverged, StepOptions};
use super::timing::{TIMED_LR, Timed, time_inference, time_part, time_train_step};
use crate::config::RunConfig;
use crate::data::{BatchReader, Dataset, Images};
use crate::error::Result;
use crate::lanes::Lanes;
use crate::measure::{Enough, Machine, peak_gflop_per_s, peak_rss_bytes};
use crate::results::{
    EpochRecord, FailureReason, FailureRecord, PartSample, PredictionRecord, RunFolder, RunIdentity, RunRecord, Spaced,
    StepPart, TimingMode, TimingSample,
};
use crate::weights;

/// What a run needs.
pub struct RunContext<'a> {
    /// Model, recipe, seed.
    pub config: &'a RunConfig,
    /// The images, shared by all runs of a plan.
    pub dataset: &'a Dataset,
    /// Where to compute, without autodiff.
    pub device: &'a Device,
    /// Worker threads of training.
    pub lanes: &'a Lanes,
    /// Worker threads of what is timed: all of the machine's that the plan was given, even if several runs train at once.
    pub timing_lanes: &'a Lanes,
    /// Kept from others while something is timed.
    pub machine: &'a Machine,
    /// Runs that train at once.
    pub jobs: usize,
    /// Set when the run is to leave a checkpoint and end.
    pub stop: &'a AtomicBool,
    /// Greatest time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Where the records go.
    pub folder: &'a RunFolder,
    /// The records' heads.
    pub identity: RunIdentity,
    /// When the run began: before its images were read, if it reads them itself.
    pub started: Instant,
}

/// What happens during a run, for whoever shows it.
pub enum Event<'a> {
    /// Something that the run's log should say.
    Remark(&'a str),
    /// The run goes on where it was stopped: in an epoch from 1, after some of its steps.
    Resumed {
        /// The epoch.
        epoch: usize,
        /// Its steps that are made already.
        steps: usize,
    },
    /// A training step was made.
    Step {
        /// The epoch in work, from 1.
        epoch: usize,
        /// What the epoch has seen so far.
        stats: &'a EpochStats,
    },
    /// An epoch is trained and evaluated.
    Epoch(&'a EpochRecord),
    /// Training is over, timing begins.
    Timing,
    /// The run is complete.
    Done(&'a RunRecord),
    /// The run ended before its time.
    Failed(&'a FailureRecord),
}

/// Why a run ended before its record.
pub(super) enum Ending {
    /// The numbers left the range of floats, in an epoch from 1.
    Diverged { epoch: usize, why: Diverged },
    /// It was asked to stop, and left a checkpoint.
    Interrupted,
}

/// What became of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has a record: of its completion or of its failure.
    Recorded,
    /// It was asked to stop and can be taken up again.
    Interrupted,
}

/// Trains, evaluates and times one model and leaves its records; goes on from the run's last checkpoint, if it has one. A run that
/// diverges leaves a record that says so, which is no error; errors are of files.
pub fn run(context: &RunContext<'_>, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Outcome> {
    context.folder.create()?;
    match train_and_time(context, on_event)? {
        Ok(record) => {
            context.folder.write_done(&record)?;
            Checkpoints::of(context.folder, &context.identity.run).clear_all()?;
            on_event(Event::Done(&record));
            Ok(Outcome::Recorded)
        }
        Err(Ending::Diverged { epoch, why }) => {
            let identity = context.identity.clone();
            let record = FailureRecord { identity, reason: FailureReason::Diverged, message: why.to_string(), epoch };
            context.folder.write_failed(&record)?;
            on_event(Event::Failed(&record));
            Ok(Outcome::Recorded)
        }
        Err(Ending::Interrupted) => Ok(Outcome::Interrupted),
    }
}

fn train_and_time(
    context: &RunContext<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<std::result::Result<RunRecord, Ending>> {
    let Fitted { mut learner, position, first_step } = match fit(context, on_event)? {
        Ok(fitted) => fitted,
        Err(ending) => return Ok(Err(ending)),
    };
    let epochs = &position.epochs;
    let diverged = |why| Ok(Err(Ending::Diverged { epoch: epochs.len(), why }));
    let Some(turn) = context.machine.turn(context.stop)? else { return Ok(Err(Ending::Interrupted)) };
    let Evaluated { evaluation, predictions, raw } = match evaluate_images(context, &learner, &context.dataset.test) {
        Ok(Some(evaluated)) => evaluated,
        Ok(None) => return Ok(Err(Ending::Interrupted)),
        Err(why) => return diverged(why),
    };
    context.folder.write_predictions(&prediction_records(&context.dataset.test, &predictions))?;
    keep_images(context, &predictions)?;
    let train_peak_rss_bytes = peak_rss_bytes();
    let dataset = context.dataset;
    let classes = dataset.classes.len();
    let architecture = architecture(context);
    // Before timing, whose steps go on training.
    weights::save(&weights::trained_weights(context.folder), &architecture, &learner.result())?;
    drop(turn);
    on_event(Event::Timing);
    let Some(alone) = context.machine.alone(context.stop)? else { return Ok(Err(Ending::Interrupted)) };
    let parts = time_parts(context, &learner);
    let timed = match time(context, &mut learner) {
        Ok(timed) => timed,
        Err(why) => return diverged(why),
    };
    let (Some(parts), Some(samples)) = (parts, timed) else { return Ok(Err(Ending::Interrupted)) };
    context.folder.write_parts(&parts)?;
    context.folder.write_timing(&samples)?;
    let peak_gflop_per_s = Some(peak_gflop_per_s(context.timing_lanes, context.device));
    drop(alone);
    Ok(Ok(RunRecord {
        identity: context.identity.clone(),
        model_size: model_size(&architecture),
        train_images: dataset.train.len(),
        val_images: dataset.val.len(),
        test_images: dataset.test.len(),
        classes,
        class_names: dataset.classes.clone(),
        test_loss: evaluation.loss(),
        test_top1: evaluation.top1(),
        test_top5: evaluation.top5(classes),
        non_ema_test_loss: raw.as_ref().map(Evaluation::loss),
        non_ema_test_top1: raw.as_ref().map(Evaluation::top1),
        train_seconds: epochs.iter().map(|record| record.train_seconds).sum(),
        eval_seconds: epochs.iter().map(|record| record.eval_seconds).sum(),
        start_seconds: first_step.map(|(start, _)| start),
        first_step_seconds: first_step.map(|(_, step)| step),
        train_peak_rss_bytes,
        micro_batch: learner.micro_batch(),
        peak_gflop_per_s,
        batch_digest: position.batches.to_hex(),
        resumes: position.resumes,
        jobs: context.jobs,
    }))
}

fn prediction_records(images: &Images, predictions: &[Prediction]) -> Vec<PredictionRecord> {
    let record = |((name, label), prediction): ((&String, &u32), &Prediction)| PredictionRecord {
        image: name.clone(),
        label: *label as usize,
        predicted: prediction.class,
        predicted_probability: prediction.probability,
        label_probability: prediction.label_probability,
        top5: Spaced(prediction.top5.iter().map(|(class, _)| *class).collect()),
        top5_probabilities: Spaced(prediction.top5.iter().map(|(_, probability)| *probability).collect()),
    };
    images.names().iter().zip(images.labels()).zip(predictions).map(record).collect()
}

/// The parts of a training step on a batch of the recipe's; `None` if the run is to stop.
fn time_parts(context: &RunContext<'_>, learner: &Learner) -> Option<Vec<PartSample>> {
    let RunContext { config, dataset, timing_lanes: lanes, .. } = context;
    let batch_size = config.train.batch_size;
    let training = BatchReader::training(&dataset.train, &config.data, config.seed);
    let plain = BatchReader::evaluation(&dataset.train, &config.data);
    let timed = |reader| Timed { images: &dataset.train, reader, batch_size };
    let enough = Enough::of(&config.measure);
    // Shares of a step need no more than a quarter of the time that its own figure takes.
    let enough = Enough { min_seconds: enough.min_seconds / 4.0, ..enough };
    let mut all = Vec::new();
    for part in [StepPart::Data, StepPart::Forward, StepPart::ForwardBackward] {
        if context.stop.load(Ordering::Relaxed) {
            return None;
        }
        let reader = if part == StepPart::Data { &training } else { &plain };
        let samples = time_part(learner, lanes, &timed(reader), part, config.train.gradient_checkpointing, enough);
        all.extend(samples.into_iter().map(|seconds| PartSample { part, batch_size, seconds }));
    }
    Some(all)
}

/// Whole steps; `None` if the run is to stop.
fn time(context: &RunContext<'_>, learner: &mut Learner) -> std::result::Result<Option<Vec<TimingSample>>, Diverged> {
    let RunContext { config, dataset, timing_lanes: lanes, .. } = context;
    let measure = &config.measure;
    let enough = Enough::of(measure);
    let reader = BatchReader::evaluation(&dataset.train, &config.data);
    let timed = |batch_size| Timed { images: &dataset.train, reader: &reader, batch_size };
    let recipe_batch = || vec![config.train.batch_size];
    let mut all = Vec::new();
    let mut keep = |mode, batch_size, samples: Vec<f64>| {
        all.extend(samples.into_iter().map(|seconds| TimingSample { mode, batch_size, seconds }));
    };
    let stop = || context.stop.load(Ordering::Relaxed);
    for batch_size in measure.train_batch_sizes.clone().unwrap_or_else(recipe_batch) {
        if stop() {
            return Ok(None);
        }
        let samples =
            time_train_step(learner, lanes, &timed(batch_size), StepOptions::of(&config.train, TIMED_LR), enough)?;
        keep(TimingMode::TrainStep, batch_size, samples);
    }
    let mut sizes = measure.inference_batch_sizes.clone().unwrap_or_else(recipe_batch);
    sizes.push(1);
    sizes.sort_unstable();
    sizes.dedup();
    for batch_size in sizes {
        if stop() {
            return Ok(None);
        }
        keep(TimingMode::Inference, batch_size, time_inference(learner, lanes, &timed(batch_size), enough));
    }
    Ok((!stop()).then_some(all))
}
