//! The figures of a model, estimated from its runs, each with a 95 % interval.

use crate::results::{ModelRuns, ModelSizeRecord, Run, RunRecord, TimingMode, TimingSummary, by_model};
use crate::stats::{Interval, mean, mean_interval, median_interval, wilson_interval};

/// A figure with its uncertainty.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Estimate {
    /// Mean over the runs.
    pub(crate) value: f64,
    /// 95 % interval: over the runs if there are several (Student's t), within the run if there is one, `None` if it is unknown.
    pub(crate) interval: Option<Interval>,
    /// The figure of each run.
    pub(crate) by_run: Vec<f64>,
}

impl Estimate {
    /// From the figure of each run, and the interval to use if there is only one.
    fn new(by_run: Vec<f64>, within_run: Option<Interval>) -> Option<Self> {
        let value = mean(&by_run).filter(|value| value.is_finite())?;
        let interval = if by_run.len() == 1 { within_run } else { mean_interval(&by_run) };
        Some(Self { value, interval, by_run })
    }

    /// The same with the interval limited to two bounds. If two runs differ much, it would otherwise reach below zero, which no
    /// throughput does.
    fn clamped(self, low: f64, high: f64) -> Self {
        Self { interval: self.interval.map(|interval| interval.clamp(low, high)), ..self }
    }

    /// The figure in another unit.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Self {
            value: factor * self.value,
            interval: self.interval.map(|i| Interval { low: factor * i.low, high: factor * i.high }),
            by_run: self.by_run.iter().map(|value| factor * value).collect(),
        }
    }

    /// Whether the two intervals do not overlap, so that the difference is more than chance.
    pub(crate) fn is_distinguishable_from(&self, other: &Self) -> bool {
        matches!((self.interval, other.interval), (Some(a), Some(b)) if !a.overlaps(&b))
    }

    /// The interval, or the value alone if there is none.
    pub(crate) fn extent(&self) -> Interval {
        self.interval.unwrap_or(Interval { low: self.value, high: self.value })
    }
}

/// A model with all its figures in the report and the plots.
#[derive(Debug, Clone)]
pub(crate) struct ModelFigures<'a> {
    /// Its runs.
    pub(crate) runs: ModelRuns<'a>,
    /// Its size; `None` if no run was completed.
    pub(crate) size: Option<&'a ModelSizeRecord>,
    /// Test accuracy: the fraction of correct predictions.
    pub(crate) top1: Option<Estimate>,
    /// Fraction of test images whose class is among the five most likely, mean over runs.
    pub(crate) top5: Option<f64>,
    /// Training throughput at the largest timed batch, in images per second.
    pub(crate) train_images_per_s: Option<Estimate>,
    /// Inference throughput at the largest timed batch, in images per second.
    pub(crate) inference_images_per_s: Option<Estimate>,
    /// Time of inference on one image, in seconds.
    pub(crate) latency_s: Option<Estimate>,
    /// Time of all training epochs, in seconds.
    pub(crate) train_seconds: Option<Estimate>,
    /// Highest peak resident memory of any run.
    pub(crate) train_peak_rss_bytes: Option<u64>,
}

/// The figures of all models, in the order of the runs.
pub(crate) fn of_models(runs: &[Run]) -> Vec<ModelFigures<'_>> {
    by_model(runs).into_iter().map(of_model).collect()
}

fn of_model(runs: ModelRuns<'_>) -> ModelFigures<'_> {
    let done: Vec<(&Run, &RunRecord)> = runs.done().collect();
    let over_runs = |figure: fn(&RunRecord) -> Option<f64>| {
        let values: Vec<f64> = done.iter().filter_map(|(_, record)| figure(record)).collect();
        mean(&values).filter(|value| value.is_finite())
    };
    ModelFigures {
        size: done.first().map(|(_, record)| &record.model_size),
        top1: top1(&done),
        top5: over_runs(|record| record.test_top5),
        train_images_per_s: throughput(&done, TimingMode::TrainStep),
        inference_images_per_s: throughput(&done, TimingMode::Inference),
        latency_s: latency(&done),
        train_seconds: Estimate::new(done.iter().map(|(_, record)| record.train_seconds).collect(), None)
            .map(|estimate| estimate.clamped(0.0, f64::INFINITY)),
        train_peak_rss_bytes: done.iter().filter_map(|(_, record)| record.train_peak_rss_bytes).max(),
        runs,
    }
}

fn top1(done: &[(&Run, &RunRecord)]) -> Option<Estimate> {
    let accuracies: Vec<f64> = done.iter().map(|(_, record)| record.test_top1).collect();
    let (_, first) = done.first()?;
    let right = (first.test_top1 * first.test_images as f64).round();
    let estimate = Estimate::new(accuracies, wilson_interval(right as u64, first.test_images as u64))?;
    Some(estimate.clamped(0.0, 1.0))
}

fn latency(done: &[(&Run, &RunRecord)]) -> Option<Estimate> {
    let seconds = done.iter().filter_map(|(run, _)| run.latency_s()).collect();
    let within_run = median_interval(&done.first()?.0.seconds(TimingMode::Inference, 1));
    Some(Estimate::new(seconds, within_run)?.clamped(0.0, f64::INFINITY))
}

fn throughput(done: &[(&Run, &RunRecord)], mode: TimingMode) -> Option<Estimate> {
    let timings: Vec<(&Run, &TimingSummary)> =
        done.iter().filter_map(|(run, _)| Some((*run, run.largest_batch_timing(mode)?))).collect();
    let (run, timing) = timings.first()?;
    let batch = timing.batch_size as f64;
    let within_run = median_interval(&run.seconds(mode, timing.batch_size))
        .map(|seconds| Interval { low: batch / seconds.high, high: batch / seconds.low });
    let by_run = timings.iter().map(|(_, timing)| timing.images_per_s()).collect();
    Some(Estimate::new(by_run, within_run)?.clamped(0.0, f64::INFINITY))
}
