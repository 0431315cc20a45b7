//! The sizes of a [`Linformer`], and what they state of it.

use burn::tensor::Device;
use layers::architecture::{Config, Images, Preset, StageShape, Widths};
use layers::layout::Layout;
use layers::{
    Initialisation, InvalidConfig, Layer, Part, Pool, Role, block_layers, check_depth, check_divides, check_positive,
    pooled_norm_layer, token_layers,
};
use serde::{Deserialize, Serialize};

use crate::Linformer;

/// Sizes of a [`Linformer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinformerConfig {
    /// Set from the data; no part of the serialised form.
    #[serde(skip)]
    pub images: Images,
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
    /// CLS by default.
    #[serde(default = "default_pool", skip_serializing_if = "is_default_pool")]
    pub pool: Pool,
    /// As the `linformer` package and PyTorch draw them by default.
    #[serde(default, skip_serializing_if = "Initialisation::is_own")]
    pub initialisation: Initialisation,
}

fn default_layer_norm_eps() -> f64 {
    1e-5
}

fn default_pool() -> Pool {
    Pool::Cls
}

fn is_default_pool(pool: &Pool) -> bool {
    *pool == default_pool()
}

impl LinformerConfig {
    /// The published Cats vs Dogs model, known as "2.77M parameters". It actually has 2,851,842.
    pub fn published() -> Self {
        Self {
            images: Images { size: 224, channels: 3, classes: 2 },
            patch_size: 32,
            d_model: 128,
            depth: 12,
            heads: 8,
            d_ff: 512,
            k: 64,
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
        let Self { d_model, k, .. } = *self;
        let tokens = self.tokens();
        let rows = [tokens, d_model];
        let name = |layer: &str| format!("{attention}.{layer}");
        let map = |layer| Layer::linear(name(layer), d_model, &rows, false, Part::PROJECTIONS);
        let macs = (tokens * k * d_model) as u64;
        let project = |layer| Layer {
            output: vec![k, d_model],
            ..Layer::parameter(name(layer), &[tokens, k], Role::Projection).with_macs(Part::PROJECTIONS, macs)
        };
        vec![
            map("query"),
            map("key"),
            map("value"),
            project("key_projection"),
            project("value_projection"),
            Layer::new(attention, "Attention", &rows).with_macs(Part::ATTENTION, 2 * macs),
            Layer::linear(name("output"), d_model, &rows, true, Part::PROJECTIONS),
        ]
    }
}

impl Config for LinformerConfig {
    type Model = Linformer;

    const NAME: &'static str = "linformer";

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
        check_positive("k", self.k)?;
        check_divides("patch_size", self.patch_size, "image_size", self.images.size)?;
        check_divides("heads", self.heads, "d_model", self.d_model)
    }

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset { name: "linformer_published", config: Self::published() }]
    }

    fn stages(&self) -> Vec<StageShape> {
        let grid = self.images.size / self.patch_size;
        vec![StageShape::square(grid, self.pool.class_tokens(), self.d_model); self.depth + 1]
    }

    fn layers(&self) -> Vec<Layer> {
        let Self { d_model, d_ff, images, patch_size, pool, .. } = *self;
        let tokens = self.tokens();
        let mut layers = token_layers(images, patch_size, d_model, pool);
        for index in 0..self.depth {
            layers.extend(block_layers(index, [tokens, d_model], d_ff, |name| self.attention_layers(name)));
        }
        layers.push(pooled_norm_layer(tokens, d_model, pool));
        layers.push(Layer::linear("classifier", d_model, &[images.classes], true, Part::HEAD));
        layers
    }

    fn init_seeded(&self, seed: u64, device: &Device) -> Linformer {
        Linformer::new(self, seed, device)
    }

    fn layouts(&self) -> Vec<Layout> {
        // The reference has a CLS token.
        vec![if self.pool == default_pool() { self.package_layout() } else { self.own_layout() }]
    }

    fn widths(&self) -> Option<Widths> {
        Some(Widths { width: self.d_model, multiple_of: self.heads, inner: Some(self.d_ff) })
    }

    fn with_widths(&self, width: usize, inner: Option<usize>) -> Self {
        Self { d_model: width, d_ff: inner.unwrap_or(self.d_ff), ..self.clone() }
    }
}
