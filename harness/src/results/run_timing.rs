//! Figures from the raw times of a run.

use std::collections::BTreeMap;

use super::models::ModelRuns;
use super::records::RunRecord;
use super::runs::Run;
use super::samples::{StepPart, TimingMode};
use super::stage::ThroughputRow;
use super::timing::TimingSummary;
use crate::stats::{mean_interval, median};

impl Run {
    /// Everything that was timed, by mode and ascending batch size.
    pub fn timings(&self) -> &[TimingSummary] {
        self.condensed.get_or_init(|| {
            let mut by_key: BTreeMap<(TimingMode, usize), Vec<f64>> = BTreeMap::new();
            for sample in &self.timing {
                by_key.entry((sample.mode, sample.batch_size)).or_default().push(sample.seconds);
            }
            let summary =
                |((mode, batch_size), seconds): ((_, _), Vec<f64>)| TimingSummary::of(mode, batch_size, &seconds);
            by_key.into_iter().filter_map(summary).collect()
        })
    }

    /// What was timed in a mode at one batch size.
    pub fn timing_at(&self, mode: TimingMode, batch_size: usize) -> Option<&TimingSummary> {
        self.timings().iter().find(|timing| (timing.mode, timing.batch_size) == (mode, batch_size))
    }

    /// Median of the epochs' rates, in images per second: training with the data read, augmented and digested.
    pub fn epoch_images_per_s(&self) -> Option<f64> {
        median(&self.epochs.iter().map(|epoch| epoch.train_images_per_s).collect::<Vec<_>>())
    }

    /// Median seconds of data, forward, backward and optimiser in a training step of the recipe's batch. Backward and optimiser are
    /// what a timing that has them takes longer than one that has not; where a busy machine made the shorter one take longer, it is
    /// cut, so that the last three are always a whole step.
    pub fn step_parts(&self) -> Option<[f64; 4]> {
        let part = |part| {
            let samples = self.parts.iter().filter(|sample| sample.part == part);
            median(&samples.map(|sample| sample.seconds).collect::<Vec<_>>())
        };
        let data = part(StepPart::Data)?;
        let (forward, both) = (part(StepPart::Forward)?, part(StepPart::ForwardBackward)?);
        let older = || Some(self.timing_at(TimingMode::TrainStep, self.parts.first()?.batch_size)?.median_s);
        let step = part(StepPart::Step).or_else(older)?;
        let both = both.min(step);
        let forward = forward.min(both);
        let parts = [data, forward, both - forward, step - both];
        parts.iter().all(|part| part.is_finite()).then_some(parts)
    }
}

/// What the completed runs of a model measured, a row for each mode and batch size: medians over the runs. Runs of version 0.1 timed
/// themselves, one after the other.
pub fn run_throughput(model: &ModelRuns<'_>) -> Vec<ThroughputRow> {
    let mut by_key: BTreeMap<(TimingMode, usize), Vec<(&TimingSummary, &RunRecord)>> = BTreeMap::new();
    for (run, record) in model.done() {
        for timing in run.timings() {
            by_key.entry((timing.mode, timing.batch_size)).or_default().push((timing, record));
        }
    }
    let row = |((mode, batch_size), timings): ((TimingMode, usize), Vec<(&TimingSummary, &RunRecord)>)| {
        let over_runs = |of: &dyn Fn(&TimingSummary, &RunRecord) -> Option<f64>| {
            median(&timings.iter().filter_map(|(timing, record)| of(timing, record)).collect::<Vec<_>>())
        };
        let logs: Vec<f64> = timings.iter().map(|(timing, _)| timing.images_per_s().ln()).collect();
        let interval = if logs.len() > 2 { mean_interval(&logs).map(|logs| logs.exp()) } else { None };
        let gflop_per_s = |timing: &TimingSummary, record: &RunRecord| {
            timing.images_per_s() * mode.flops(record.model_size.macs()) / 1e9
        };
        Some(ThroughputRow {
            model: model.model.to_owned(),
            mode,
            batch_size,
            precision: timings[0].1.identity.precision.clone(),
            source: "run",
            processes: timings.len(),
            blocks: None,
            disturbed_blocks: None,
            median_s: over_runs(&|timing, _| Some(timing.median_s))?,
            p90_s: over_runs(&|timing, _| Some(timing.p90_s))?,
            p99_s: over_runs(&|timing, _| Some(timing.p99_s))?,
            images_per_s: over_runs(&|timing, _| Some(timing.images_per_s()))?,
            low: interval.map(|interval| interval.low),
            high: interval.map(|interval| interval.high),
            gflop_per_s: over_runs(&|timing, record| Some(gflop_per_s(timing, record))),
            mfu_percent: over_runs(&|timing, record| {
                Some(100.0 * gflop_per_s(timing, record) / record.peak_gflop_per_s?)
            }),
            range: None,
        })
    };
    by_key.into_iter().filter_map(row).collect()
}
