//! The module. Its block is [`layers::Block`]; what is the Linformer's own is the attention and the norm in the head.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use layers::architecture::{Config, Model, Pass};
use layers::{Block, Init, LayerNorm, Linear, Pool, Scheme, ops, token_sequence};

use crate::{LinformerAttention, LinformerConfig};

/// A Vision Transformer with Linformer's attention (Wang et al. 2020, <https://arxiv.org/abs/2006.04768>); made by
/// [`LinformerConfig::init`](Config::init).
#[derive(Module, Debug)]
pub struct Linformer {
    /// From a flattened patch to a token.
    pub patch_embedding: Linear,
    /// `[1, 1, d_model]`; with [`Pool::Cls`] only.
    pub cls_token: Option<Param<Tensor<3>>>,
    /// Learned positions, `[1, tokens, d_model]`, the CLS token's first.
    pub positions: Param<Tensor<3>>,
    /// The encoder.
    pub blocks: Vec<Block<LinformerAttention>>,
    /// Before the classifier.
    pub norm: LayerNorm,
    /// From the pooled token to logits.
    pub classifier: Linear,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
    /// What the classifier reads.
    #[module(skip)]
    pub pool: Pool,
}

impl Linformer {
    pub(crate) fn new(config: &LinformerConfig, seed: u64, device: &Device) -> Self {
        if let Err(error) = config.check() {
            panic!("{error}");
        }
        let mut init = Init::new(config.initialisation.scheme(Scheme::PyTorch), seed, device);
        let tokens = config.tokens();
        let LinformerConfig { d_model, d_ff, heads, k, patch_size, layer_norm_eps, pool, images, .. } = *config;
        let attention = |init: &mut Init<'_>| LinformerAttention::new(tokens, k, d_model, heads, init);
        Self {
            patch_embedding: init.linear(images.patch_values(patch_size), d_model, true),
            cls_token: (pool == Pool::Cls).then(|| init.tokens(1, d_model)),
            positions: init.tokens(tokens, d_model),
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

impl Model for Linformer {
    /// `x = [cls; patches W + b] + positions`.
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

    /// `logits = classifier(pool(norm(x)))`.
    fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        self.classifier.forward(self.pool.reduce(self.norm.forward(self.pool.select(x))))
    }

    fn attention_weights(&self, index: usize, x: Tensor<3>) -> Option<Tensor<4>> {
        self.blocks[index].attention_weights(x)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layers::{Part, macs_by_part};

    #[test]
    fn published_parameter_counts() {
        let config = LinformerConfig::published();
        assert_eq!(config.init(&Device::flex()).num_params(), 2_851_842);
        let layers = config.layers();
        assert_eq!(layers.iter().map(|layer| layer.params()).sum::<usize>(), 2_851_842);
        // The published summary, made by a counter that visits modules only.
        let module_wise = layers.iter().filter(|layer| !layer.bare).map(|layer| layer.params()).sum::<usize>();
        assert_eq!(module_wise, 2_768_514);
    }

    #[test]
    fn published_costs_of_a_layer() {
        // k = 64 is larger than n = 50, so Linformer costs more than full attention, 4.92 against 3.92 MMAC a layer.
        let macs = macs_by_part(&LinformerConfig::published().layers());
        let of = |part| macs.iter().find(|(known, _)| *known == part).unwrap().1;
        assert_eq!((of(Part::PROJECTIONS) + of(Part::ATTENTION)) / 12, 4_915_200);
    }
}
