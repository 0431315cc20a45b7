use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use layers::{FeedForward, Init, LayerNorm, Linear, ops};

use crate::{LinformerAttention, LinformerConfig};

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub attention_norm: LayerNorm,
    /// Attention.
    pub attention: LinformerAttention,
    /// Before the feed-forward layers.
    pub mlp_norm: LayerNorm,
    /// Feed-forward layers.
    pub mlp: FeedForward,
}

/// A Linformer Vision Transformer; made by [`LinformerConfig::init`].
#[derive(Module, Debug)]
pub struct Linformer {
    /// From a flattened patch to a token.
    pub patch_embedding: Linear,
    /// `[1, 1, d_model]`.
    pub cls_token: Param<Tensor<3>>,
    /// Learned positions, `[1, tokens, d_model]`, the CLS token's first.
    pub positions: Param<Tensor<3>>,
    /// The encoder.
    pub blocks: Vec<Block>,
    /// Of the CLS token, before the classifier.
    pub norm: LayerNorm,
    /// From the CLS token to logits.
    pub classifier: Linear,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
}

/// What [`Linformer::forward_full`] sees on the way to the logits.
#[derive(Debug, Clone)]
pub struct LinformerOutput {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// The embeddings, then the output of every block, each `[batch, tokens, d_model]`; the last without the final norm.
    pub hidden_states: Vec<Tensor<3>>,
    /// The weights of every block's attention over the projected sequence, each `[batch, heads, tokens, k]`;
    /// rows sum to one.
    pub attentions: Vec<Tensor<4>>,
}

impl Block {
    /// # Shapes
    /// - `x` and output: `[batch, tokens, d_model]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.attention.forward_residual(self.attention_norm.forward(x.clone()), x);
        self.mlp.forward_residual(self.mlp_norm.forward(x.clone()), x)
    }
}

impl Linformer {
    pub(crate) fn new(config: &LinformerConfig, seed: u64, device: &Device) -> Self {
        if let Err(error) = config.check() {
            panic!("{error}");
        }
        let mut init = Init::new(seed, device);
        let tokens = config.tokens();
        let LinformerConfig { d_model, d_ff, heads, k, layer_norm_eps: eps, .. } = *config;
        Self {
            patch_embedding: init.linear(config.patch_values(), d_model, true),
            cls_token: init.normal([1, 1, d_model], 1.0),
            positions: init.normal([1, tokens, d_model], 1.0),
            blocks: (0..config.depth)
                .map(|_| Block {
                    attention_norm: init.layer_norm(d_model, eps),
                    attention: LinformerAttention::new(tokens, k, d_model, heads, &mut init),
                    mlp_norm: init.layer_norm(d_model, eps),
                    mlp: FeedForward { up: init.linear(d_model, d_ff, true), down: init.linear(d_ff, d_model, true) },
                })
                .collect(),
            norm: init.layer_norm(d_model, eps),
            classifier: init.linear(d_model, config.classes, true),
            patch_size: config.patch_size,
        }
    }

    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - output: logits, `[batch, classes]`
    ///
    /// # Panics
    /// If the images are not of the configured size.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut x = self.embed(images);
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.classify(x)
    }

    /// As [`forward`](Self::forward), with all hidden states and attention maps. It forms the maps apart from the blocks'
    /// own passes, which never hold them, so it costs more.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    ///
    /// # Panics
    /// If the images are not of the configured size.
    pub fn forward_full(&self, images: Tensor<4>) -> LinformerOutput {
        let mut x = self.embed(images);
        let mut hidden_states = vec![x.clone()];
        let mut attentions = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            attentions.push(block.attention.weights(block.attention_norm.forward(x.clone())));
            x = block.forward(x);
            hidden_states.push(x.clone());
        }
        LinformerOutput { logits: self.classify(x), hidden_states, attentions }
    }

    /// Patches to tokens, with CLS token and positions.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, tokens, d_model]`
    ///
    /// # Panics
    /// If the images are not of the configured size.
    pub fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let x = self.patch_embedding.forward(ops::patches(images, self.patch_size));
        let [batch, patch_tokens, d_model] = x.dims();
        let [_, tokens, _] = self.positions.val().dims();
        assert_eq!(patch_tokens + 1, tokens, "the images have {patch_tokens} patches, the model {}", tokens - 1);
        let cls = self.cls_token.val().expand([batch, 1, d_model]);
        Tensor::cat(vec![cls, x], 1) + self.positions.val()
    }

    /// The last block's output to logits. Only the CLS token is normalised, since nothing else is read.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - output: `[batch, classes]`
    pub fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        let [batch, _, d_model] = x.dims();
        let cls = x.slice([0..batch, 0..1]).reshape([batch, d_model]);
        self.classifier.forward(self.norm.forward(cls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;
    use layers::Macs;

    #[test]
    fn published_parameter_counts() {
        let config = LinformerConfig::published();
        assert_eq!(config.init(&Device::flex()).num_params(), 2_851_842);
        let layers = config.layers();
        assert_eq!(layers.iter().map(|layer| layer.params).sum::<usize>(), 2_851_842);
        // The published summary, made by a counter that visits modules only.
        let module_wise = layers.iter().filter(|layer| !layer.bare).map(|layer| layer.params).sum::<usize>();
        assert_eq!(module_wise, 2_768_514);
    }

    #[test]
    fn published_costs_of_a_layer() {
        // k = 64 is larger than n = 50, so Linformer costs more than full attention, 4.92 against 3.92 MMAC a layer.
        let macs = Macs::of(&LinformerConfig::published().layers());
        assert_eq!((macs.projections + macs.attention) / 12, 4_915_200);
    }

    #[test]
    fn forward_gives_logits_of_the_batch() {
        let device = Device::flex();
        let config = LinformerConfig { image_size: 32, patch_size: 8, depth: 2, ..LinformerConfig::published() };
        let images = Tensor::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        assert_eq!(config.init(&device).forward(images).dims(), [2, 2]);
    }
}
