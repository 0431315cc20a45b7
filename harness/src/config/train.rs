//! The `[train]` table: the recipe that all models of a plan share.

use serde::{Deserialize, Serialize};

use super::optimizer::OptimizerConfig;
use super::schedule::ScheduleConfig;
use crate::error::{Error, Result};

/// The `[train]` table of a config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training images.
    pub epochs: usize,
    /// Images of an optimiser step.
    pub batch_size: usize,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Peak learning rate; not with a `piecewise_linear` schedule, which has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lr: Option<f64>,
    /// The learning rate over the steps.
    #[serde(default)]
    pub schedule: ScheduleConfig,
    /// Global-norm clipping: the largest global norm of the gradients; larger ones are scaled down to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// The parameters to which `weight_decay` applies.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub decay: Decay,
    /// EMA weights. If set, they are the model's weights: evaluated, tested and saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Which images the model is evaluated on after every epoch.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub evaluate_on: EvaluateOn,
    /// When the test set is read.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub test: ReadTest,
    /// Ends training early if the validation accuracy no longer improves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStoppingConfig>,
    /// Fraction of every target that is spread evenly over all classes (Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>).
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub label_smoothing: f32,
    /// Gradient checkpointing: recomputes stages in the backward pass instead of storing them. The gradients are the same, with less memory and
    /// more time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gradient_checkpointing: bool,
}

/// The parameters to which weight decay applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// All parameters, as in PyTorch by default.
    #[default]
    All,
    /// Matrices only: not norms, biases, positions or the CLS token.
    Matrices,
}

/// Exponential moving average of the weights (Polyak, Juditsky 1992).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// Fraction of the average that a step keeps. In the first steps it is `(1 + step) / (10 + step)` if that is smaller, so that the
    /// initial weights are soon forgotten.
    pub decay: f64,
}

/// The images that a model is evaluated on after every epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluateOn {
    /// The validation split.
    #[default]
    Val,
    /// The test set, as in some published runs. There is then no validation split, and the report says what that means.
    Test,
}

/// When a run reads the test set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadTest {
    /// Once, after the last epoch.
    #[default]
    AtEnd,
    /// Never, as trials of a recipe should: whoever chooses by test accuracy cannot report it.
    Never,
}

/// When to end training early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Epochs without a better validation accuracy after which training ends.
    pub patience: usize,
}

impl TrainConfig {
    /// The learning rate of the step that begins at `epoch` (real, from 0).
    pub fn lr_at(&self, epoch: f64) -> f64 {
        self.schedule.lr_at(epoch, self.lr.unwrap_or_default(), self.epochs)
    }

    pub(super) fn check(&self, place: &str) -> Result<()> {
        let wrong =
            |key: &str, problem: String, help: &str| Err(Error::input(format!("{place}: train.{key}"), problem, help));
        if self.batch_size == 0 {
            return wrong("batch_size", "must be at least 1, got 0".into(), "set it to 1 or more, such as 64");
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let problem = format!("must be in [0, 1), got {}", self.label_smoothing);
            return wrong("label_smoothing", problem, "set it to a number such as 0.1");
        }
        if let Some(EmaConfig { decay }) = self.ema.filter(|ema| !(0.0..1.0).contains(&ema.decay)) {
            let problem = format!("must be in [0, 1), got {decay}");
            return wrong("ema.decay", problem, "set it to a number such as 0.999");
        }
        if self.early_stopping.is_some_and(|early| early.patience == 0) {
            return wrong(
                "early_stopping.patience",
                "must be at least 1, got 0".into(),
                "set it to 1 or more, such as 5",
            );
        }
        if self.early_stopping.is_some() && self.evaluate_on == EvaluateOn::Test {
            return wrong(
                "early_stopping",
                "would choose the last epoch by the test set".into(),
                "set `data.val_fraction` and remove `train.evaluate_on`, or train all epochs",
            );
        }
        if self.test == ReadTest::Never && self.evaluate_on == EvaluateOn::Test {
            return wrong(
                "test",
                "is \"never\", but `train.evaluate_on` reads the test set after every epoch".into(),
                "set `data.val_fraction` and remove `train.evaluate_on`, or remove `train.test`",
            );
        }
        if let Some(norm) = self.clip_norm.filter(|norm| norm.is_nan() || *norm <= 0.0) {
            return wrong("clip_norm", format!("must be above 0, got {norm}"), "set it to a number such as 1.0");
        }
        if let Some((key, problem, help)) = self.schedule.mistake(self.lr, self.epochs) {
            return wrong(key, problem, help);
        }
        if let Some((key, problem, help)) = self.optimizer.mistake() {
            return wrong(&format!("optimizer.{key}"), problem, help);
        }
        Ok(())
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
            decay: Decay::All,
            ema: None,
            evaluate_on: EvaluateOn::Val,
            test: ReadTest::AtEnd,
            early_stopping: None,
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
        let constant = || train(Some(0.1), ScheduleConfig::Constant);
        let patience = |patience| Some(EarlyStoppingConfig { patience });
        for (config, key) in [
            (train(None, ScheduleConfig::Constant), "train.lr"),
            (train(Some(f64::NAN), ScheduleConfig::Constant), "train.lr"),
            (train(Some(0.1), ScheduleConfig::PiecewiseLinear { points }), "train.lr"),
            (train(None, ScheduleConfig::PiecewiseLinear { points: vec![[1.0, 0.1], [0.0, 0.0]] }), "schedule.points"),
            (train(Some(0.1), ScheduleConfig::Step { every_epochs: 0, gamma: 0.5 }), "every_epochs"),
            (train(Some(0.1), ScheduleConfig::Cosine { warmup_epochs: 10.0, final_lr: 0.0 }), "warmup_epochs"),
            (train(Some(0.1), ScheduleConfig::Step { every_epochs: 1, gamma: f64::NAN }), "schedule.gamma"),
            (train(Some(0.1), ScheduleConfig::Cosine { warmup_epochs: 0.0, final_lr: -0.1 }), "schedule.final_lr"),
            (
                train(None, ScheduleConfig::PiecewiseLinear { points: vec![[0.0, 0.1], [9.0, 0.0]] }),
                "schedule.points: the learning rate is 0 from epoch 9 on, but `train.epochs` is 10",
            ),
            (TrainConfig { clip_norm: Some(0.0), ..constant() }, "clip_norm"),
            (TrainConfig { ema: Some(EmaConfig { decay: 1.0 }), ..constant() }, "ema.decay"),
            (TrainConfig { early_stopping: patience(0), ..constant() }, "early_stopping.patience"),
            (
                TrainConfig { early_stopping: patience(2), evaluate_on: EvaluateOn::Test, ..constant() },
                "train.early_stopping: would choose",
            ),
            (
                TrainConfig { test: ReadTest::Never, evaluate_on: EvaluateOn::Test, ..constant() },
                "train.test: is \"never\", but `train.evaluate_on` reads",
            ),
        ] {
            let error = config.check("x.toml").unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn values_that_no_optimizer_can_use_are_named() {
        for (table, key) in [
            ("kind = 'sgd'\nweight_decay = -0.1", "weight_decay: must be at least 0, got -0.1"),
            ("kind = 'muon'\nweight_decay = nan", "weight_decay: must be at least 0, got NaN"),
            ("kind = 'muon'\nmomentum = 1.0", "momentum: must be in [0, 1), got 1"),
            ("kind = 'sgd'\nmomentum = -0.9", "momentum: must be in [0, 1), got -0.9"),
            ("kind = 'sgd'\nnesterov = true", "nesterov: needs momentum"),
            ("kind = 'adam'\nbetas = [1.0, 0.999]", "betas: must be in [0, 1), got [1.0, 0.999]"),
            ("kind = 'lion'\nbetas = [0.9, -0.1]", "betas: must be in [0, 1), got [0.9, -0.1]"),
            ("kind = 'adamw'\neps = -1e-8", "eps: must be at least 0, got -0.00000001"),
        ] {
            let optimizer = toml::from_str(table).unwrap();
            let error = TrainConfig { optimizer, ..train(Some(0.1), ScheduleConfig::Constant) }.check("x.toml");
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&format!("x.toml: train.optimizer.{key}")), "{error}");
        }
    }
}
