//! The sizes of a [`ConvVit`], and what they state of it.

use burn::tensor::Device;
use layers::architecture::{Config, Images, Preset, StageShape, Widths};
use layers::layout::Layout;
use layers::{
    Initialisation, InvalidConfig, Layer, Part, Pool, block_layers, check_depth, check_divides, check_positive,
    pooled_norm_layer, token_layers,
};
use serde::{Deserialize, Serialize};

use crate::ConvVit;

/// Sizes of a [`ConvVit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvVitConfig {
    /// Set from the data; no part of the serialised form.
    #[serde(skip)]
    pub images: Images,
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
    /// The mean by default.
    #[serde(default = "default_pool", skip_serializing_if = "is_default_pool")]
    pub pool: Pool,
    /// As PyTorch draws them by default.
    #[serde(default, skip_serializing_if = "Initialisation::is_own")]
    pub initialisation: Initialisation,
}

fn default_layer_norm_eps() -> f64 {
    1e-5
}

fn default_pool() -> Pool {
    Pool::Mean
}

fn is_default_pool(pool: &Pool) -> bool {
    *pool == default_pool()
}

impl ConvVitConfig {
    /// The published CIFAR-10 model: 59,818 parameters.
    pub fn published() -> Self {
        Self {
            images: Images { size: 32, channels: 3, classes: 10 },
            patch_size: 2,
            d_model: 32,
            depth: 4,
            head_channels: 8,
            d_ff: 128,
            layer_norm_eps: default_layer_norm_eps(),
            pool: default_pool(),
            initialisation: Initialisation::Own,
        }
    }

    /// Patches, and the CLS token if there is one.
    pub fn tokens(&self) -> usize {
        self.images.patches(self.patch_size) + self.pool.class_tokens()
    }

    /// The layers of a block's attention, whose names start with `attention`.
    fn attention_layers(&self, attention: &str) -> Vec<Layer> {
        let Self { d_model, head_channels, .. } = *self;
        let positions = self.tokens();
        let rows = [positions, d_model];
        let macs = 2 * (positions * d_model * head_channels) as u64;
        let (qkv, unify) = (format!("{attention}.qkv"), format!("{attention}.unify_heads"));
        vec![
            Layer::linear(qkv, d_model, &[positions, 3 * d_model], true, Part::PROJECTIONS).fused(3),
            Layer::new(attention, "Attention", &rows).with_macs(Part::ATTENTION, macs),
            Layer::linear(unify, d_model, &rows, true, Part::PROJECTIONS),
        ]
    }
}

impl Config for ConvVitConfig {
    type Model = ConvVit;

    const NAME: &'static str = "conv_vit";

    fn images(&self) -> Images {
        self.images
    }

    fn images_mut(&mut self) -> &mut Images {
        &mut self.images
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        check_positive("classes", self.images.classes)?;
        check_depth(self.depth)?;
        check_positive("d_ff", self.d_ff)?;
        check_divides("patch_size", self.patch_size, "image_size", self.images.size)?;
        check_divides("head_channels", self.head_channels, "d_model", self.d_model)
    }

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset { name: "conv_vit_published", config: Self::published() }]
    }

    fn stages(&self) -> Vec<StageShape> {
        let grid = self.images.size / self.patch_size;
        vec![StageShape::square(grid, self.pool.class_tokens(), self.d_model); self.depth + 1]
    }

    fn layers(&self) -> Vec<Layer> {
        let Self { d_model, d_ff, images, patch_size, pool, .. } = *self;
        let tokens = self.tokens();
        let mut layers = token_layers(images, patch_size, d_model, pool);
        // A module of its own in the published code, so module-wise counters see it.
        let positions = layers.last_mut().expect("positions come last");
        positions.bare = false;
        for index in 0..self.depth {
            layers.extend(block_layers(index, [tokens, d_model], d_ff, |name| self.attention_layers(name)));
        }
        layers.push(pooled_norm_layer(tokens, d_model, pool));
        layers.push(Layer::linear("classifier", d_model, &[images.classes], true, Part::HEAD));
        layers
    }

    fn init_seeded(&self, seed: u64, device: &Device) -> ConvVit {
        ConvVit::new(self, seed, device)
    }

    fn layouts(&self) -> Vec<Layout> {
        // The published model has no CLS token.
        vec![if self.pool == default_pool() { self.pytorch_layout() } else { self.own_layout() }]
    }

    fn widths(&self) -> Option<Widths> {
        Some(Widths { width: self.d_model, multiple_of: self.head_channels, inner: Some(self.d_ff) })
    }

    fn with_widths(&self, width: usize, inner: Option<usize>) -> Self {
        Self { d_model: width, d_ff: inner.unwrap_or(self.d_ff), ..self.clone() }
    }
}
