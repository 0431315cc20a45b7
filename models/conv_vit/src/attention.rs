//! Attention between channels.

use burn::module::Module;
use burn::tensor::Tensor;
use layers::{Attention, Init, Linear, ops};

/// Attention between the channels of a head: scores are `[head_dim, head_dim]`, sums over all positions, so that the cost is linear in
/// their number. XCiT's cross-covariance attention (El-Nouby et al. 2021, <https://arxiv.org/abs/2106.09681>) is its kin: it scores
/// channels as well, but normalises queries and keys along the positions, learns a temperature for each head, and takes the softmax over
/// the keys. Here, as published, nothing is normalised and the softmax runs over the queries.
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
}

impl Attention for MhSelfAttention {
    /// `residual + unify_heads(softmax(q kᵀ / √head_channels) v)`, with `q`, `k` and `v` as `[head_channels, positions]` and the
    /// softmax over the queries.
    fn forward_residual(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let mixed = ops::channel_attention(self.qkv.forward(x), self.head_channels);
        self.unify_heads.forward_residual(mixed, residual)
    }

    /// The weights with which the channels of the values are mixed, `[batch, heads, head_channels (query), head_channels (key)]`;
    /// columns (fixed key channel) sum to one.
    fn weights(&self, x: Tensor<3>) -> Option<Tensor<4>> {
        Some(ops::channel_attention_weights(self.qkv.forward(x), self.head_channels))
    }
}
