//! The `[measure]` table: what is timed after training, and for how long.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The `[measure]` table of a config. Latency, inference of one image, is always timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasureConfig {
    /// Batch sizes at which the training step is timed; absent: the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_batch_sizes: Option<Vec<usize>>,
    /// Batch sizes at which inference is timed; absent: the recipe's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inference_batch_sizes: Option<Vec<usize>>,
    /// Time before the first sample counts.
    #[serde(default = "default_warmup_seconds")]
    pub warmup_seconds: f64,
    /// Minimum number of samples of a figure.
    #[serde(default = "default_min_samples")]
    pub min_samples: usize,
    /// Minimum total time of the samples of a figure.
    #[serde(default = "default_min_seconds")]
    pub min_seconds: f64,
}

fn default_warmup_seconds() -> f64 {
    1.0
}

fn default_min_samples() -> usize {
    20
}

fn default_min_seconds() -> f64 {
    3.0
}

impl Default for MeasureConfig {
    fn default() -> Self {
        Self {
            train_batch_sizes: None,
            inference_batch_sizes: None,
            warmup_seconds: default_warmup_seconds(),
            min_samples: default_min_samples(),
            min_seconds: default_min_seconds(),
        }
    }
}

impl MeasureConfig {
    pub(super) fn check(&self, place: &str) -> Result<()> {
        let wrong = |key: &str, problem: String, help: &str| {
            Err(Error::input(format!("{place}: measure.{key}"), problem, help))
        };
        for (key, sizes) in
            [("train_batch_sizes", &self.train_batch_sizes), ("inference_batch_sizes", &self.inference_batch_sizes)]
        {
            if sizes.as_ref().is_some_and(|sizes| sizes.contains(&0)) {
                return wrong(key, "batch sizes must be at least 1, got 0".into(), "list sizes such as [1, 32, 128]");
            }
        }
        for (key, seconds) in [("warmup_seconds", self.warmup_seconds), ("min_seconds", self.min_seconds)] {
            if !(0.0..=3600.0).contains(&seconds) {
                return wrong(
                    key,
                    format!("must be from 0 to 3600 seconds, got {seconds}"),
                    "set it to a number such as 2.0",
                );
            }
        }
        if self.min_samples == 0 {
            return wrong("min_samples", "must be at least 1, got 0".into(), "set it to 1 or more, such as 10");
        }
        Ok(())
    }
}
