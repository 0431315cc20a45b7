//! A run, from initial weights to records on disk.

use super::context::{Ending, Event, Flow, Outcome, RunContext};
use super::evaluate::{Evaluated, evaluate_learner};
use super::evaluation::{Evaluation, Prediction};
use super::fit::Training;
use super::size::model_size;
use super::step::StepOptions;
use super::timing::{TIMED_LR, Timed, time_part, time_train_step};
use crate::config::ReadTest;
use crate::data::{BatchReader, Images, contact_sheet};
use crate::error::{Error, Result};
use crate::measure::{Enough, peak_rss_bytes};
use crate::results::{
    FailureReason, FailureRecord, KeptImage, PartSample, PredictionRecord, RunRecord, Spaced, StepPart, surest_mistakes,
};
use crate::weights;

/// Pictures of test images that a run keeps for its report, which has no access to the images.
const KEPT_IMAGES: usize = 24;

/// Maximum height and width of these pictures, in pixels.
const KEPT_IMAGE_SIZE: u32 = 64;

/// Trains and evaluates a model, and writes its records. Resumes from the run's last checkpoint if it has one.
///
/// A run that diverges is not an error: it writes a record that says so.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(context: &RunContext<'_>, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Outcome> {
    context.folder.create()?;
    context.config.precision.within(|| run_in_precision(context, on_event))
}

fn run_in_precision(context: &RunContext<'_>, on_event: &mut dyn FnMut(Event<'_>)) -> Result<Outcome> {
    let mut training = Training::begin(context, on_event)?;
    match train_and_test(&mut training, on_event) {
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

fn train_and_test(training: &mut Training<'_>, on_event: &mut dyn FnMut(Event<'_>)) -> Flow<RunRecord> {
    training.finish(on_event)?;
    let tested = test(training)?;
    on_event(Event::Timing);
    time_parts(training)?;
    Ok(record(training, &tested))
}

/// The results of a trained model on the test set.
struct Tested {
    /// `None` if the test set was not read.
    evaluation: Option<Evaluation>,
    non_ema: Option<Evaluation>,
    /// Peak resident memory of training and testing.
    train_peak_rss_bytes: Option<u64>,
}

/// Evaluates the trained model on the test set, unless the config forbids it; keeps its predictions, pictures of its mistakes, and its weights.
fn test(training: &Training<'_>) -> Flow<Tested> {
    let Training { context, architecture, learner, .. } = training;
    let _turn = context.machine.turn(context.stop)?.ok_or(Ending::Interrupted)?;
    let images = &context.dataset.test;
    let (mut tested, mut non_ema_tested) = (None, None);
    if context.config.train.test == ReadTest::AtEnd {
        let reads = context.config.test_reads(training.position.epochs.len());
        context.folder.count_test_read(context.config.digest_without_seed(), reads)?;
        let Evaluated { evaluation, predictions, non_ema } = evaluate_learner(context, learner, images)?;
        let predictions = prediction_records(images, &predictions);
        context.folder.write_predictions(&predictions)?;
        keep_images(context, &predictions)?;
        (tested, non_ema_tested) = (Some(evaluation), non_ema);
    }
    let train_peak_rss_bytes = peak_rss_bytes();
    // Before timing, whose steps change the weights.
    weights::save(&context.folder.weights_path(), architecture, &learner.result())?;
    Ok(Tested { evaluation: tested, non_ema: non_ema_tested, train_peak_rss_bytes })
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

/// Times the parts of a training step at the recipe's batch size, with exclusive access to the machine. They say what a step's time goes
/// into. Speeds of models come from the timing stage, which times them side by side.
fn time_parts(training: &mut Training<'_>) -> Flow<()> {
    let context = training.context;
    let _alone = context.machine.alone(context.stop)?.ok_or(Ending::Interrupted)?;
    let RunContext { config, dataset, timing_lanes: lanes, .. } = context;
    let batch_size = config.train.batch_size;
    let augmenting = BatchReader::training(&dataset.train, &config.data, config.seed);
    let plain = BatchReader::evaluation(&dataset.train, &config.data);
    let timed = |reader| Timed { images: &dataset.train, reader, batch_size };
    let enough = Enough::of(&config.measure);
    // Fractions of a step need less time than a rate.
    let enough = Enough { min_seconds: enough.min_seconds / 4.0, ..enough };
    let learner = &mut training.learner;
    let mut all = Vec::new();
    for part in [StepPart::Data, StepPart::Forward, StepPart::ForwardBackward, StepPart::Step] {
        context.check_stop()?;
        let samples = match part {
            StepPart::Step => {
                let options = StepOptions::of(&config.train, TIMED_LR);
                time_train_step(learner, lanes, &timed(&plain), options, enough)?
            }
            part => {
                let reader = if part == StepPart::Data { &augmenting } else { &plain };
                time_part(learner, lanes, &timed(reader), part, config.train.gradient_checkpointing, enough)
            }
        };
        all.extend(samples.into_iter().map(|seconds| PartSample { part, batch_size, seconds }));
    }
    context.check_stop()?;
    context.folder.write_parts(&all)?;
    Ok(())
}

/// The record of a complete run.
fn record(training: &Training<'_>, tested: &Tested) -> RunRecord {
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
        test_loss: evaluation.as_ref().map(Evaluation::loss),
        test_top1: evaluation.as_ref().map(Evaluation::top1),
        test_top5: evaluation.as_ref().and_then(|evaluation| evaluation.top5(classes)),
        non_ema_test_loss: non_ema.as_ref().map(Evaluation::loss),
        non_ema_test_top1: non_ema.as_ref().map(Evaluation::top1),
        train_seconds: position.epochs.iter().map(|epoch| epoch.train_seconds).sum(),
        eval_seconds: position.epochs.iter().map(|epoch| epoch.eval_seconds).sum(),
        start_seconds: first_step.map(|step| step.start_seconds),
        first_step_seconds: first_step.map(|step| step.seconds),
        train_peak_rss_bytes: *train_peak_rss_bytes,
        micro_batch: learner.micro_batch(),
        peak_gflop_per_s: None,
        batch_digest: position.batches.to_hex(),
        resumes: position.resumes,
        jobs: context.jobs,
    }
}
