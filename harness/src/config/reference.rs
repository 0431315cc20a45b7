//! `[[reference]]` tables: what others reported of a model of the plan.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A run of others, to be put beside ours. It changes nothing in the runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceRun {
    /// The model of the plan that it was made with.
    pub model: String,
    /// What it is called in tables and plots.
    pub name: String,
    /// Where its figures are from.
    pub source: String,
    /// Evaluation accuracy, as `[epoch, share]`.
    pub eval_top1: Vec<(usize, f64)>,
    /// Training accuracy, as `[epoch, share]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub train_top1: Vec<(usize, f64)>,
    /// Seconds of an epoch, evaluation included: the least and the greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch_seconds: Option<[f64; 2]>,
    /// Images per second in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_images_per_s: Option<f64>,
    /// What it ran on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
}

impl ReferenceRun {
    pub(super) fn check(&self, place: &str, index: usize, models: &[String]) -> Result<()> {
        let wrong = |key: &str, problem: String, help: &str| {
            Err(Error::input(format!("{place}: reference.{index}.{key}"), problem, help))
        };
        if !models.contains(&self.model) {
            let help = format!("name one of {}", models.join(", "));
            return wrong("model", format!("`{}` is not a model of this config", self.model), &help);
        }
        for (key, points) in [("eval_top1", &self.eval_top1), ("train_top1", &self.train_top1)] {
            let ascending = points.windows(2).all(|pair| pair[0].0 < pair[1].0);
            if !ascending || points.iter().any(|(epoch, share)| *epoch == 0 || !(0.0..=1.0).contains(share)) {
                let help = "write `[[1, 0.51], [2, 0.55]]`: epoch from 1, accuracy as a fraction";
                return wrong(key, format!("must be pairs of epoch and accuracy, got {points:?}"), help);
            }
        }
        if self.eval_top1.is_empty() {
            return wrong(
                "eval_top1",
                "is empty".into(),
                "set at least the accuracy of the last epoch: `[[25, 0.65]]`",
            );
        }
        Ok(())
    }
}
