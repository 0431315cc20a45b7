//! A run, from initial weights to records on disk.

use super::context::{Ending, Event, Flow, Outcome, RunContext};
use super::evaluate::{Evaluated, evaluate_learner};
use super::evaluation::{Evaluation, Prediction};
use super::fit::Training;
use super::learner::Learner;
use super::size::model_size;
use super::step::StepOptions;
use super::timing::{TIMED_LR, Timed, time_inference, time_part, time_train_step};
use crate::data::{BatchReader, Images, contact_sheet};
use crate::error::{Error, Result};
use crate::measure::{Enough, peak_gflop_per_s, peak_rss_bytes};
use crate::results::{
    FailureReason, FailureRecord, KeptImage, PartSample, PredictionRecord, RunRecord, Spaced, StepPart, TimingMode,
    TimingSample, surest_mistakes,
};
use crate::weights;

/// Pictures of test images that a run keeps for its report, which has no access to the images.
const KEPT_IMAGES: usize = 24;

/// Maximum height and width of these pictures, in pixels.
const KEPT_IMAGE_SIZE: u32 = 64;

/// Trains, evaluates and times a model, and writes its records. Resumes from the run's last checkpoint if it has one.
///
/// A run that diverges is not an error: it writes a record that says so.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(context: &RunContext<'_>, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Outcome> {
    context.folder.create()?;
    let mut training = Training::begin(context, on_event)?;
    match train_and_time(&mut training, on_event) {
        Ok(record) => {
            context.folder.write_done(&record)?;
            training.clear_checkpoints()?;
            on_event(Event::Done(&record));
            Ok(Outcome::Recorded)
        }
        Err(Ending::Diverged(why)) => {
            let record = FailureRecord {
                identity: context.identity.clone(),
                reason: FailureReason::Diverged,
                message: why.to_string(),
                epoch: training.epoch(),
            };
            context.folder.write_failed(&record)?;
            on_event(Event::Failed(&record));
            Ok(Outcome::Recorded)
        }
        Err(Ending::Interrupted) => Ok(Outcome::Interrupted),
        Err(Ending::Error(error)) => Err(error),
    }
}

fn train_and_time(training: &mut Training<'_>, on_event: &mut dyn FnMut(Event<'_>)) -> Flow<RunRecord> {
    training.finish(on_event)?;
    let tested = test(training)?;
    on_event(Event::Timing);
    let peak_gflop_per_s = time(training)?;
    Ok(record(training, &tested, peak_gflop_per_s))
}

/// The results of a trained model on the test set.
struct Tested {
    evaluation: Evaluation,
    non_ema: Option<Evaluation>,
    /// Peak resident memory of training and testing.
    train_peak_rss_bytes: Option<u64>,
}

/// Evaluates the trained model on the test set; keeps its predictions, pictures of its mistakes, and its weights.
fn test(training: &Training<'_>) -> Flow<Tested> {
    let Training { context, architecture, learner, .. } = training;
    let _turn = context.machine.turn(context.stop)?.ok_or(Ending::Interrupted)?;
    let images = &context.dataset.test;
    let Evaluated { evaluation, predictions, non_ema } = evaluate_learner(context, learner, images)?;
    let predictions = prediction_records(images, &predictions);
    context.folder.write_predictions(&predictions)?;
    keep_images(context, &predictions)?;
    let train_peak_rss_bytes = peak_rss_bytes();
    // Before timing, whose steps change the weights.
    weights::save(&weights::trained_weights(context.folder), architecture, &learner.result())?;
    Ok(Tested { evaluation, non_ema, train_peak_rss_bytes })
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

/// Keeps pictures of the most confident mistakes, unless the config turns that off.
fn keep_images(context: &RunContext<'_>, predictions: &[PredictionRecord]) -> Result<()> {
    let images = &context.dataset.test;
    let kept = surest_mistakes(predictions, KEPT_IMAGES);
    if !context.config.data.keeps_images() || kept.is_empty() {
        return Ok(());
    }
    let record = |position: &usize| KeptImage { position: *position, image: images.names()[*position].clone() };
    let png = contact_sheet(images, &kept, KEPT_IMAGE_SIZE).map_err(|error| {
        Error::io("encode", &context.folder.path().join("images.png"))(std::io::Error::other(error))
    })?;
    context.folder.write_images(&kept.iter().map(record).collect::<Vec<_>>(), &png)
}

/// Times the trained model with exclusive access to the machine. Returns the machine's peak rate, in GFLOP/s.
fn time(training: &mut Training<'_>) -> Flow<f64> {
    let context = training.context;
    let _alone = context.machine.alone(context.stop)?.ok_or(Ending::Interrupted)?;
    let parts = time_parts(context, &training.learner)?;
    let samples = time_steps(context, &mut training.learner)?;
    context.folder.write_parts(&parts)?;
    context.folder.write_timing(&samples)?;
    Ok(peak_gflop_per_s(context.timing_lanes, context.device))
}

/// Times the parts of a training step at the recipe's batch size.
fn time_parts(context: &RunContext<'_>, learner: &Learner) -> Flow<Vec<PartSample>> {
    let RunContext { config, dataset, timing_lanes: lanes, .. } = context;
    let batch_size = config.train.batch_size;
    let training = BatchReader::training(&dataset.train, &config.data, config.seed);
    let plain = BatchReader::evaluation(&dataset.train, &config.data);
    let timed = |reader| Timed { images: &dataset.train, reader, batch_size };
    let enough = Enough::of(&config.measure);
    // A quarter of the time of a whole step's figure is enough for the fractions of a step.
    let enough = Enough { min_seconds: enough.min_seconds / 4.0, ..enough };
    let mut all = Vec::new();
    for part in [StepPart::Data, StepPart::Forward, StepPart::ForwardBackward] {
        context.check_stop()?;
        let reader = if part == StepPart::Data { &training } else { &plain };
        let samples = time_part(learner, lanes, &timed(reader), part, config.train.gradient_checkpointing, enough);
        all.extend(samples.into_iter().map(|seconds| PartSample { part, batch_size, seconds }));
    }
    Ok(all)
}

/// Times whole training steps and inference at the batch sizes of the config, and inference of one image.
fn time_steps(context: &RunContext<'_>, learner: &mut Learner) -> Flow<Vec<TimingSample>> {
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
    for batch_size in measure.train_batch_sizes.clone().unwrap_or_else(recipe_batch) {
        context.check_stop()?;
        let options = StepOptions::of(&config.train, TIMED_LR);
        let samples = time_train_step(learner, lanes, &timed(batch_size), options, enough)?;
        keep(TimingMode::TrainStep, batch_size, samples);
    }
    let mut sizes = measure.inference_batch_sizes.clone().unwrap_or_else(recipe_batch);
    sizes.push(1);
    sizes.sort_unstable();
    sizes.dedup();
    for batch_size in sizes {
        context.check_stop()?;
        keep(TimingMode::Inference, batch_size, time_inference(learner, lanes, &timed(batch_size), enough));
    }
    context.check_stop()?;
    Ok(all)
}

/// The record of a complete run.
fn record(training: &Training<'_>, tested: &Tested, peak_gflop_per_s: f64) -> RunRecord {
    let Training { context, architecture, learner, position, first_step, .. } = training;
    let Tested { evaluation, non_ema, train_peak_rss_bytes } = tested;
    let dataset = context.dataset;
    let classes = dataset.classes.len();
    RunRecord {
        identity: context.identity.clone(),
        model_size: model_size(architecture),
        train_images: dataset.train.len(),
        val_images: dataset.val.len(),
        test_images: dataset.test.len(),
        classes,
        class_names: dataset.classes.clone(),
        test_loss: evaluation.loss(),
        test_top1: evaluation.top1(),
        test_top5: evaluation.top5(classes),
        non_ema_test_loss: non_ema.as_ref().map(Evaluation::loss),
        non_ema_test_top1: non_ema.as_ref().map(Evaluation::top1),
        train_seconds: position.epochs.iter().map(|epoch| epoch.train_seconds).sum(),
        eval_seconds: position.epochs.iter().map(|epoch| epoch.eval_seconds).sum(),
        start_seconds: first_step.map(|step| step.start_seconds),
        first_step_seconds: first_step.map(|step| step.seconds),
        train_peak_rss_bytes: *train_peak_rss_bytes,
        micro_batch: learner.micro_batch(),
        peak_gflop_per_s: Some(peak_gflop_per_s),
        batch_digest: position.batches.to_hex(),
        resumes: position.resumes,
        jobs: context.jobs,
    }
}
