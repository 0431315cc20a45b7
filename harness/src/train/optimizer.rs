//! From a recipe's optimiser to Burn's, and what is done to gradients before a step.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::Tensor;

use crate::config::OptimizerConfig;

/// The optimiser that a recipe names.
///
/// Burn's own defaults differ from PyTorch's (epsilon 1e-5, dampening 0.1), so every value is set here.
pub fn build(config: &OptimizerConfig) -> ModuleOptimizer {
    let l2 = |penalty: f32| (penalty > 0.0).then(|| WeightDecayConfig::new(penalty));
    match *config {
        OptimizerConfig::Adam { betas: [beta_1, beta_2], eps, weight_decay } => AdamConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(eps)
            .with_weight_decay(l2(weight_decay))
            .init(),
        OptimizerConfig::Adamw { betas: [beta_1, beta_2], eps, weight_decay } => AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(eps)
            .with_weight_decay(weight_decay)
            .init(),
        OptimizerConfig::Sgd { momentum, nesterov, weight_decay } => {
            let momentum = (momentum > 0.0).then_some(MomentumConfig { momentum, dampening: 0.0, nesterov });
            SgdConfig::new().with_momentum(momentum).with_weight_decay(l2(weight_decay)).init()
        }
    }
}

/// The norm of all gradients taken as one vector. Burn's own clipping takes every tensor for itself, which is another thing
/// than what recipes mean.
pub(super) fn gradient_norm<M: Module>(model: &M, gradients: &GradientsParams) -> f64 {
    struct SumOfSquares<'a> {
        gradients: &'a GradientsParams,
        sum: f64,
    }
    impl ModuleVisitor for SumOfSquares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
            }
        }
    }
    let mut visitor = SumOfSquares { gradients, sum: 0.0 };
    model.visit(&mut visitor);
    visitor.sum.sqrt()
}

/// Multiplies all gradients by `factor`.
pub(super) fn scale_gradients<M: Module>(model: &M, gradients: &mut GradientsParams, factor: f64) {
    struct Scale<'a> {
        gradients: &'a mut GradientsParams,
        factor: f64,
    }
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                self.gradients.register(param.id, gradient * self.factor);
            }
        }
    }
    model.visit(&mut Scale { gradients, factor });
}
