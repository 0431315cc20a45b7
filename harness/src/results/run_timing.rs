//! Figures from the raw times of a run.

use std::collections::BTreeMap;

use super::runs::Run;
use super::samples::{StepPart, TimingMode};
use super::timing::TimingSummary;
use crate::stats::median;

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

    /// What was timed in a mode at its largest batch: the throughput that the machine can reach.
    pub fn largest_batch_timing(&self, mode: TimingMode) -> Option<&TimingSummary> {
        self.timings().iter().rfind(|timing| timing.mode == mode)
    }

    /// What was timed in a mode at one batch size.
    pub fn timing_at(&self, mode: TimingMode, batch_size: usize) -> Option<&TimingSummary> {
        self.timings().iter().find(|timing| (timing.mode, timing.batch_size) == (mode, batch_size))
    }

    /// Floating-point operations of a timed step, in 1e9 a second, and their percentage of the machine's peak; as far as the
    /// run's record tells.
    pub fn arithmetic_rate(&self, timing: &TimingSummary) -> (Option<f64>, Option<f64>) {
        let Some(done) = self.done() else { return (None, None) };
        let gflop_per_s = timing.gflop_per_s(&done.model_size);
        (Some(gflop_per_s), done.peak_gflop_per_s.map(|peak| 100.0 * gflop_per_s / peak))
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
        let step = self.timing_at(TimingMode::TrainStep, self.parts.first()?.batch_size)?.median_s;
        let both = both.min(step);
        let forward = forward.min(both);
        let parts = [data, forward, both - forward, step - both];
        parts.iter().all(|part| part.is_finite()).then_some(parts)
    }

    /// Median time of inference on a single image, in seconds.
    pub fn latency_s(&self) -> Option<f64> {
        self.timing_at(TimingMode::Inference, 1).map(|timing| timing.median_s)
    }

    /// The raw times of one mode at one batch size, in seconds per step.
    pub fn seconds(&self, mode: TimingMode, batch_size: usize) -> Vec<f64> {
        let samples = self.timing.iter().filter(|sample| (sample.mode, sample.batch_size) == (mode, batch_size));
        samples.map(|sample| sample.seconds).collect()
    }
}
