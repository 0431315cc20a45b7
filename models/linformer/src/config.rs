use burn::tensor::Device;
use layers::{InvalidConfig, LayerCost, Part, check_depth, check_divides, check_positive};
use serde::{Deserialize, Serialize};

use crate::Linformer;

/// Sizes of a [`Linformer`]. What comes with the images (size, channels, classes) is set by the caller and no part of the
/// serialised form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinformerConfig {
    /// Height and width of the images in pixels.
    #[serde(skip)]
    pub image_size: usize,
    /// Channels of the images.
    #[serde(skip)]
    pub channels: usize,
    /// Number of classes.
    #[serde(skip)]
    pub classes: usize,
    /// Height and width of a patch in pixels.
    pub patch_size: usize,
    /// Width of a token.
    pub d_model: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads of a block.
    pub heads: usize,
    /// Width inside the feed-forward layers.
    pub d_ff: usize,
    /// Length that keys and values are projected to. Older weights files and results call it `projected_len`.
    #[serde(alias = "projected_len")]
    pub k: usize,
    /// Added to the variance in every layer norm.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
}

fn default_layer_norm_eps() -> f64 {
    1e-5
}

impl LinformerConfig {
    /// The published Cats vs Dogs model, known as "2.77M parameters": 2,851,842 in truth.
    pub fn published() -> Self {
        Self {
            image_size: 224,
            channels: 3,
            classes: 2,
            patch_size: 32,
            d_model: 128,
            depth: 12,
            heads: 8,
            d_ff: 512,
            k: 64,
            layer_norm_eps: default_layer_norm_eps(),
        }
    }

    /// Says what is wrong with the sizes, if anything.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        check_positive("classes", self.classes)?;
        check_depth(self.depth)?;
        check_positive("d_ff", self.d_ff)?;
        check_positive("k", self.k)?;
        check_divides("patch_size", self.patch_size, "image_size", self.image_size)?;
        check_divides("heads", self.heads, "d_model", self.d_model)
    }

    /// Patches and the CLS token.
    pub fn tokens(&self) -> usize {
        (self.image_size / self.patch_size).pow(2) + 1
    }

    /// Values of a flattened patch.
    pub fn patch_values(&self) -> usize {
        self.patch_size * self.patch_size * self.channels
    }

    /// The model with initial weights of seed 0.
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    pub fn init(&self, device: &Device) -> Linformer {
        self.init_seeded(0, device)
    }

    /// The model with initial weights of `seed`: linear layers as PyTorch's, projections from U(±1/√k), CLS token
    /// and positions from N(0, 1).
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Linformer {
        Linformer::new(self, seed, device)
    }

    /// The model's layers in the order of computation. This is the one place that counts; sums are taken of it.
    pub fn layers(&self) -> Vec<LayerCost> {
        let Self { d_model, d_ff, classes, k, .. } = *self;
        let tokens = self.tokens();
        let (rows, projected) = ([tokens, d_model], [k, d_model]);
        let mut layers = vec![
            LayerCost::linear("patch_embedding", self.patch_values(), &[tokens - 1, d_model], true, Part::Patches),
            LayerCost::parameter("cls_token", &[1, d_model]),
            LayerCost::parameter("positions", &rows),
        ];
        for block in 0..self.depth {
            let name = |layer: &str| format!("blocks.{block}.{layer}");
            layers.push(LayerCost::layer_norm(name("attention_norm"), &rows));
            for map in ["attention.query", "attention.key", "attention.value"] {
                layers.push(LayerCost::linear(name(map), d_model, &rows, false, Part::Projections));
            }
            let macs = (tokens * k * d_model) as u64;
            for map in ["attention.key_projection", "attention.value_projection"] {
                layers.push(LayerCost {
                    output: projected.to_vec(),
                    macs: Some((Part::Projections, macs)),
                    ..LayerCost::parameter(name(map), &[tokens, k])
                });
            }
            layers.push(LayerCost::new(name("attention"), "Attention", &rows, 0, Some((Part::Attention, 2 * macs))));
            layers.push(LayerCost::linear(name("attention.output"), d_model, &rows, true, Part::Projections));
            layers.push(LayerCost::layer_norm(name("mlp_norm"), &rows));
            layers.push(LayerCost::linear(name("mlp.up"), d_model, &[tokens, d_ff], true, Part::Mlp));
            layers.push(LayerCost::linear(name("mlp.down"), d_ff, &rows, true, Part::Mlp));
        }
        layers.push(LayerCost::layer_norm("norm", &[d_model]));
        layers.push(LayerCost::linear("classifier", d_model, &[classes], true, Part::Head));
        layers
    }
}
