//! The module. Its block is [`layers::Block`]; what is its own is the attention between channels and the GELU in the head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use layers::architecture::{Config, Model, Pass};
use layers::{Block, Init, LayerNorm, Linear, Pool, Scheme, ops, token_sequence};

use crate::{ConvVitConfig, MhSelfAttention};

/// A fully-convolutional Vision Transformer, defined by this crate's documentation; made by
/// [`ConvVitConfig::init`](Config::init).
#[derive(Module, Debug)]
pub struct ConvVit {
    /// The strided convolution, as a linear map of flattened patches.
    pub patch_embedding: Linear,
    /// `[1, 1, d_model]`; with [`Pool::Cls`] only, which the published model does not have.
    pub cls_token: Option<Param<Tensor<3>>>,
    /// Learned position map, `[1, positions, d_model]`, row by row, after the CLS token's if there is one.
    pub positions: Param<Tensor<3>>,
    /// The encoder.
    pub blocks: Vec<Block<MhSelfAttention>>,
    /// After the last block.
    pub norm: LayerNorm,
    /// From the pooled position to logits.
    pub classifier: Linear,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
    /// What the classifier reads.
    #[module(skip)]
    pub pool: Pool,
}

impl ConvVit {
    pub(crate) fn new(config: &ConvVitConfig, seed: u64, device: &Device) -> Self {
        if let Err(error) = config.check() {
            panic!("{error}");
        }
        let mut init = Init::new(config.initialisation.scheme(Scheme::PyTorch), seed, device);
        let ConvVitConfig { d_model, d_ff, head_channels, patch_size, layer_norm_eps, pool, images, .. } = *config;
        let attention = |init: &mut Init<'_>| MhSelfAttention::new(d_model, head_channels, init);
        Self {
            patch_embedding: init.linear(images.patch_values(patch_size), d_model, true),
            cls_token: (pool == Pool::Cls).then(|| init.tokens(1, d_model)),
            positions: init.tokens(config.tokens(), d_model),
            blocks: (0..config.depth)
                .map(|_| Block::new(d_model, d_ff, layer_norm_eps, &mut init, attention))
                .collect(),
            norm: init.layer_norm(d_model, layer_norm_eps),
            classifier: init.linear(d_model, images.classes, true),
            patch_size,
            pool,
        }
    }
}

impl Model for ConvVit {
    /// `x = patches W + b + positions`.
    fn embed(&self, images: Tensor<4>, _: Pass<'_>) -> Tensor<3> {
        let patches = self.patch_embedding.forward(ops::patches(images, self.patch_size));
        token_sequence(patches, self.cls_token.as_ref(), &self.positions)
    }

    fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// `x = block(x)`.
    fn stage(&self, index: usize, x: Tensor<3>, _: Pass<'_>) -> Tensor<3> {
        self.blocks[index].forward(x)
    }

    /// `logits = classifier(pool(gelu(norm(x))))`.
    fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        let normed = self.norm.forward(self.pool.select(x));
        self.classifier.forward(self.pool.reduce(ops::gelu(normed)))
    }

    fn attention_weights(&self, index: usize, x: Tensor<3>) -> Option<Tensor<4>> {
        self.blocks[index].attention_weights(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_parameter_count() {
        assert_eq!(ConvVitConfig::published().init(&Device::flex()).num_params(), 59_818);
    }
}
