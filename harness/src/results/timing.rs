//! Raw times, condensed.

use super::samples::TimingMode;
use crate::stats::{median, quantile};

/// The times of one mode at one batch size in one run.
#[derive(Debug, Clone, PartialEq)]
pub struct TimingSummary {
    /// What was timed.
    pub mode: TimingMode,
    /// Images of a step.
    pub batch_size: usize,
    /// How many steps were timed.
    pub samples: usize,
    /// Median time of a step, in seconds.
    pub median_s: f64,
    /// Time that nine of ten steps stay below, in seconds.
    pub p90_s: f64,
    /// Time that 99 of 100 steps stay below, in seconds.
    pub p99_s: f64,
}

impl TimingSummary {
    /// Of the samples of one mode at one batch size, in seconds per step. `None` without samples, or if a time is not a positive
    /// number, which no clock gives.
    pub fn of(mode: TimingMode, batch_size: usize, seconds: &[f64]) -> Option<Self> {
        let timing = Self {
            mode,
            batch_size,
            samples: seconds.len(),
            median_s: median(seconds)?,
            p90_s: quantile(seconds, 0.9)?,
            p99_s: quantile(seconds, 0.99)?,
        };
        seconds.iter().all(|time| time.is_finite() && *time > 0.0).then_some(timing)
    }

    /// Images of a step over its median time.
    pub fn images_per_s(&self) -> f64 {
        self.batch_size as f64 / self.median_s
    }
}
