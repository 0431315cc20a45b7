use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use layers::{FeedForward, Init, LayerNorm, Linear, ops};

use crate::{ConvVitConfig, MhSelfAttention};

/// A pre-norm block.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub attention_norm: LayerNorm,
    /// Attention between channels.
    pub attention: MhSelfAttention,
    /// Before the feed-forward layers.
    pub mlp_norm: LayerNorm,
    /// Two 1x1 convolutions.
    pub mlp: FeedForward,
}

/// A fully-convolutional Vision Transformer; made by [`ConvVitConfig::init`].
#[derive(Module, Debug)]
pub struct ConvVit {
    /// The strided convolution, as a linear map of flattened patches.
    pub patch_embedding: Linear,
    /// Learned position map, `[1, positions, d_model]`, row by row.
    pub positions: Param<Tensor<3>>,
    /// The encoder.
    pub blocks: Vec<Block>,
    /// After the last block.
    pub norm: LayerNorm,
    /// From the mean over positions to logits.
    pub classifier: Linear,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
}

/// What [`ConvVit::forward_full`] sees on the way to the logits.
#[derive(Debug, Clone)]
pub struct ConvVitOutput {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// The embeddings, then the output of every block, each `[batch, positions, d_model]`; the last without the final norm.
    pub hidden_states: Vec<Tensor<3>>,
    /// The weights of every block's attention, each `[batch, heads, head_channels (query), head_channels (key)]`; columns
    /// sum to one.
    pub attentions: Vec<Tensor<4>>,
}

impl Block {
    /// # Shapes
    /// - `x` and output: `[batch, positions, d_model]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.attention.forward_residual(self.attention_norm.forward(x.clone()), x);
        self.mlp.forward_residual(self.mlp_norm.forward(x.clone()), x)
    }
}

impl ConvVit {
    pub(crate) fn new(config: &ConvVitConfig, seed: u64, device: &Device) -> Self {
        if let Err(error) = config.check() {
            panic!("{error}");
        }
        let mut init = Init::new(seed, device);
        let ConvVitConfig { d_model, d_ff, head_channels, layer_norm_eps: eps, .. } = *config;
        Self {
            patch_embedding: init.linear(config.patch_values(), d_model, true),
            positions: init.normal([1, config.tokens(), d_model], 1.0),
            blocks: (0..config.depth)
                .map(|_| Block {
                    attention_norm: init.layer_norm(d_model, eps),
                    attention: MhSelfAttention::new(d_model, head_channels, &mut init),
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
    /// own passes, so it costs more.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    ///
    /// # Panics
    /// If the images are not of the configured size.
    pub fn forward_full(&self, images: Tensor<4>) -> ConvVitOutput {
        let mut x = self.embed(images);
        let mut hidden_states = vec![x.clone()];
        let mut attentions = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            attentions.push(block.attention.weights(block.attention_norm.forward(x.clone())));
            x = block.forward(x);
            hidden_states.push(x.clone());
        }
        ConvVitOutput { logits: self.classify(x), hidden_states, attentions }
    }

    /// Patches to positions of the map.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, positions, d_model]`
    ///
    /// # Panics
    /// If the images are not of the configured size.
    pub fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        self.patch_embedding.forward(ops::patches(images, self.patch_size)) + self.positions.val()
    }

    /// The last block's output to logits.
    ///
    /// # Shapes
    /// - `x`: `[batch, positions, d_model]`
    /// - output: `[batch, classes]`
    pub fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        let [batch, _, d_model] = x.dims();
        let pooled = ops::gelu(self.norm.forward(x)).mean_dim(1).reshape([batch, d_model]);
        self.classifier.forward(pooled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn published_parameter_count() {
        assert_eq!(ConvVitConfig::published().init(&Device::flex()).num_params(), 59_818);
    }

    #[test]
    fn forward_gives_logits_of_the_batch() {
        let device = Device::flex();
        let images = Tensor::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        assert_eq!(ConvVitConfig::published().init(&device).forward(images).dims(), [2, 10]);
    }
}
