use burn::module::Module;
use burn::tensor::Tensor;
use layers::{Init, Linear, ops};

/// Multi-head self-attention with biases on all four linear maps.
#[derive(Module, Debug)]
pub struct SelfAttention {
    /// `d_model` to `d_model`.
    pub query: Linear,
    /// `d_model` to `d_model`.
    pub key: Linear,
    /// `d_model` to `d_model`.
    pub value: Linear,
    /// `d_model` to `d_model`.
    pub output: Linear,
    /// Number of heads.
    pub heads: usize,
}

impl SelfAttention {
    pub(crate) fn new(d_model: usize, heads: usize, std: f32, init: &mut Init<'_>) -> Self {
        let mut linear = || init.linear_normal(d_model, d_model, std);
        Self { query: linear(), key: linear(), value: linear(), output: linear(), heads }
    }

    /// `residual + attention(x)`.
    ///
    /// # Shapes
    /// - `x`, `residual` and output: `[batch, tokens, d_model]`
    pub fn forward_residual(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        let q = self.query.forward(x.clone());
        let k = self.key.forward(x.clone());
        let v = self.value.forward(x);
        self.output.forward_residual(ops::attention(q, k, v, self.heads), residual)
    }

    /// The weights with which the values of `x` are mixed; rows sum to one.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - output: `[batch, heads, tokens, tokens]`
    pub fn weights(&self, x: Tensor<3>) -> Tensor<4> {
        ops::attention_weights(self.query.forward(x.clone()), self.key.forward(x), self.heads)
    }
}
