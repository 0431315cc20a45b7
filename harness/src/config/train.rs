//! The `[train]` table: the recipe that all models of a plan share.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The `[train]` table of a config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images of an optimiser step.
    pub batch_size: usize,
    /// What turns gradients into steps.
    pub optimizer: OptimizerConfig,
    /// Peak learning rate; not with a `piecewise_linear` schedule, which has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// The learning rate over the steps.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Greatest norm of all gradients together; longer ones are shortened to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Share of every target that is spread evenly over all classes (Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>).
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub label_smoothing: f32,
    /// Computes blocks again for the backward pass instead of keeping them: the same gradients in less memory and more time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gradient_checkpointing: bool,
}

/// What turns gradients into steps. Defaults are PyTorch's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Kingma, Ba 2014, <https://arxiv.org/abs/1412.6980>.
    Adam {
        /// Decay of the two moments.
        #[serde(default = "default_betas")]
        betas: [f32; 2],
        /// Added to the root of the second moment.
        #[serde(default = "default_adam_eps")]
        eps: f32,
        /// Factor of the squared norm of the weights, added to the loss.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Adam with decoupled weight decay: Loshchilov, Hutter 2017, <https://arxiv.org/abs/1711.05101>.
    Adamw {
        /// Decay of the two moments.
        #[serde(default = "default_betas")]
        betas: [f32; 2],
        /// Added to the root of the second moment.
        #[serde(default = "default_adam_eps")]
        eps: f32,
        /// Share of a weight that a step with learning rate 1 takes away.
        #[serde(default = "default_adamw_weight_decay")]
        weight_decay: f32,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Decay of the running sum of gradients; 0 for none.
        #[serde(default)]
        momentum: f64,
        /// Nesterov's form of momentum.
        #[serde(default)]
        nesterov: bool,
        /// Factor of the squared norm of the weights, added to the loss.
        #[serde(default)]
        weight_decay: f32,
    },
}

fn default_betas() -> [f32; 2] {
    [0.9, 0.999]
}

fn default_adam_eps() -> f32 {
    1e-8
}

fn default_adamw_weight_decay() -> f32 {
    0.01
}

/// The learning rate over the steps, epochs being real numbers here (step 5 of 10 in the first epoch is epoch 0.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ScheduleConfig {
    /// `lr` throughout.
    #[default]
    Constant,
    /// `lr`, multiplied by `gamma` after every `every_epochs`.
    Step {
        /// Epochs between two changes.
        every_epochs: usize,
        /// Factor of each change.
        gamma: f64,
    },
    /// Linear from 0 to `lr` over the warm-up, then half a cosine wave down to `final_lr`.
    Cosine {
        /// Length of the warm-up.
        #[serde(default)]
        warmup_epochs: f64,
        /// Learning rate at the end.
        #[serde(default)]
        final_lr: f64,
    },
    /// Straight lines between points `[epoch, learning rate]`.
    PiecewiseLinear {
        /// The points, epochs ascending.
        points: Vec<[f64; 2]>,
    },
}

impl TrainConfig {
    /// The learning rate of the step that begins at `epoch` (real, from 0).
    pub fn lr_at(&self, epoch: f64) -> f64 {
        let peak = self.lr.unwrap_or_default();
        match &self.schedule {
            ScheduleConfig::Constant => peak,
            ScheduleConfig::Step { every_epochs, gamma } => {
                peak * gamma.powi((epoch / *every_epochs as f64).floor() as i32)
            }
            ScheduleConfig::Cosine { warmup_epochs, .. } if epoch < *warmup_epochs => peak * epoch / warmup_epochs,
            ScheduleConfig::Cosine { warmup_epochs, final_lr } => {
                let progress = (epoch - warmup_epochs) / (self.epochs as f64 - warmup_epochs);
                final_lr + (peak - final_lr) * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            ScheduleConfig::PiecewiseLinear { points } => interpolate(points, epoch),
        }
    }

    pub(super) fn check(&self, place: &str) -> Result<()> {
        let wrong =
            |key: &str, problem: String, help: &str| Err(Error::input(format!("{place}: train.{key}"), problem, help));
        if self.batch_size == 0 {
            return wrong("batch_size", "0 images make no step".into(), "take 1 or more");
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let problem = format!("{} is no share of a target", self.label_smoothing);
            return wrong("label_smoothing", problem, "take a number from 0 to below 1, such as 0.1");
        }
        if let Some(norm) = self.clip_norm.filter(|norm| norm.is_nan() || *norm <= 0.0) {
            return wrong("clip_norm", format!("{norm} is no positive number"), "take a number above 0, such as 1.0");
        }
        match (&self.schedule, self.lr) {
            (ScheduleConfig::PiecewiseLinear { points }, None) => {
                let ascending = points.windows(2).all(|pair| pair[0][0] < pair[1][0]);
                if points.is_empty() || !ascending || points.iter().flatten().any(|v| !(*v >= 0.0 && v.is_finite())) {
                    return wrong(
                        "schedule.points",
                        format!("{points:?} is no series of points with ascending epochs"),
                        "write `[[0, 0.0], [10, 0.01], [25, 0.0]]`: epoch, learning rate",
                    );
                }
            }
            (ScheduleConfig::PiecewiseLinear { .. }, Some(_)) => {
                return wrong("lr", "the piecewise-linear schedule has its own".into(), "remove `lr`");
            }
            (_, None) => return wrong("lr", "missing".into(), "add the peak learning rate, such as `lr = 0.001`"),
            (_, Some(lr)) if !(lr >= 0.0 && lr.is_finite()) => {
                return wrong("lr", format!("{lr} is no learning rate"), "take a number from 0 up, such as 0.001");
            }
            _ => {}
        }
        match self.schedule {
            ScheduleConfig::Step { every_epochs: 0, .. } => {
                wrong("schedule.every_epochs", "0 is too small".into(), "take 1 or more")
            }
            ScheduleConfig::Cosine { warmup_epochs, .. }
                if !(0.0..self.epochs.max(1) as f64).contains(&warmup_epochs) =>
            {
                wrong(
                    "schedule.warmup_epochs",
                    format!("{warmup_epochs} is not within the {} epochs of training", self.epochs),
                    "take a number from 0 up to, but below, `train.epochs`",
                )
            }
            _ => Ok(()),
        }
    }
}

fn interpolate(points: &[[f64; 2]], x: f64) -> f64 {
    match points.iter().position(|point| point[0] > x) {
        Some(0) => points[0][1],
        None => points.last().map_or(0.0, |point| point[1]),
        Some(next) => {
            let ([x0, y0], [x1, y1]) = (points[next - 1], points[next]);
            y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(lr: Option<f64>, schedule: ScheduleConfig) -> TrainConfig {
        let optimizer = OptimizerConfig::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        TrainConfig {
            epochs: 10,
            batch_size: 8,
            optimizer,
            lr,
            schedule,
            clip_norm: None,
            label_smoothing: 0.0,
            gradient_checkpointing: false,
        }
    }

    fn assert_lrs(config: &TrainConfig, expected: &[(f64, f64)]) {
        for (epoch, lr) in expected {
            assert!((config.lr_at(*epoch) - lr).abs() < 1e-12, "epoch {epoch}: {} is not {lr}", config.lr_at(*epoch));
        }
    }

    #[test]
    fn schedules_pass_through_known_points() {
        let step = train(Some(1.0), ScheduleConfig::Step { every_epochs: 2, gamma: 0.5 });
        assert_lrs(&step, &[(0.0, 1.0), (1.99, 1.0), (2.0, 0.5), (7.0, 0.125)]);
        let cosine = train(Some(1.0), ScheduleConfig::Cosine { warmup_epochs: 2.0, final_lr: 0.2 });
        assert_lrs(&cosine, &[(0.0, 0.0), (1.0, 0.5), (2.0, 1.0), (6.0, 0.6), (10.0, 0.2)]);
        // The published schedule of the convolutional ViT.
        let points = vec![[0.0, 0.0], [10.0, 0.01], [20.0, 0.0005], [25.0, 0.0]];
        let linear = train(None, ScheduleConfig::PiecewiseLinear { points });
        assert_lrs(&linear, &[(0.0, 0.0), (5.0, 0.005), (10.0, 0.01), (15.0, 0.00525), (22.5, 0.00025), (30.0, 0.0)]);
    }

    #[test]
    fn contradictions_are_named() {
        let points = vec![[0.0, 0.0], [1.0, 0.1]];
        for (config, key) in [
            (train(None, ScheduleConfig::Constant), "train.lr"),
            (train(Some(f64::NAN), ScheduleConfig::Constant), "train.lr"),
            (train(Some(0.1), ScheduleConfig::PiecewiseLinear { points }), "train.lr"),
            (train(None, ScheduleConfig::PiecewiseLinear { points: vec![[1.0, 0.1], [0.0, 0.0]] }), "schedule.points"),
            (train(Some(0.1), ScheduleConfig::Step { every_epochs: 0, gamma: 0.5 }), "every_epochs"),
            (train(Some(0.1), ScheduleConfig::Cosine { warmup_epochs: 10.0, final_lr: 0.0 }), "warmup_epochs"),
            (TrainConfig { clip_norm: Some(0.0), ..train(Some(0.1), ScheduleConfig::Constant) }, "clip_norm"),
        ] {
            let error = config.check("x.toml").unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }
}
