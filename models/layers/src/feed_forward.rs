//! The feed-forward layers of a block.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::Linear;

/// The two-layer perceptron of a transformer block, with exact (erf) GELU between the layers.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `d_model` to `d_ff`.
    pub up: Linear,
    /// `d_ff` to `d_model`.
    pub down: Linear,
}

impl FeedForward {
    /// `down(gelu(up(x)))`.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, d_model]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.down.forward(self.up.forward_gelu(x))
    }

    /// `residual + down(gelu(up(x)))`.
    ///
    /// # Shapes
    /// - `x`, `residual` and output: `[batch, tokens, d_model]`
    pub fn forward_residual(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        self.down.forward_residual(self.up.forward_gelu(x), residual)
    }
}
