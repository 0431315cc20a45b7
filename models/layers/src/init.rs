//! Initial values of parameters, drawn on the host so that every backend starts from the same bits.

use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use crate::random::{Purpose, stream};
use crate::{LayerNorm, Linear};

/// Standard deviation of the ViT's initial weights.
const VIT_STD: f32 = 0.02;

/// How linear maps, tokens and positions start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// As the ViT of Hugging Face transformers: maps from N(0, 0.02²), biases, CLS token and positions zero.
    Vit,
    /// As PyTorch's layers: maps and biases from U(±1/√`d_input`), CLS token and positions from N(0, 1).
    PyTorch,
}

/// A model's `initialisation` key: its architecture's own scheme, or another's, so that the effect of the scheme can be told from that
/// of the architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialisation {
    /// The architecture's own.
    #[default]
    Own,
    /// The standard ViT's: [`Scheme::Vit`].
    Vit,
    /// The convolutional ViT's: [`Scheme::PyTorch`].
    ConvVit,
}

impl Initialisation {
    /// Whether it is the default, which is not written.
    pub fn is_own(&self) -> bool {
        *self == Self::Own
    }

    /// The scheme, for an architecture whose own is `own`.
    pub fn scheme(self, own: Scheme) -> Scheme {
        match self {
            Self::Own => own,
            Self::Vit => Scheme::Vit,
            Self::ConvVit => Scheme::PyTorch,
        }
    }
}

/// Hands out initialised parameters. Every parameter has a stream of its own, numbered in the order of the requests, so a
/// model's initial weights depend on its configuration and seed alone.
pub struct Init<'a> {
    scheme: Scheme,
    seed: u64,
    requests: u64,
    device: &'a Device,
}

impl<'a> Init<'a> {
    /// Initial values for `seed`, placed on `device`.
    pub fn new(scheme: Scheme, seed: u64, device: &'a Device) -> Self {
        Self { scheme, seed, requests: 0, device }
    }

    /// How maps, tokens and positions start.
    pub fn scheme(&self) -> Scheme {
        self.scheme
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

    /// A linear layer, or a convolution of the fan-in `d_input`.
    pub fn linear(&mut self, d_input: usize, d_output: usize, bias: bool) -> Linear {
        match self.scheme {
            Scheme::Vit => {
                let weight = self.normal([d_input, d_output], VIT_STD);
                Linear { weight, bias: bias.then(|| self.constant([d_output], 0.0)) }
            }
            Scheme::PyTorch => {
                let bound = (d_input as f32).sqrt().recip();
                let weight = self.uniform([d_input, d_output], bound);
                Linear { weight, bias: bias.then(|| self.uniform([d_output], bound)) }
            }
        }
    }

    /// A learned map without bias along an axis of `d_input` values, `[d_input, d_output]`. PyTorch has none; `bound` is what the
    /// architecture's reference draws it from under [`Scheme::PyTorch`], U(±`bound`).
    pub fn projection(&mut self, d_input: usize, d_output: usize, bound: f32) -> Param<Tensor<2>> {
        match self.scheme {
            Scheme::Vit => self.normal([d_input, d_output], VIT_STD),
            Scheme::PyTorch => self.uniform([d_input, d_output], bound),
        }
    }

    /// Learned tokens or positions, `[1, tokens, d_model]`.
    pub fn tokens(&mut self, tokens: usize, d_model: usize) -> Param<Tensor<3>> {
        match self.scheme {
            Scheme::Vit => self.constant([1, tokens, d_model], 0.0),
            Scheme::PyTorch => self.normal([1, tokens, d_model], 1.0),
        }
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
        let mut init = Init::new(Scheme::PyTorch, 7, &device);
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
    fn schemes_start_maps_and_tokens_differently() {
        let device = Device::flex();
        let largest = |param: Vec<f32>| param.into_iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let mut vit = Init::new(Scheme::Vit, 7, &device);
        let map = vit.linear(400, 100, true);
        assert!((0.06..0.12).contains(&largest(values(&map.weight))), "4 or 5 standard deviations of 0.02");
        assert_eq!(largest(values(&map.bias.unwrap())), 0.0);
        assert_eq!(largest(values(&vit.tokens(3, 50))), 0.0);
        let mut pytorch = Init::new(Scheme::PyTorch, 7, &device);
        let map = pytorch.linear(400, 100, true);
        assert!((0.0499..=0.05).contains(&largest(values(&map.weight))), "1 / sqrt(400)");
        assert!((0.04..=0.05).contains(&largest(values(&map.bias.unwrap()))));
        assert!(largest(values(&pytorch.tokens(3, 50))) > 1.5, "of a standard normal distribution");
        assert_eq!(Initialisation::Own.scheme(Scheme::PyTorch), Scheme::PyTorch);
        assert_eq!(Initialisation::Vit.scheme(Scheme::PyTorch), Scheme::Vit);
        assert_eq!(Initialisation::ConvVit.scheme(Scheme::Vit), Scheme::PyTorch);
    }

    #[test]
    fn a_seed_fixes_the_values_and_parameters_differ() {
        let device = Device::flex();
        let draw = |seed| {
            let mut init = Init::new(Scheme::PyTorch, seed, &device);
            [values(&init.normal([3], 1.0)), values(&init.normal([3], 1.0))]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[0], draw(1)[1]);
    }
}
