use burn::module::Module;
use burn::tensor::Tensor;
use layers::{Init, Linear, ops};

/// Attention between the channels of a head. Scores are `[head_channels, head_channels]`, sums over all positions; the softmax
/// runs over the query axis, as published.
#[derive(Module, Debug)]
pub struct MhSelfAttention {
    /// Queries, keys and values side by side: `d_model` to `3 * d_model`.
    pub qkv: Linear,
    /// `d_model` to `d_model`.
    pub unify_heads: Linear,
    /// Channels of a head.
    pub head_channels: usize,
}

impl MhSelfAttention {
    pub(crate) fn new(d_model: usize, head_channels: usize, init: &mut Init<'_>) -> Self {
        Self {
            qkv: init.linear(d_model, 3 * d_model, true),
            unify_heads: init.linear(d_model, d_model, true),
            head_channels,
        }
    }

    /// `residual + attention(x)`.
    ///
    /// # Shapes
    /// - `x`, `residual` and output: `[batch, positions, d_model]`
    pub fn forward_residual(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let mixed = ops::channel_attention(self.qkv.forward(x), self.head_channels);
        self.unify_heads.forward_residual(mixed, residual)
    }

    /// The weights with which the channels of `x`'s values are mixed; columns (fixed key channel) sum to one.
    ///
    /// # Shapes
    /// - `x`: `[batch, positions, d_model]`
    /// - output: `[batch, heads, head_channels (query), head_channels (key)]`
    pub fn weights(&self, x: Tensor<3>) -> Tensor<4> {
        ops::channel_attention_weights(self.qkv.forward(x), self.head_channels)
    }
}
