//! Linformer's attention.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use layers::{Attention, Init, Linear, ops};

/// Multi-head attention over a projected sequence (Wang et al. 2020, <https://arxiv.org/abs/2006.04768>, equation 7):
/// `softmax(q (Eᵀ k)ᵀ / √head_dim) (Fᵀ v)`, head by head.
#[derive(Module, Debug)]
pub struct LinformerAttention {
    /// `d_model` to `d_model`, without bias.
    pub query: Linear,
    /// `d_model` to `d_model`, without bias.
    pub key: Linear,
    /// `d_model` to `d_model`, without bias.
    pub value: Linear,
    /// The paper's E, `[tokens, k]`, shared by the heads.
    pub key_projection: Param<Tensor<2>>,
    /// The paper's F, `[tokens, k]`, shared by the heads.
    pub value_projection: Param<Tensor<2>>,
    /// `d_model` to `d_model`, with bias.
    pub output: Linear,
    /// Number of heads.
    pub heads: usize,
}

impl LinformerAttention {
    pub(crate) fn new(tokens: usize, k: usize, d_model: usize, heads: usize, init: &mut Init<'_>) -> Self {
        // As the `linformer` package draws them: U(±1/√k).
        let bound = (k as f32).sqrt().recip();
        Self {
            query: init.linear(d_model, d_model, false),
            key: init.linear(d_model, d_model, false),
            value: init.linear(d_model, d_model, false),
            key_projection: init.projection(tokens, k, bound),
            value_projection: init.projection(tokens, k, bound),
            output: init.linear(d_model, d_model, true),
            heads,
        }
    }
}

impl Attention for LinformerAttention {
    /// `residual + output(softmax(q (Eᵀ k)ᵀ / √head_dim) (Fᵀ v))`.
    fn forward_residual(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let q = self.query.forward(x.clone());
        let k = ops::project_tokens(self.key_projection.val(), self.key.forward(x.clone()));
        let v = ops::project_tokens(self.value_projection.val(), self.value.forward(x));
        self.output.forward_residual(ops::attention(q, k, v, self.heads), residual)
    }

    /// `softmax(q (Eᵀ k)ᵀ / √head_dim)`, `[batch, heads, tokens, k]`; rows sum to one.
    fn weights(&self, x: Tensor<3>) -> Option<Tensor<4>> {
        let k = ops::project_tokens(self.key_projection.val(), self.key.forward(x.clone()));
        Some(ops::attention_weights(self.query.forward(x), k, self.heads))
    }
}
