//! The figures of a model, estimated from its runs, each with a 95 % interval.

use crate::results::{
    ModelRuns, ModelSizeRecord, Run, RunRecord, Stage, ThroughputRow, TimingMode, by_model, run_throughput,
    stage_throughput,
};
use crate::stats::{Interval, mean, mean_interval, wilson_interval};

/// A figure with its uncertainty.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Estimate {
    /// Mean over the runs.
    pub(crate) value: f64,
    /// 95 % interval: over three or more runs (Student's t), within the run if there is one, `None` if it is unknown.
    pub(crate) interval: Option<Interval>,
    /// The figure of each run.
    pub(crate) by_run: Vec<f64>,
}

impl Estimate {
    /// From the figure of each run, and the interval to use if there is only one.
    fn new(by_run: Vec<f64>, within_run: Option<Interval>) -> Option<Self> {
        let value = mean(&by_run).filter(|value| value.is_finite())?;
        let interval = match by_run.len() {
            1 => within_run,
            // Student's interval over two runs is 9 times as wide as their standard deviation: it says nothing, and dots say more.
            2 => None,
            _ => mean_interval(&by_run),
        };
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
    /// What was timed: side by side, or if that was not done, by its runs.
    pub(crate) throughput: Vec<ThroughputRow>,
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

impl ModelFigures<'_> {
    /// What was timed in a mode at its largest batch: the throughput that the machine can reach.
    pub(crate) fn largest(&self, mode: TimingMode) -> Option<&ThroughputRow> {
        self.throughput.iter().filter(|row| row.mode == mode).max_by_key(|row| row.batch_size)
    }

    /// What was timed on one image.
    pub(crate) fn latency(&self) -> Option<&ThroughputRow> {
        self.throughput.iter().find(|row| (row.mode, row.batch_size) == (TimingMode::Inference, 1))
    }
}

/// The figures of all models, in the order of the runs.
pub(crate) fn of_models<'a>(runs: &'a [Run], stage: &Stage) -> Vec<ModelFigures<'a>> {
    by_model(runs).into_iter().map(|model| of_model(model, stage)).collect()
}

fn of_model<'a>(runs: ModelRuns<'a>, stage: &Stage) -> ModelFigures<'a> {
    let done: Vec<(&Run, &RunRecord)> = runs.done().collect();
    let over_runs = |figure: fn(&RunRecord) -> Option<f64>| {
        let values: Vec<f64> = done.iter().filter_map(|(_, record)| figure(record)).collect();
        mean(&values).filter(|value| value.is_finite())
    };
    let mut throughput = stage_throughput(runs.model, stage);
    if throughput.is_empty() {
        throughput = run_throughput(&runs);
    }
    let largest = |mode| throughput.iter().filter(|row| row.mode == mode).max_by_key(|row| row.batch_size).map(rate);
    let latency = throughput.iter().find(|row| (row.mode, row.batch_size) == (TimingMode::Inference, 1));
    ModelFigures {
        size: done.first().map(|(_, record)| &record.model_size),
        top1: top1(&done),
        top5: over_runs(|record| record.test_top5),
        train_images_per_s: largest(TimingMode::TrainStep),
        inference_images_per_s: largest(TimingMode::Inference),
        latency_s: latency.map(|row| seconds(&rate(row))),
        train_seconds: train_seconds(&done),
        train_peak_rss_bytes: done.iter().filter_map(|(_, record)| record.train_peak_rss_bytes).max(),
        throughput,
        runs,
    }
}

fn top1(done: &[(&Run, &RunRecord)]) -> Option<Estimate> {
    let accuracies: Vec<f64> = done.iter().filter_map(|(_, record)| record.test_top1).collect();
    let (_, first) = done.first()?;
    let right = (accuracies.first()? * first.test_images as f64).round();
    let estimate = Estimate::new(accuracies, wilson_interval(right as u64, first.test_images as u64))?;
    Some(estimate.clamped(0.0, 1.0))
}

/// The interval is on the log scale, so that it does not reach below zero.
fn train_seconds(done: &[(&Run, &RunRecord)]) -> Option<Estimate> {
    let by_run: Vec<f64> = done.iter().map(|(_, record)| record.train_seconds).collect();
    let logs: Vec<f64> = by_run.iter().map(|seconds| seconds.ln()).collect();
    let estimate = Estimate::new(by_run, None)?;
    let interval = if logs.len() > 2 { mean_interval(&logs).map(|logs| logs.exp()) } else { None };
    Some(Estimate { interval, ..estimate })
}

fn rate(row: &ThroughputRow) -> Estimate {
    let interval = row.low.zip(row.high).map(|(low, high)| Interval { low, high });
    Estimate { value: row.images_per_s, interval, by_run: Vec::new() }
}

/// Seconds of an image, from images per second.
fn seconds(rate: &Estimate) -> Estimate {
    let interval = rate.interval.map(|rate| Interval { low: 1.0 / rate.high, high: 1.0 / rate.low });
    Estimate { value: 1.0 / rate.value, interval, by_run: Vec::new() }
}
