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
    /// Which parameters `weight_decay` is for.
    #[serde(default, skip_serializing_if = "is_default")]
    pub decay: Decay,
    /// Weights averaged over the steps, which then are the model's: evaluated, tested and saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Which images the model is evaluated on after every epoch.
    #[serde(default, skip_serializing_if = "is_default")]
    pub evaluate_on: EvaluateOn,
    /// Ends training before its last epoch if the validation accuracy no longer grows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early_stopping: Option<EarlyStoppingConfig>,
    /// Share of every target that is spread evenly over all classes (Szegedy et al. 2015, <https://arxiv.org/abs/1512.00567>).
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub label_smoothing: f32,
    /// Computes blocks again for the backward pass instead of keeping them: the same gradients in less memory and more time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gradient_checkpointing: bool,
}

/// The parameters that weight decay is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// All of them, as PyTorch does unless told otherwise.
    #[default]
    All,
    /// Matrices alone: neither norms and biases nor positions and CLS token.
    Matrices,
}

/// Exponential moving average of the weights (Polyak, Juditsky 1992).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmaConfig {
    /// Share of the average that a step keeps. In the first steps it is `(1 + step) / (10 + step)` where that is less, so that the
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
    /// The test set, as some published runs do. There is no validation split then, and the report says what that means.
    Test,
}

/// When to end training early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingConfig {
    /// Epochs without a better validation accuracy after which training ends.
    pub patience: usize,
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
    /// Steps of one size, the sign of a running mean of gradients: Chen et al. 2023, <https://arxiv.org/abs/2302.06675>. Its learning
    /// rate is about a tenth of AdamW's, its weight decay as many times greater.
    Lion {
        /// Share of the running mean in a step, and its decay.
        #[serde(default = "default_lion_betas")]
        betas: [f32; 2],
        /// Share of a weight that a step with learning rate 1 takes away.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Orthogonalised momentum for the matrices within the blocks (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon>), AdamW
    /// for all other parameters. Steps are scaled to AdamW's size (Liu et al. 2025, <https://arxiv.org/abs/2502.16982>), so that one
    /// learning rate and one weight decay serve both.
    Muon {
        /// Decay of the running sum of gradients, in Nesterov's form.
        #[serde(default = "default_muon_momentum")]
        momentum: f64,
        /// Decay of AdamW's two moments.
        #[serde(default = "default_betas")]
        betas: [f32; 2],
        /// Added to the root of AdamW's second moment.
        #[serde(default = "default_adam_eps")]
        eps: f32,
        /// Share of a weight that a step with learning rate 1 takes away.
        #[serde(default = "default_adamw_weight_decay")]
        weight_decay: f32,
    },
}

impl OptimizerConfig {
    /// The first value that makes no sense: key, problem, and what would be right.
    fn mistake(&self) -> Option<(&'static str, String, &'static str)> {
        const SHARE: std::ops::Range<f64> = 0.0..1.0;
        let (betas, eps, momentum, weight_decay) = match *self {
            Self::Adam { betas, eps, weight_decay } | Self::Adamw { betas, eps, weight_decay } => {
                (Some(betas), eps, 0.0, weight_decay)
            }
            Self::Sgd { momentum, weight_decay, .. } => (None, 0.0, momentum, weight_decay),
            Self::Lion { betas, weight_decay } => (Some(betas), 0.0, 0.0, weight_decay),
            Self::Muon { momentum, betas, eps, weight_decay } => (Some(betas), eps, momentum, weight_decay),
        };
        if let Some(betas) = betas.filter(|betas| !betas.iter().all(|beta| SHARE.contains(&f64::from(*beta)))) {
            return Some((
                "betas",
                format!("{betas:?} are no shares"),
                "take numbers from 0 to below 1, such as [0.9, 0.999]",
            ));
        }
        if !SHARE.contains(&momentum) {
            return Some((
                "momentum",
                format!("{momentum} is no share"),
                "take a number from 0 to below 1, such as 0.9",
            ));
        }
        if !(eps >= 0.0 && eps.is_finite()) {
            return Some(("eps", format!("{eps} is no small number"), "take a number from 0 up, such as 1e-8"));
        }
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            let problem = format!("{weight_decay} is no weight decay");
            return Some(("weight_decay", problem, "take a number from 0 up, such as 0.01"));
        }
        matches!(self, Self::Sgd { momentum: 0.0, nesterov: true, .. })
            .then(|| ("nesterov", "is a form of momentum, and there is none".into(), "give `momentum`, such as 0.9"))
    }
}

fn default_lion_betas() -> [f32; 2] {
    [0.9, 0.99]
}

fn default_muon_momentum() -> f64 {
    0.95
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
        if let Some(EmaConfig { decay }) = self.ema.filter(|ema| !(0.0..1.0).contains(&ema.decay)) {
            let problem = format!("{decay} is no share of an average");
            return wrong("ema.decay", problem, "take a number from 0 to below 1, such as 0.999");
        }
        if self.early_stopping.is_some_and(|early| early.patience == 0) {
            return wrong("early_stopping.patience", "0 epochs are over before they begin".into(), "take 1 or more");
        }
        if self.early_stopping.is_some() && self.evaluate_on == EvaluateOn::Test {
            return wrong(
                "early_stopping",
                "would choose the last epoch by the test set".into(),
                "give `data.val_fraction` and leave out `train.evaluate_on`, or train all epochs",
            );
        }
        if let Some(norm) = self.clip_norm.filter(|norm| norm.is_nan() || *norm <= 0.0) {
            return wrong("clip_norm", format!("{norm} is no positive number"), "take a number above 0, such as 1.0");
        }
        match (&self.schedule, self.lr) {
            (ScheduleConfig::PiecewiseLinear { points }, None) => {
                if let Some([end, 0.0]) = points.last()
                    && *end < self.epochs as f64
                {
                    return wrong(
                        "schedule.points",
                        format!("the learning rate is 0 from epoch {end} on, and {} epochs are asked for", self.epochs),
                        "stretch the points over all epochs, or train fewer",
                    );
                }
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
        if let Some((key, problem, help)) = self.optimizer.mistake() {
            return wrong(&format!("optimizer.{key}"), problem, help);
        }
        match self.schedule {
            ScheduleConfig::Step { every_epochs: 0, .. } => {
                wrong("schedule.every_epochs", "0 is too small".into(), "take 1 or more")
            }
            ScheduleConfig::Step { gamma, .. } if !(gamma > 0.0 && gamma.is_finite()) => {
                wrong("schedule.gamma", format!("{gamma} is no factor"), "take a number above 0, such as 0.7")
            }
            ScheduleConfig::Cosine { final_lr, .. } if !(final_lr >= 0.0 && final_lr.is_finite()) => {
                wrong("schedule.final_lr", format!("{final_lr} is no learning rate"), "take a number from 0 up")
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
            decay: Decay::All,
            ema: None,
            evaluate_on: EvaluateOn::Val,
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
                "schedule.points: the learning rate is 0 from epoch 9 on, and 10 epochs are asked for",
            ),
            (TrainConfig { clip_norm: Some(0.0), ..constant() }, "clip_norm"),
            (TrainConfig { ema: Some(EmaConfig { decay: 1.0 }), ..constant() }, "ema.decay"),
            (TrainConfig { early_stopping: patience(0), ..constant() }, "early_stopping.patience"),
            (
                TrainConfig { early_stopping: patience(2), evaluate_on: EvaluateOn::Test, ..constant() },
                "train.early_stopping: would choose",
            ),
        ] {
            let error = config.check("x.toml").unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn values_that_no_optimizer_can_use_are_named() {
        for (table, key) in [
            ("kind = 'sgd'\nweight_decay = -0.1", "weight_decay: -0.1"),
            ("kind = 'muon'\nweight_decay = nan", "weight_decay: NaN"),
            ("kind = 'muon'\nmomentum = 1.0", "momentum: 1"),
            ("kind = 'sgd'\nmomentum = -0.9", "momentum: -0.9"),
            ("kind = 'sgd'\nnesterov = true", "nesterov: is a form of momentum"),
            ("kind = 'adam'\nbetas = [1.0, 0.999]", "betas: [1.0, 0.999]"),
            ("kind = 'lion'\nbetas = [0.9, -0.1]", "betas: [0.9, -0.1]"),
            ("kind = 'adamw'\neps = -1e-8", "eps: -0.00000001"),
        ] {
            let optimizer = toml::from_str(table).unwrap();
            let error = TrainConfig { optimizer, ..train(Some(0.1), ScheduleConfig::Constant) }.check("x.toml");
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&format!("x.toml: train.optimizer.{key}")), "{error}");
        }
    }
}
