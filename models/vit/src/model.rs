//! The module. Its block is [`layers::Block`]; what is the ViT's own is the head, dropout, and the mask of heads.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use layers::architecture::{Config, Model, Outputs, Pass};
use layers::{Block, Init, LayerNorm, Linear, Pool, SampleKeys, Scheme, dropout, ops, token_sequence};

use crate::{Head, HeadMask, SelfAttention, VitConfig, VitDropout};

/// A Vision Transformer (Dosovitskiy et al. 2021, <https://arxiv.org/abs/2010.11929>); made by [`VitConfig::init`](Config::init).
#[derive(Module, Debug)]
pub struct Vit {
    /// From a flattened patch to a token.
    pub patch_embedding: Linear,
    /// `[1, 1, d_model]`; with [`Pool::Cls`] only.
    pub cls_token: Option<Param<Tensor<3>>>,
    /// Learned positions, `[1, tokens, d_model]`, the CLS token's first.
    pub positions: Param<Tensor<3>>,
    /// The encoder.
    pub blocks: Vec<Block<SelfAttention>>,
    /// After the last block.
    pub norm: LayerNorm,
    /// With [`Head::Pooler`] only.
    pub pooler: Option<Linear>,
    /// From the pooled token to logits.
    pub classifier: Linear,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
    /// What the classifier reads.
    #[module(skip)]
    pub pool: Pool,
    /// What a training pass drops.
    #[module(skip)]
    pub dropout: VitDropout,
}

impl Vit {
    pub(crate) fn new(config: &VitConfig, seed: u64, device: &Device) -> Self {
        if let Err(error) = config.check() {
            panic!("{error}");
        }
        let mut init = Init::new(config.initialisation.scheme(Scheme::Vit), seed, device);
        let VitConfig { d_model, d_ff, heads, patch_size, layer_norm_eps, pool, images, .. } = *config;
        let attention = |init: &mut Init<'_>| SelfAttention::new(d_model, heads, init);
        Self {
            patch_embedding: init.linear(images.patch_values(patch_size), d_model, true),
            cls_token: (pool == Pool::Cls).then(|| init.tokens(1, d_model)),
            positions: init.tokens(config.tokens(), d_model),
            blocks: (0..config.depth)
                .map(|_| Block::new(d_model, d_ff, layer_norm_eps, &mut init, attention))
                .collect(),
            norm: init.layer_norm(d_model, layer_norm_eps),
            pooler: (config.head == Head::Pooler).then(|| init.linear(d_model, d_model, true)),
            classifier: init.linear(d_model, images.classes, true),
            patch_size,
            pool,
            dropout: config.dropout,
        }
    }

    /// As [`forward_full`](Model::forward_full), with the attention weights multiplied head by head.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, size, size]`
    ///
    /// # Panics
    /// If the images are not of the configured size, or the mask is for other numbers of layers or heads.
    pub fn forward_masked(&self, images: Tensor<4>, mask: &HeadMask) -> Outputs {
        mask.check_layers(self.blocks.len());
        let mut x = self.embed(images, Pass::Inference);
        let mut hidden_states = vec![x.clone()];
        let mut attentions = Vec::with_capacity(self.blocks.len());
        for (layer, block) in self.blocks.iter().enumerate() {
            let factors = mask.layer(layer, block.attention.heads);
            let (attended, weights) =
                block.attention.forward_masked(block.attention_norm.forward(x.clone()), x, factors);
            x = block.mlp.forward_residual(block.mlp_norm.forward(attended.clone()), attended);
            attentions.push(weights);
            hidden_states.push(x.clone());
        }
        Outputs { logits: self.classify(x), hidden_states, attentions }
    }

    /// `x = x + dropout(attention(norm(x))); x = x + dropout(mlp(norm(x)))`; the draws are of `site` and the two that follow.
    fn block_with_dropout(
        &self,
        block: &Block<SelfAttention>,
        x: Tensor<3>,
        keys: &SampleKeys,
        site: u16,
    ) -> Tensor<3> {
        let VitDropout { attention, hidden, .. } = self.dropout;
        if attention == 0.0 && hidden == 0.0 {
            return block.forward(x);
        }
        let normed = block.attention_norm.forward(x.clone());
        let attended = block.attention.forward_training(normed, attention, keys, site);
        let x = x + dropout(attended, hidden, keys, site + 1);
        let fed = block.mlp.forward(block.mlp_norm.forward(x.clone()));
        x + dropout(fed, hidden, keys, site + 2)
    }
}

impl Model for Vit {
    /// `x = dropout([cls; patches W + b] + positions)`.
    fn embed(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<3> {
        let patches = self.patch_embedding.forward(ops::patches(images, self.patch_size));
        let x = token_sequence(patches, self.cls_token.as_ref(), &self.positions);
        match pass {
            Pass::Inference => x,
            Pass::Training(keys) => dropout(x, self.dropout.embeddings, keys, 0),
        }
    }

    fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// `x = block(x)`.
    fn stage(&self, index: usize, x: Tensor<3>, pass: Pass<'_>) -> Tensor<3> {
        match pass {
            Pass::Inference => self.blocks[index].forward(x),
            Pass::Training(keys) => self.block_with_dropout(&self.blocks[index], x, keys, (1 + 3 * index) as u16),
        }
    }

    /// `logits = classifier(pooler(pool(norm(x))))`.
    fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        let pooled = self.pool.reduce(self.norm.forward(self.pool.select(x)));
        let pooled = match &self.pooler {
            Some(pooler) => pooler.forward(pooled).tanh(),
            None => pooled,
        };
        self.classifier.forward(pooled)
    }

    fn attention_weights(&self, index: usize, x: Tensor<3>) -> Option<Tensor<4>> {
        self.blocks[index].attention_weights(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_parameter_counts() {
        // Counts of transformers' models: with pooler and 2 and 100 classes, and without pooler and 1,000 classes; timm's of the small
        // ones.
        let device = Device::flex();
        let count = |config: VitConfig| config.init(&device).num_params();
        assert_eq!(count(VitConfig::base(2)), 86_390_786);
        assert_eq!(count(VitConfig::base(100)), 86_466_148);
        assert_eq!(count(VitConfig { head: Head::Cls, ..VitConfig::base(1000) }), 86_567_656);
        assert_eq!(count(VitConfig::small(1000)), 22_050_664);
        assert_eq!(count(VitConfig::tiny(1000)), 5_717_416);
    }

    #[test]
    fn sizes_that_fit_no_model_are_named() {
        let config = VitConfig { patch_size: 5, ..VitConfig::tiny_cifar(10) };
        assert_eq!(config.check().unwrap_err().key, "patch_size");
        let config = VitConfig { heads: 5, ..VitConfig::tiny_cifar(10) };
        assert_eq!(config.check().unwrap_err().to_string(), "heads: 5 does not divide d_model = 192; take 4 or 6");
    }
}
