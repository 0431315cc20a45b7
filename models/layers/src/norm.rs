//! Layer normalisation.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use crate::ops;

/// Layer normalisation over the last axis (Ba, Kiros, Hinton 2016, <https://arxiv.org/abs/1607.06450>), with the biased
/// variance, as PyTorch's `nn.LayerNorm`.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[d_model]`.
    pub beta: Param<Tensor<1>>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl LayerNorm {
    /// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`.
    ///
    /// # Shapes
    /// - `x` and output: `[.., d_model]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        ops::layer_norm(x, self.gamma.val(), self.beta.val(), self.epsilon)
    }
}
