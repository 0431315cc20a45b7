//! Self-attention between all tokens.

use burn::module::Module;
use burn::tensor::Tensor;
use layers::{Attention, Init, Linear, SampleKeys, dropout, ops};

/// Multi-head self-attention with biases on all four linear maps (Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>):
/// `softmax(q kᵀ / √head_dim) v`, head by head.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `d_model` to `d_model`, or to the channels of the heads that pruning has left.
    pub query: Linear,
    /// As `query`.
    pub key: Linear,
    /// As `query`.
    pub value: Linear,
    /// To `d_model`.
    pub output: Linear,
    /// Number of heads.
    pub heads: usize,
}

impl SelfAttention {
    pub(crate) fn new(d_model: usize, heads: usize, init: &mut Init<'_>) -> Self {
        let mut linear = || init.linear(d_model, d_model, true);
        Self { query: linear(), key: linear(), value: linear(), output: linear(), heads }
    }

    /// As [`forward_residual`](Attention::forward_residual), with the weights multiplied by `factors` (one a head) where they
    /// apply, and those weights. It forms them apart, which costs more.
    ///
    /// # Shapes
    /// - `x`, `residual` and first output: `[batch, tokens, d_model]`
    /// - second output: `[batch, heads, tokens, tokens]`
    ///
    /// # Panics
    /// If there is not one factor a head.
    pub(crate) fn forward_masked(&self, x: Tensor<3>, residual: Tensor<3>, factors: &[f32]) -> (Tensor<3>, Tensor<4>) {
        assert_eq!(factors.len(), self.heads, "factors for {} heads", self.heads);
        let factors = Tensor::<1>::from_floats(factors, &x.device()).reshape([1, self.heads, 1, 1]);
        let weights = self.attention_weights(x.clone()) * factors;
        let mixed = self.mix(weights.clone(), x);
        (self.output.forward_residual(mixed, residual), weights)
    }

    /// `softmax(q kᵀ / √head_dim)`; rows sum to one.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - output: `[batch, heads, tokens, tokens]`
    pub fn attention_weights(&self, x: Tensor<3>) -> Tensor<4> {
        ops::attention_weights(self.query.forward(x.clone()), self.key.forward(x), self.heads)
    }

    /// `output(dropout(softmax(q kᵀ / √head_dim)) v)`: the attention's output with its weights dropped with this probability; nothing is
    /// added to it.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, d_model]`
    pub(crate) fn forward_training(&self, x: Tensor<3>, probability: f64, keys: &SampleKeys, site: u16) -> Tensor<3> {
        let mixed = if probability == 0.0 {
            let q = self.query.forward(x.clone());
            let k = self.key.forward(x.clone());
            ops::attention(q, k, self.value.forward(x), self.heads)
        } else {
            self.mix(dropout(self.attention_weights(x.clone()), probability, keys, site), x)
        };
        self.output.forward(mixed)
    }

    /// The values of `x`, mixed by weights `[batch, heads, tokens, tokens]`, with the heads side by side again.
    fn mix(&self, weights: Tensor<4>, x: Tensor<3>) -> Tensor<3> {
        let v = self.value.forward(x);
        let [batch, tokens, inner] = v.dims();
        let v = v.reshape([batch, tokens, self.heads, inner / self.heads]).swap_dims(1, 2);
        weights.matmul(v).swap_dims(1, 2).reshape([batch, tokens, inner])
    }
}

impl Attention for SelfAttention {
    /// `residual + output(softmax(q kᵀ / √head_dim) v)`.
    fn forward_residual(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let q = self.query.forward(x.clone());
        let k = self.key.forward(x.clone());
        let v = self.value.forward(x);
        self.output.forward_residual(ops::attention(q, k, v, self.heads), residual)
    }

    fn weights(&self, x: Tensor<3>) -> Option<Tensor<4>> {
        Some(self.attention_weights(x))
    }
}
