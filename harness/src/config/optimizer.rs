//! The `train.optimizer` table.

use serde::{Deserialize, Serialize};

/// The optimiser. Defaults are PyTorch's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerConfig {
    /// Kingma, Ba 2014, <https://arxiv.org/abs/1412.6980>.
    Adam {
        /// Decay rates of the two moments.
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
        /// Decay rates of the two moments.
        #[serde(default = "default_betas")]
        betas: [f32; 2],
        /// Added to the root of the second moment.
        #[serde(default = "default_adam_eps")]
        eps: f32,
        /// Fraction of a weight that a step with learning rate 1 subtracts.
        #[serde(default = "default_adamw_weight_decay")]
        weight_decay: f32,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Decay rate of the running sum of gradients; 0 for none.
        #[serde(default)]
        momentum: f64,
        /// Nesterov's form of momentum.
        #[serde(default)]
        nesterov: bool,
        /// Factor of the squared norm of the weights, added to the loss.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Lion: every step is the sign of a running mean of gradients (Chen et al. 2023, <https://arxiv.org/abs/2302.06675>). Its learning
    /// rate
    /// should be about a tenth of AdamW's, and its weight decay ten times AdamW's.
    Lion {
        /// Weight of the running mean in a step, and its decay rate.
        #[serde(default = "default_lion_betas")]
        betas: [f32; 2],
        /// Fraction of a weight that a step with learning rate 1 subtracts.
        #[serde(default)]
        weight_decay: f32,
    },
    /// Orthogonalised momentum for the matrices inside the stages (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon>), AdamW
    /// for all other parameters. Steps are scaled to AdamW's size (Liu et al. 2025, <https://arxiv.org/abs/2502.16982>), so that one
    /// learning rate and one weight decay serve both.
    Muon {
        /// Decay rate of the running sum of gradients, in Nesterov's form.
        #[serde(default = "default_muon_momentum")]
        momentum: f64,
        /// Decay rates of AdamW's two moments.
        #[serde(default = "default_betas")]
        betas: [f32; 2],
        /// Added to the root of AdamW's second moment.
        #[serde(default = "default_adam_eps")]
        eps: f32,
        /// Fraction of a weight that a step with learning rate 1 subtracts.
        #[serde(default = "default_adamw_weight_decay")]
        weight_decay: f32,
    },
}

impl OptimizerConfig {
    /// The first invalid value: key, problem, and what would be right.
    pub(super) fn mistake(&self) -> Option<(&'static str, String, &'static str)> {
        const FRACTION: std::ops::Range<f64> = 0.0..1.0;
        let (betas, eps, momentum, weight_decay) = match *self {
            Self::Adam { betas, eps, weight_decay } | Self::Adamw { betas, eps, weight_decay } => {
                (Some(betas), eps, 0.0, weight_decay)
            }
            Self::Sgd { momentum, weight_decay, .. } => (None, 0.0, momentum, weight_decay),
            Self::Lion { betas, weight_decay } => (Some(betas), 0.0, 0.0, weight_decay),
            Self::Muon { momentum, betas, eps, weight_decay } => (Some(betas), eps, momentum, weight_decay),
        };
        if let Some(betas) = betas.filter(|betas| !betas.iter().all(|beta| FRACTION.contains(&f64::from(*beta)))) {
            return Some((
                "betas",
                format!("must be in [0, 1), got {betas:?}"),
                "set them to numbers such as [0.9, 0.999]",
            ));
        }
        if !FRACTION.contains(&momentum) {
            return Some(("momentum", format!("must be in [0, 1), got {momentum}"), "set it to a number such as 0.9"));
        }
        if !(eps >= 0.0 && eps.is_finite()) {
            return Some(("eps", format!("must be at least 0, got {eps}"), "set it to a number such as 1e-8"));
        }
        if !(weight_decay >= 0.0 && weight_decay.is_finite()) {
            let problem = format!("must be at least 0, got {weight_decay}");
            return Some(("weight_decay", problem, "set it to a number such as 0.01"));
        }
        matches!(self, Self::Sgd { momentum: 0.0, nesterov: true, .. })
            .then(|| ("nesterov", "needs momentum, which is 0".into(), "set `momentum`, such as 0.9"))
    }
}

fn default_lion_betas() -> [f32; 2] {
    [0.9, 0.99]
}

fn default_muon_momentum() -> f64 {
    0.95
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
