//! Initial values of parameters, drawn on the host so that every backend starts from the same bits.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::random::{Purpose, stream};
use crate::{LayerNorm, Linear};

/// Hands out initialised parameters. Every parameter has a stream of its own, numbered in the order of the requests, so a
/// model's initial weights depend on its configuration and seed alone.
pub struct Init<'a> {
    seed: u64,
    requests: u64,
    device: &'a Device,
}

impl<'a> Init<'a> {
    /// Initial values for `seed`, placed on `device`.
    pub fn new(seed: u64, device: &'a Device) -> Self {
        Self { seed, requests: 0, device }
    }

    /// Where the parameters are placed.
    pub fn device(&self) -> &Device {
        self.device
    }

    /// Values from N(0, `std`²).
    pub fn normal<const D: usize>(&mut self, shape: [usize; D], std: f32) -> Param<Tensor<D>> {
        let mut rng = self.next_generator();
        self.parameter(shape, || std * Distribution::<f32>::sample(&StandardNormal, &mut rng))
    }

    /// Values from U(-`bound`, `bound`).
    pub fn uniform<const D: usize>(&mut self, shape: [usize; D], bound: f32) -> Param<Tensor<D>> {
        let mut rng = self.next_generator();
        self.parameter(shape, || bound * rng.random_range(-1.0..1.0_f32))
    }

    /// The same value everywhere.
    pub fn constant<const D: usize>(&mut self, shape: [usize; D], value: f32) -> Param<Tensor<D>> {
        self.parameter(shape, || value)
    }

    /// A linear layer as PyTorch's `nn.Linear` (and a convolution of the same fan-in) starts: weights and bias from
    /// U(±1/√`d_input`).
    pub fn linear(&mut self, d_input: usize, d_output: usize, bias: bool) -> Linear {
        let bound = (d_input as f32).sqrt().recip();
        let weight = self.uniform([d_input, d_output], bound);
        let bias = bias.then(|| self.uniform([d_output], bound));
        Linear { weight, bias }
    }

    /// A linear layer as the ViT of Hugging Face transformers starts: weights from N(0, `std`²), bias zero.
    pub fn linear_normal(&mut self, d_input: usize, d_output: usize, std: f32) -> Linear {
        let weight = self.normal([d_input, d_output], std);
        let bias = Some(self.constant([d_output], 0.0));
        Linear { weight, bias }
    }

    /// A layer norm over `d_model` channels that starts as the plain normalisation.
    pub fn layer_norm(&mut self, d_model: usize, epsilon: f64) -> LayerNorm {
        LayerNorm { gamma: self.constant([d_model], 1.0), beta: self.constant([d_model], 0.0), epsilon }
    }

    fn next_generator(&mut self) -> impl rand::Rng + use<> {
        self.requests += 1;
        stream(Purpose::Initialisation, [self.seed, self.requests, 0])
    }

    fn parameter<const D: usize>(&self, shape: [usize; D], mut value: impl FnMut() -> f32) -> Param<Tensor<D>> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
        Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), self.device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<const D: usize>(param: &Param<Tensor<D>>) -> Vec<f32> {
        param.val().into_data().try_into_vec().unwrap()
    }

    #[test]
    fn moments_are_those_asked_for() {
        let device = Device::flex();
        let mut init = Init::new(7, &device);
        for (values, std) in [
            (values(&init.normal([100, 500], 0.02)), 0.02),
            (values(&init.uniform([100, 500], 0.3)), 0.3 / 3f32.sqrt()),
        ] {
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
            assert!(mean.abs() < 0.02 * std, "mean {mean} for std {std}");
            assert!((variance.sqrt() / std - 1.0).abs() < 0.02, "std {} instead of {std}", variance.sqrt());
        }
    }

    #[test]
    fn a_seed_fixes_the_values_and_parameters_differ() {
        let device = Device::flex();
        let draw = |seed| {
            let mut init = Init::new(seed, &device);
            [values(&init.normal([3], 1.0)), values(&init.normal([3], 1.0))]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
    }
}
