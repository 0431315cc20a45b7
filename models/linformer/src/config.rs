use burn::tensor::Device;
use layers::{InvalidConfig, Macs, check_divides, check_positive};
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
    /// Length that keys and values are projected to, the paper's k.
    pub projected_len: usize,
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
            projected_len: 64,
            layer_norm_eps: default_layer_norm_eps(),
        }
    }

    /// Says what is wrong with the sizes, if anything.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        check_positive("classes", self.classes)?;
        check_positive("depth", self.depth)?;
        check_positive("d_ff", self.d_ff)?;
        check_positive("projected_len", self.projected_len)?;
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

    /// The model with initial weights of `seed`: linear layers as PyTorch's, projections from U(±1/√projected_len), CLS token
    /// and positions from N(0, 1).
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Linformer {
        Linformer::new(self, seed, device)
    }

    /// Parameters that no leaf module holds: CLS token, positions and projections. Counters that visit modules only miss them.
    pub fn bare_params(&self) -> usize {
        (1 + self.tokens()) * self.d_model + self.depth * 2 * self.tokens() * self.projected_len
    }

    /// Multiply-accumulates of one image's forward pass.
    pub fn macs(&self) -> Macs {
        let [tokens, d_model, d_ff, depth, classes, projected] =
            [self.tokens(), self.d_model, self.d_ff, self.depth, self.classes, self.projected_len].map(|v| v as u64);
        Macs {
            patches: (tokens - 1) * self.patch_values() as u64 * d_model,
            projections: depth * (4 * tokens * d_model * d_model + 2 * tokens * projected * d_model),
            attention: depth * 2 * tokens * projected * d_model,
            mlp: depth * 2 * tokens * d_model * d_ff,
            head: d_model * classes,
        }
    }
}
