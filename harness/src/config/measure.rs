//! The `[measure]` table: what is timed, and for how long.

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
    /// The precision that the timing stage looks for: half the width of the 95 % interval of a ratio of speeds, as a fraction. Not part of a
    /// run's identity.
    #[serde(default = "default_precision", skip_serializing_if = "is_default_precision")]
    pub precision: f64,
    /// Longest time of the timing stage, in seconds for each model. Not part of a run's identity.
    #[serde(default = "default_max_seconds", skip_serializing_if = "is_default_max_seconds")]
    pub max_seconds: f64,
    /// Time before the first sample of a step's part counts.
    #[serde(default = "default_warmup_seconds")]
    pub warmup_seconds: f64,
    /// Minimum number of samples of a step's part.
    #[serde(default = "default_min_samples")]
    pub min_samples: usize,
    /// Minimum total time of the samples of a step's parts.
    #[serde(default = "default_min_seconds")]
    pub min_seconds: f64,
}

fn default_precision() -> f64 {
    0.02
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
#[allow(clippy::float_cmp, reason = "what is written is the default or something else")]
fn is_default_precision(precision: &f64) -> bool {
    *precision == default_precision()
}

fn default_max_seconds() -> f64 {
    30.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
#[allow(clippy::float_cmp, reason = "what is written is the default or something else")]
fn is_default_max_seconds(seconds: &f64) -> bool {
    *seconds == default_max_seconds()
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
            precision: default_precision(),
            max_seconds: default_max_seconds(),
            warmup_seconds: default_warmup_seconds(),
            min_samples: default_min_samples(),
            min_seconds: default_min_seconds(),
        }
    }
}

impl MeasureConfig {
    /// Without what the timing stage alone uses, which does not change a run.
    pub(crate) fn of_run(&self) -> Self {
        Self { precision: default_precision(), max_seconds: default_max_seconds(), ..self.clone() }
    }

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
        if !(0.0..=1.0).contains(&self.precision) {
            let problem = format!("must be from 0 to 1, got {}", self.precision);
            return wrong("precision", problem, "set it to a fraction such as 0.02 for 2 %");
        }
        for (key, seconds) in [
            ("max_seconds", self.max_seconds),
            ("warmup_seconds", self.warmup_seconds),
            ("min_seconds", self.min_seconds),
        ] {
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
