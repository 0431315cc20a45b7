//! The exponential moving average (EMA) of a model's weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

use crate::architecture::Architecture;
use crate::config::EmaConfig;

/// An exponential moving average of the weights, as [`EmaConfig`] defines it.
pub struct WeightAverage {
    /// The model with the EMA weights, without autodiff.
    model: Architecture,
    decay: f64,
    steps: u64,
}

impl WeightAverage {
    /// Restores the average after `steps` steps. `model` has the EMA weights and is without autodiff.
    pub(super) fn restored(config: EmaConfig, model: Architecture, steps: u64) -> Self {
        Self { model, decay: config.decay, steps }
    }

    /// Number of steps in the average.
    pub(super) fn steps(&self) -> u64 {
        self.steps
    }

    /// Starts from the weights of `model`.
    pub(super) fn new(config: EmaConfig, model: &Architecture) -> Self {
        Self { model: model.valid(), decay: config.decay, steps: 0 }
    }

    pub(super) fn model(&self) -> &Architecture {
        &self.model
    }

    /// Adds the weights after a step.
    pub(super) fn update(&mut self, model: &Architecture) {
        let steps = self.steps as f64;
        let kept = self.decay.min((1.0 + steps) / (10.0 + steps));
        self.steps += 1;
        let mut latest = Weights(GradientsParams::new());
        model.valid().visit(&mut latest);
        self.model = self.model.clone().map(&mut Mean { latest: latest.0, kept });
    }
}

/// A module's weights by parameter identity, in Burn's container for gradients, which holds tensors of any rank.
struct Weights(GradientsParams);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.register(param.id, param.val());
    }
}

struct Mean {
    latest: GradientsParams,
    kept: f64,
}

impl ModuleMapper for Mean {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let latest = self.latest.remove::<D>(param.id).expect("both models have the same parameters");
        let kept = self.kept;
        param.map(|mean| mean * kept + latest * (1.0 - kept))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::architecture::ArchitectureConfig;
    use crate::weights::parameters;

    #[test]
    fn the_average_weights_early_steps_more() {
        struct Fill(f64);
        impl ModuleMapper for Fill {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                let value = self.0;
                param.map(|values| (values.detach().zeros_like() + value).require_grad())
            }
        }
        let config = "architecture = 'conv_vit'\npatch_size = 4\nd_model = 8\ndepth = 1\nhead_channels = 4\nd_ff = 8";
        let config: ArchitectureConfig = toml::from_str(config).unwrap();
        let model = config.for_images(8, 3).init(1, &Device::flex().autodiff());
        let mut average = WeightAverage::new(EmaConfig { decay: 0.25 }, &model.clone().map(&mut Fill(1.0)));
        let mut expected = 1.0;
        // (1 + step) / (10 + step) is 0.1, 0.18 and 0.25, then more than the decay.
        for (value, kept) in [(2.0, 0.1), (4.0, 2.0 / 11.0), (-1.0, 0.25), (3.0, 0.25)] {
            average.update(&model.clone().map(&mut Fill(value)));
            expected = kept * expected + (1.0 - kept) * value;
            for (path, values) in parameters::values(average.model()) {
                assert!(values.data.iter().all(|v| (f64::from(*v) - expected).abs() < 1e-6), "{path}: {values:?}");
            }
        }
    }
}
