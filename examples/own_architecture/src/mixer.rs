//! The architecture: sizes, module, and what both state of themselves.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use vitbench::layers::architecture::{Config, Images, Model, Pass, Preset, StageShape, Widths};
use vitbench::layers::{
    Attention, Block, FeedForward, Init, InvalidConfig, Layer, LayerNorm, Linear, Part, Pool, Scheme, block_layers,
    check_depth, check_divides, check_positive, ops,
};

/// Sizes of a [`Mixer`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MixerConfig {
    #[serde(skip)]
    images: Images,
    /// Height and width of a patch in pixels.
    patch_size: usize,
    /// Channels of a token.
    d_model: usize,
    /// Number of blocks.
    depth: usize,
    /// Width inside the layers that mix the tokens.
    d_tokens: usize,
    /// Width inside the layers that mix the channels.
    d_ff: usize,
}

/// Two layers along the tokens, the same for every channel.
#[derive(Module, Debug)]
pub(crate) struct TokenMixing {
    mlp: FeedForward,
}

impl Attention for TokenMixing {
    /// `residual + mlp(xᵀ)ᵀ`.
    fn forward_residual(&self, x: Tensor<3>, residual: Tensor<3>) -> Tensor<3> {
        residual + self.mlp.forward(x.swap_dims(1, 2)).swap_dims(1, 2)
    }
}

/// An MLP-Mixer; made by [`MixerConfig::init`](Config::init).
#[derive(Module, Debug)]
pub(crate) struct Mixer {
    patch_embedding: Linear,
    blocks: Vec<Block<TokenMixing>>,
    norm: LayerNorm,
    classifier: Linear,
    patch_size: usize,
}

impl Model for Mixer {
    /// `x = patches W + b`.
    fn embed(&self, images: Tensor<4>, _: Pass<'_>) -> Tensor<3> {
        self.patch_embedding.forward(ops::patches(images, self.patch_size))
    }

    fn depth(&self) -> usize {
        self.blocks.len()
    }

    /// `x = x + mlp(norm(x)ᵀ)ᵀ; x = x + mlp(norm(x))`.
    fn stage(&self, index: usize, x: Tensor<3>, _: Pass<'_>) -> Tensor<3> {
        self.blocks[index].forward(x)
    }

    /// `logits = classifier(mean(norm(x)))`.
    fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        self.classifier.forward(Pool::Mean.reduce(self.norm.forward(x)))
    }
}

/// Token mixing has a column of its own in the tables of multiply-accumulates.
const TOKEN_MIXING: Part = Part("token_mixing");
const EPSILON: f64 = 1e-6;

impl Config for MixerConfig {
    type Model = Mixer;

    const NAME: &'static str = "mixer";

    fn images(&self) -> Images {
        self.images
    }

    fn images_mut(&mut self) -> &mut Images {
        &mut self.images
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        check_depth(self.depth)?;
        check_positive("d_model", self.d_model)?;
        check_positive("d_tokens", self.d_tokens)?;
        check_positive("d_ff", self.d_ff)?;
        check_divides("patch_size", self.patch_size, "image_size", self.images.size)
    }

    fn presets() -> Vec<Preset<Self>> {
        let images = Images { size: 224, channels: 3, classes: 1000 };
        let config = Self { images, patch_size: 16, d_model: 512, depth: 8, d_tokens: 256, d_ff: 2048 };
        vec![Preset { name: "mixer_s16", config }]
    }

    fn stages(&self) -> Vec<StageShape> {
        vec![StageShape::square(self.images.size / self.patch_size, 0, self.d_model); self.depth + 1]
    }

    fn layers(&self) -> Vec<Layer> {
        let Self { images, patch_size, d_model, d_tokens, d_ff, .. } = *self;
        let rows = [images.patches(patch_size), d_model];
        let values = images.patch_values(patch_size);
        let mut layers = vec![Layer::linear("patch_embedding", values, &rows, true, Part::PATCHES)];
        for index in 0..self.depth {
            layers.extend(block_layers(index, rows, d_ff, |name| {
                let (up, down) = (format!("{name}.mlp.up"), format!("{name}.mlp.down"));
                vec![
                    Layer::linear(up, rows[0], &[d_model, d_tokens], true, TOKEN_MIXING),
                    Layer::linear(down, d_tokens, &[d_model, rows[0]], true, TOKEN_MIXING),
                ]
            }));
        }
        layers.push(Layer::layer_norm("norm", &rows));
        layers.push(Layer::linear("classifier", d_model, &[images.classes], true, Part::HEAD));
        layers
    }

    fn init_seeded(&self, seed: u64, device: &Device) -> Mixer {
        let mut init = Init::new(Scheme::PyTorch, seed, device);
        let (tokens, d_tokens) = (self.images.patches(self.patch_size), self.d_tokens);
        let mixing = |init: &mut Init<'_>| TokenMixing {
            mlp: FeedForward { up: init.linear(tokens, d_tokens, true), down: init.linear(d_tokens, tokens, true) },
        };
        Mixer {
            patch_embedding: init.linear(self.images.patch_values(self.patch_size), self.d_model, true),
            blocks: (0..self.depth).map(|_| Block::new(self.d_model, self.d_ff, EPSILON, &mut init, mixing)).collect(),
            norm: init.layer_norm(self.d_model, EPSILON),
            classifier: init.linear(self.d_model, self.images.classes, true),
            patch_size: self.patch_size,
        }
    }

    fn widths(&self) -> Option<Widths> {
        Some(Widths { width: self.d_model, multiple_of: 1, inner: Some(self.d_ff) })
    }

    fn with_widths(&self, width: usize, inner: Option<usize>) -> Self {
        Self { d_model: width, d_ff: inner.unwrap_or(self.d_ff), ..self.clone() }
    }
}
