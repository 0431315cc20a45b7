use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use layers::{FeedForward, Init, LayerNorm, Linear, SampleKeys, dropout, ops};

use crate::{Head, HeadMask, SelfAttention, VitConfig, VitDropout};

/// Standard deviation of initial weights.
const INIT_STD: f32 = 0.02;

/// A pre-norm transformer block.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub attention_norm: LayerNorm,
    /// Attention.
    pub attention: SelfAttention,
    /// Before the feed-forward layers.
    pub mlp_norm: LayerNorm,
    /// Feed-forward layers.
    pub mlp: FeedForward,
}

/// A Vision Transformer; made by [`VitConfig::init`].
#[derive(Module, Debug)]
pub struct Vit {
    /// From a flattened patch to a token.
    pub patch_embedding: Linear,
    /// `[1, 1, d_model]`.
    pub cls_token: Param<Tensor<3>>,
    /// Learned positions, `[1, tokens, d_model]`, the CLS token's first.
    pub positions: Param<Tensor<3>>,
    /// The encoder.
    pub blocks: Vec<Block>,
    /// After the last block.
    pub norm: LayerNorm,
    /// With [`Head::Pooler`] only.
    pub pooler: Option<Linear>,
    /// From the CLS token to logits.
    pub classifier: Linear,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
    /// What [`Vit::forward_training`] drops.
    #[module(skip)]
    pub dropout: VitDropout,
}

/// What [`Vit::forward_full`] sees on the way to the logits.
#[derive(Debug, Clone)]
pub struct VitOutput {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// The embeddings, then the output of every block, each `[batch, tokens, d_model]`; the last without the final norm.
    pub hidden_states: Vec<Tensor<3>>,
    /// The weights of every block's attention, each `[batch, heads, tokens, tokens]`; rows sum to one, or to the head's
    /// factor if there is a mask.
    pub attentions: Vec<Tensor<4>>,
}

impl Block {
    /// # Shapes
    /// - `x` and output: `[batch, tokens, d_model]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.attention.forward_residual(self.attention_norm.forward(x.clone()), x);
        self.mlp.forward_residual(self.mlp_norm.forward(x.clone()), x)
    }

    /// As [`forward`](Self::forward), with dropout; the draws are of `site` and the two that follow.
    fn forward_training(&self, x: Tensor<3>, dropped: VitDropout, keys: &SampleKeys, site: u16) -> Tensor<3> {
        if dropped.attention == 0.0 && dropped.hidden == 0.0 {
            return self.forward(x);
        }
        let normed = self.attention_norm.forward(x.clone());
        let attended = self.attention.forward_training(normed, dropped.attention, keys, site);
        let x = x + dropout(attended, dropped.hidden, keys, site + 1);
        let fed = self.mlp.forward(self.mlp_norm.forward(x.clone()));
        x + dropout(fed, dropped.hidden, keys, site + 2)
    }

    /// As [`forward`](Self::forward), with the attention weights, multiplied by `factors` if there are any.
    fn forward_with_weights(&self, x: Tensor<3>, factors: Option<&[f32]>) -> (Tensor<3>, Tensor<4>) {
        let normed = self.attention_norm.forward(x.clone());
        let Some(factors) = factors else {
            let weights = self.attention.weights(normed);
            return (self.forward(x), weights);
        };
        let (x, weights) = self.attention.forward_masked(normed, x, factors);
        (self.mlp.forward_residual(self.mlp_norm.forward(x.clone()), x), weights)
    }
}

impl Vit {
    pub(crate) fn new(config: &VitConfig, seed: u64, device: &Device) -> Self {
        if let Err(error) = config.check() {
            panic!("{error}");
        }
        let mut init = Init::new(seed, device);
        let VitConfig { d_model, d_ff, heads, layer_norm_eps: eps, .. } = *config;
        Self {
            patch_embedding: init.linear_normal(config.patch_values(), d_model, INIT_STD),
            cls_token: init.constant([1, 1, d_model], 0.0),
            positions: init.constant([1, config.tokens(), d_model], 0.0),
            blocks: (0..config.depth)
                .map(|_| Block {
                    attention_norm: init.layer_norm(d_model, eps),
                    attention: SelfAttention::new(d_model, heads, INIT_STD, &mut init),
                    mlp_norm: init.layer_norm(d_model, eps),
                    mlp: FeedForward {
                        up: init.linear_normal(d_model, d_ff, INIT_STD),
                        down: init.linear_normal(d_ff, d_model, INIT_STD),
                    },
                })
                .collect(),
            norm: init.layer_norm(d_model, eps),
            pooler: (config.head == Head::Pooler).then(|| init.linear_normal(d_model, d_model, INIT_STD)),
            classifier: init.linear_normal(d_model, config.classes, INIT_STD),
            patch_size: config.patch_size,
            dropout: config.dropout,
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

    /// As [`forward`](Self::forward), with dropout as configured, drawn for the given samples.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - output: logits, `[batch, classes]`
    ///
    /// # Panics
    /// If the images are not of the configured size, or there is not one key a sample.
    pub fn forward_training(&self, images: Tensor<4>, keys: &SampleKeys) -> Tensor<2> {
        let mut x = self.embed_training(images, keys);
        for block in 0..self.blocks.len() {
            x = self.block_training(block, x, keys);
        }
        self.classify(x)
    }

    /// The first step of [`forward_training`](Self::forward_training): as [`embed`](Self::embed), with dropout.
    pub fn embed_training(&self, images: Tensor<4>, keys: &SampleKeys) -> Tensor<3> {
        dropout(self.embed(images), self.dropout.embeddings, keys, 0)
    }

    /// A step of [`forward_training`](Self::forward_training): one block, with dropout.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, d_model]`
    pub fn block_training(&self, block: usize, x: Tensor<3>, keys: &SampleKeys) -> Tensor<3> {
        self.blocks[block].forward_training(x, self.dropout, keys, (1 + 3 * block) as u16)
    }

    /// As [`forward`](Self::forward), with all hidden states and attention maps. It forms the maps apart from the blocks'
    /// own passes, which never hold them, so it costs more. `mask` multiplies the attention weights head by head.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    ///
    /// # Panics
    /// If the images are not of the configured size, or the mask is for other numbers of layers or heads.
    pub fn forward_full(&self, images: Tensor<4>, mask: Option<&HeadMask>) -> VitOutput {
        if let Some(mask) = mask {
            mask.check_layers(self.blocks.len());
        }
        let mut x = self.embed(images);
        let mut hidden_states = vec![x.clone()];
        let mut attentions = Vec::with_capacity(self.blocks.len());
        for (layer, block) in self.blocks.iter().enumerate() {
            let factors = mask.map(|mask| mask.layer(layer, block.attention.heads));
            let weights;
            (x, weights) = block.forward_with_weights(x, factors);
            attentions.push(weights);
            hidden_states.push(x.clone());
        }
        VitOutput { logits: self.classify(x), hidden_states, attentions }
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
        let cls = self.norm.forward(x.slice([0..batch, 0..1]).reshape([batch, d_model]));
        let cls = match &self.pooler {
            Some(pooler) => pooler.forward(cls).tanh(),
            None => cls,
        };
        self.classifier.forward(cls)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    #[test]
    fn published_parameter_counts() {
        // Counts of transformers' models: with pooler and 2 and 100 classes, and without pooler and 1,000 classes.
        let device = Device::flex();
        let count = |config: VitConfig| config.init(&device).num_params();
        assert_eq!(count(VitConfig::base(2)), 86_390_786);
        assert_eq!(count(VitConfig::base(100)), 86_466_148);
        assert_eq!(count(VitConfig { head: Head::Cls, ..VitConfig::base(1000) }), 86_567_656);
    }

    #[test]
    fn forward_gives_logits_of_the_batch() {
        let device = Device::flex();
        let model = VitConfig { d_model: 12, d_ff: 24, depth: 2, ..VitConfig::tiny_cifar(7) }.init(&device);
        let images = Tensor::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
        assert_eq!(model.forward(images).dims(), [2, 7]);
    }

    #[test]
    fn sizes_that_fit_no_model_are_named() {
        let config = VitConfig { patch_size: 5, ..VitConfig::tiny_cifar(10) };
        assert_eq!(config.check().unwrap_err().key, "patch_size");
        let config = VitConfig { heads: 5, ..VitConfig::tiny_cifar(10) };
        assert_eq!(config.check().unwrap_err().to_string(), "heads: 5 does not divide d_model = 192; take 4 or 6");
    }
}
