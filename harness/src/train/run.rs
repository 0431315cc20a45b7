//! A run from initial weights to records on disk.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Device;

use super::epoch::{EpochStats, Learner, evaluate, train_epoch};
use super::evaluate::{Evaluation, Prediction};
use super::lanes::Lanes;
use super::optimizer;
use super::size::{micro_batch_on, model_size};
use super::step::Diverged;
use super::step::StepOptions;
use super::timing::{TIMED_LR, Timed, peak_gflop_per_s, time_inference, time_train_step};
use crate::architecture::Architecture;
use crate::config::{EvaluateOn, RunConfig};
use crate::data::{BatchReader, Dataset, Images};
use crate::error::Result;
use crate::measure::{Enough, peak_rss_bytes};
use crate::results::{
    EpochRecord, FailureReason, FailureRecord, PredictionRecord, RunFolder, RunIdentity, RunRecord, TimingMode,
    TimingSample,
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
    /// Worker threads.
    pub lanes: &'a Lanes,
    /// Where the records go.
    pub folder: &'a RunFolder,
    /// The records' heads.
    pub identity: RunIdentity,
}

/// What happens during a run, for whoever shows it.
pub enum Event<'a> {
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

/// Training cut short, in an epoch from 1, or 0 before the first.
struct Stopped {
    epoch: usize,
    why: Diverged,
}

/// Trains, evaluates and times one model and leaves its records. A run that diverges leaves a record that says so, which is no
/// error; errors are of files.
pub fn run(context: &RunContext<'_>, on_event: &mut dyn FnMut(Event<'_>)) -> Result<()> {
    context.folder.create()?;
    match train_and_time(context, on_event)? {
        Ok(record) => {
            context.folder.write_done(&record)?;
            on_event(Event::Done(&record));
        }
        Err(Stopped { epoch, why }) => {
            let identity = context.identity.clone();
            let record = FailureRecord { identity, reason: FailureReason::Diverged, message: why.to_string(), epoch };
            context.folder.write_failed(&record)?;
            on_event(Event::Failed(&record));
        }
    }
    Ok(())
}

fn train_and_time(
    context: &RunContext<'_>,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<std::result::Result<RunRecord, Stopped>> {
    let mut learner = new_learner(context)?;
    let trained = match train(context, &mut learner, on_event)? {
        Ok(trained) => trained,
        Err(stopped) => return Ok(Err(stopped)),
    };
    let epochs = trained.epochs;
    let test = evaluate_images(context, &learner, &learner.result(), &context.dataset.test);
    let raw = raw_evaluation(context, &learner, &context.dataset.test);
    let ((evaluation, predictions), raw) = match test.and_then(|test| Ok((test, raw?))) {
        Ok(evaluated) => evaluated,
        Err(why) => return Ok(Err(Stopped { epoch: epochs, why })),
    };
    context.folder.write_predictions(&prediction_records(&context.dataset.test, &predictions))?;
    let train_peak_rss_bytes = peak_rss_bytes();
    let dataset = context.dataset;
    let classes = dataset.classes.len();
    let architecture = context.config.model.architecture.for_images(dataset.image_size, classes);
    // Before timing, whose steps go on training.
    weights::save(&weights::trained_weights(context.folder), &architecture, &learner.result())?;
    on_event(Event::Timing);
    match time(context, &mut learner) {
        Ok(samples) => context.folder.write_timing(&samples)?,
        Err(why) => return Ok(Err(Stopped { epoch: epochs, why })),
    }
    Ok(Ok(RunRecord {
        identity: context.identity.clone(),
        model_size: model_size(&architecture),
        train_images: dataset.train.len(),
        val_images: dataset.val.len(),
        test_images: dataset.test.len(),
        classes,
        test_loss: evaluation.loss(),
        test_top1: evaluation.top1(),
        test_top5: evaluation.top5(classes),
        raw_test_loss: raw.as_ref().map(Evaluation::loss),
        raw_test_top1: raw.as_ref().map(Evaluation::top1),
        train_seconds: trained.train_seconds,
        eval_seconds: trained.eval_seconds,
        train_peak_rss_bytes,
        micro_batch: learner.micro_batch(),
        peak_gflop_per_s: Some(peak_gflop_per_s(context.lanes, context.device)),
        batch_digest: trained.batch_digest,
    }))
}

fn new_learner(context: &RunContext<'_>) -> Result<Learner> {
    let RunContext { config, dataset, .. } = context;
    let classes = dataset.classes.len();
    let architecture = config.model.architecture.for_images(dataset.image_size, classes);
    let device = context.device.clone().autodiff();
    let mut model = architecture.init(config.seed, &device);
    if let Some(init) = &config.model.init {
        // What is adapted was said when the plan was checked.
        (model, _) = weights::load(&init.path, &architecture, model)?;
    }
    let micro_batch = micro_batch_on(config.device, &config.model, &architecture, config.train.batch_size);
    let optimizer = optimizer::build(&config.train.optimizer, config.train.decay, &model);
    let learner = Learner::new(model, optimizer, device, micro_batch, classes);
    Ok(match config.train.ema {
        Some(ema) => learner.with_average(ema),
        None => learner,
    })
}

struct Trained {
    epochs: usize,
    train_seconds: f64,
    eval_seconds: f64,
    batch_digest: String,
}

fn train(
    context: &RunContext<'_>,
    learner: &mut Learner,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<std::result::Result<Trained, Stopped>> {
    let RunContext { config, dataset, lanes, .. } = context;
    let (split, eval_images) = match config.train.evaluate_on {
        EvaluateOn::Test => ("test", &dataset.test),
        EvaluateOn::Val => ("val", &dataset.val),
    };
    let reader = BatchReader::training(&dataset.train, &config.data, config.seed);
    let mut batches = blake3::Hasher::new();
    let mut records: Vec<EpochRecord> = Vec::new();
    for epoch in 0..config.train.epochs {
        let start = Instant::now();
        let trained = train_epoch(
            learner,
            lanes,
            &reader,
            &dataset.train,
            &config.train,
            (config.seed, epoch as u64),
            |stats, digests| {
                for digest in digests {
                    batches.update(digest);
                }
                on_event(Event::Step { epoch: epoch + 1, stats });
            },
        );
        let train_seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let evaluated = trained.and_then(|stats| {
            let (evaluation, _) = evaluate_images(context, learner, &learner.result(), eval_images)?;
            Ok((stats, evaluation, raw_evaluation(context, learner, eval_images)?))
        });
        let eval_seconds = start.elapsed().as_secs_f64();
        let (stats, evaluation, raw) = match evaluated {
            Ok(found) => found,
            Err(why) => return Ok(Err(Stopped { epoch: epoch + 1, why })),
        };
        records.push(EpochRecord {
            epoch: epoch + 1,
            lr: stats.lr,
            train_loss: stats.seen.loss(),
            train_top1: stats.seen.top1(),
            split: split.to_owned(),
            eval_loss: evaluation.loss(),
            eval_top1: evaluation.top1(),
            eval_top5: evaluation.top5(dataset.classes.len()),
            raw_eval_loss: raw.as_ref().map(Evaluation::loss),
            raw_eval_top1: raw.as_ref().map(Evaluation::top1),
            train_seconds,
            eval_seconds,
            train_images_per_s: dataset.train.len() as f64 / train_seconds,
        });
        context.folder.write_epochs(&records)?;
        on_event(Event::Epoch(&records[epoch]));
        if config.train.early_stopping.is_some_and(|early| has_stalled(&records, early.patience)) {
            break;
        }
    }
    Ok(Ok(Trained {
        epochs: records.len(),
        train_seconds: records.iter().map(|record| record.train_seconds).sum(),
        eval_seconds: records.iter().map(|record| record.eval_seconds).sum(),
        batch_digest: batches.finalize().to_hex().to_string(),
    }))
}

/// Whether the best of the epochs lies `patience` epochs back.
fn has_stalled(epochs: &[EpochRecord], patience: usize) -> bool {
    match EpochRecord::best(epochs) {
        Some(best) => epochs.len() >= best.epoch + patience,
        None => false,
    }
}

/// Loss and hits of the weights of the last step, where the model is an average of weights.
fn raw_evaluation(
    context: &RunContext<'_>,
    learner: &Learner,
    images: &Images,
) -> std::result::Result<Option<Evaluation>, Diverged> {
    match learner.averages() {
        true => Ok(Some(evaluate_images(context, learner, &learner.model().valid(), images)?.0)),
        false => Ok(None),
    }
}

fn evaluate_images(
    context: &RunContext<'_>,
    learner: &Learner,
    model: &Architecture,
    images: &Images,
) -> std::result::Result<(Evaluation, Vec<Prediction>), Diverged> {
    let reader = BatchReader::evaluation(images, &context.config.data);
    let sizes = (learner.micro_batch(), learner.classes());
    evaluate(model, context.lanes, &reader, images, sizes, context.device)
}

fn prediction_records(images: &Images, predictions: &[Prediction]) -> Vec<PredictionRecord> {
    let record = |((name, label), prediction): ((&String, &u32), &Prediction)| PredictionRecord {
        image: name.clone(),
        label: *label as usize,
        predicted: prediction.class,
        predicted_probability: prediction.probability,
        label_probability: prediction.label_probability,
    };
    images.names().iter().zip(images.labels()).zip(predictions).map(record).collect()
}

fn time(context: &RunContext<'_>, learner: &mut Learner) -> std::result::Result<Vec<TimingSample>, Diverged> {
    let RunContext { config, dataset, lanes, .. } = context;
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
        let samples =
            time_train_step(learner, lanes, &timed(batch_size), StepOptions::of(&config.train, TIMED_LR), enough)?;
        keep(TimingMode::TrainStep, batch_size, samples);
    }
    let mut sizes = measure.inference_batch_sizes.clone().unwrap_or_else(recipe_batch);
    sizes.push(1);
    sizes.sort_unstable();
    sizes.dedup();
    for batch_size in sizes {
        keep(TimingMode::Inference, batch_size, time_inference(learner, lanes, &timed(batch_size), enough));
    }
    Ok(all)
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
            raw_eval_loss: None,
            raw_eval_top1: None,
            train_seconds: 1.0,
            eval_seconds: 1.0,
            train_images_per_s: 1.0,
        };
        let stalled =
            |top1s: &[f64], patience| has_stalled(&top1s.iter().enumerate().map(epoch).collect::<Vec<_>>(), patience);
        assert!(!stalled(&[], 1) && !stalled(&[0.2], 1));
        assert!(!stalled(&[0.2, 0.3, 0.25], 2) && stalled(&[0.2, 0.3, 0.25, 0.29], 2));
        assert!(stalled(&[0.3, 0.3], 1), "as good is no better");
        assert!(!stalled(&[0.1, f64::NAN, 0.2], 1));
    }
}
