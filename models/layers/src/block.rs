//! The pre-norm block that all transformers here are made of, whatever mixes its tokens.

use burn::module::Module;
use burn::tensor::Tensor;

use crate::{FeedForward, Init, Layer, LayerNorm, Part};

/// What mixes the tokens of a block: attention, or whatever takes its place.
pub trait Attention: Module {
    /// `residual + attention(x)`.
    ///
    /// # Shapes
    /// - `x`, `residual` and output: `[batch, tokens, d_model]`
    fn forward_residual(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3>;

    /// The weights with which the values of `x` are mixed; none if nothing depends on `x`.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - output: `[batch, heads, queries, keys]`
    fn weights(&self, _x: Tensor<3>) -> Option<Tensor<4>> {
        None
    }
}

/// A pre-norm transformer block (Wang et al. 2019, <https://arxiv.org/abs/1906.01787>).
#[derive(Module, Debug)]
pub struct Block<A: Module> {
    /// Before attention.
    pub attention_norm: LayerNorm,
    /// Mixes the tokens.
    pub attention: A,
    /// Before the feed-forward layers.
    pub mlp_norm: LayerNorm,
    /// Mixes the channels of each token.
    pub mlp: FeedForward,
}

impl<A: Attention> Block<A> {
    /// Initial values; `attention` makes the attention between the two norms.
    pub fn new(
        d_model: usize,
        d_ff: usize,
        epsilon: f64,
        init: &mut Init<'_>,
        attention: impl FnOnce(&mut Init<'_>) -> A,
    ) -> Self {
        Self {
            attention_norm: init.layer_norm(d_model, epsilon),
            attention: attention(init),
            mlp_norm: init.layer_norm(d_model, epsilon),
            mlp: FeedForward { up: init.linear(d_model, d_ff, true), down: init.linear(d_ff, d_model, true) },
        }
    }

    /// `x = x + attention(norm(x)); x = x + mlp(norm(x))`.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, d_model]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.attention.forward_residual(self.attention_norm.forward(x.clone()), x);
        self.mlp.forward_residual(self.mlp_norm.forward(x.clone()), x)
    }

    /// The attention weights for the block's input `x`, if its attention has any.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - output: `[batch, heads, queries, keys]`
    pub fn attention_weights(&self, x: Tensor<3>) -> Option<Tensor<4>> {
        self.attention.weights(self.attention_norm.forward(x))
    }
}

/// The layers of the `index`th block; `attention` states those of its attention, whose names start with the given prefix.
///
/// # Shapes
/// - `rows`: `[tokens, d_model]`
pub fn block_layers(
    index: usize,
    rows: [usize; 2],
    d_ff: usize,
    attention: impl FnOnce(&str) -> Vec<Layer>,
) -> Vec<Layer> {
    let [tokens, d_model] = rows;
    let name = |layer: &str| format!("blocks.{index}.{layer}");
    let mut layers = vec![Layer::layer_norm(name("attention_norm"), &rows)];
    layers.extend(attention(&name("attention")));
    layers.extend([
        Layer::layer_norm(name("mlp_norm"), &rows),
        Layer::linear(name("mlp.up"), d_model, &[tokens, d_ff], true, Part::MLP),
        Layer::linear(name("mlp.down"), d_ff, &rows, true, Part::MLP),
    ]);
    layers.into_iter().map(|layer| layer.in_stage(index)).collect()
}
