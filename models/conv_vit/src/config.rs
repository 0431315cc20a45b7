use burn::tensor::Device;
use layers::{InvalidConfig, LayerCost, Part, check_depth, check_divides, check_positive};
use serde::{Deserialize, Serialize};

use crate::ConvVit;

/// Sizes of a [`ConvVit`]. What comes with the images (size, channels, classes) is set by the caller and no part of the
/// serialised form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvVitConfig {
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
    /// Channels of a position.
    pub d_model: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Channels of an attention head.
    pub head_channels: usize,
    /// Width inside the feed-forward layers.
    pub d_ff: usize,
    /// Added to the variance in every layer norm.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
}

fn default_layer_norm_eps() -> f64 {
    1e-5
}

impl ConvVitConfig {
    /// The published CIFAR-10 model: 59,818 parameters.
    pub fn published() -> Self {
        Self {
            image_size: 32,
            channels: 3,
            classes: 10,
            patch_size: 2,
            d_model: 32,
            depth: 4,
            head_channels: 8,
            d_ff: 128,
            layer_norm_eps: default_layer_norm_eps(),
        }
    }

    /// Says what is wrong with the sizes, if anything.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        check_positive("classes", self.classes)?;
        check_depth(self.depth)?;
        check_positive("d_ff", self.d_ff)?;
        check_divides("patch_size", self.patch_size, "image_size", self.image_size)?;
        check_divides("head_channels", self.head_channels, "d_model", self.d_model)
    }

    /// Positions of the map that the blocks work on.
    pub fn tokens(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }

    /// Values of a flattened patch.
    pub fn patch_values(&self) -> usize {
        self.patch_size * self.patch_size * self.channels
    }

    /// The model with initial weights of seed 0.
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    pub fn init(&self, device: &Device) -> ConvVit {
        self.init_seeded(0, device)
    }

    /// The model with initial weights of `seed`: layers as PyTorch's convolutions and linear layers, positions from N(0, 1).
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> ConvVit {
        ConvVit::new(self, seed, device)
    }

    /// The model's layers in the order of computation. This is the one place that counts; sums are taken of it.
    pub fn layers(&self) -> Vec<LayerCost> {
        let Self { d_model, d_ff, classes, head_channels, .. } = *self;
        let positions = self.tokens();
        let rows = [positions, d_model];
        let mut layers = vec![
            LayerCost::linear("patch_embedding", self.patch_values(), &rows, true, Part::Patches),
            // A module of its own in the published code, so module-wise counters see it.
            LayerCost::new("positions", "Parameter", &rows, positions * d_model, None),
        ];
        for block in 0..self.depth {
            let name = |layer: &str| format!("blocks.{block}.{layer}");
            layers.push(LayerCost::layer_norm(name("attention_norm"), &rows));
            let qkv = [positions, 3 * d_model];
            layers.push(LayerCost::linear(name("attention.qkv"), d_model, &qkv, true, Part::Projections));
            let macs = 2 * (positions * d_model * head_channels) as u64;
            layers.push(LayerCost::new(name("attention"), "Attention", &rows, 0, Some((Part::Attention, macs))));
            layers.push(LayerCost::linear(name("attention.unify_heads"), d_model, &rows, true, Part::Projections));
            layers.push(LayerCost::layer_norm(name("mlp_norm"), &rows));
            layers.push(LayerCost::linear(name("mlp.up"), d_model, &[positions, d_ff], true, Part::Mlp));
            layers.push(LayerCost::linear(name("mlp.down"), d_ff, &rows, true, Part::Mlp));
        }
        layers.push(LayerCost::layer_norm("norm", &rows));
        layers.push(LayerCost::linear("classifier", d_model, &[classes], true, Part::Head));
        layers
    }
}
