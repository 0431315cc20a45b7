//! The only file that names all three architectures. A new one is a crate under `models/`, a variant here, and a config; the
//! compiler names what is missing.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use conv_vit::{ConvVit, ConvVitConfig};
use layers::layout::Layout;
use layers::{InvalidConfig, LayerCost, SampleKeys};
use linformer::{Linformer, LinformerConfig};
use serde::{Deserialize, Serialize};
use vit::{Vit, VitConfig, VitOutput};

/// Architecture and sizes of a model, as a config's `[[model]]` table states them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "architecture", rename_all = "snake_case")]
pub enum ArchitectureConfig {
    /// The standard Vision Transformer.
    Vit(VitConfig),
    /// With Linformer's attention.
    Linformer(LinformerConfig),
    /// Fully convolutional, with attention between channels.
    ConvVit(ConvVitConfig),
}

/// Makes a published model: its config, the image size and the number of classes that it was published with.
pub type Published = fn() -> (ArchitectureConfig, usize, usize);

/// Published models by name.
pub const PUBLISHED: [(&str, Published); 3] = [
    ("vit_base", || (ArchitectureConfig::Vit(VitConfig::base(2)), 224, 2)),
    ("linformer_published", || (ArchitectureConfig::Linformer(LinformerConfig::published()), 224, 2)),
    ("conv_vit_published", || (ArchitectureConfig::ConvVit(ConvVitConfig::published()), 32, 10)),
];

/// A model of any architecture.
#[derive(Module, Debug)]
pub enum Architecture {
    /// The standard Vision Transformer.
    Vit(Vit),
    /// With Linformer's attention.
    Linformer(Linformer),
    /// Fully convolutional, with attention between channels.
    ConvVit(ConvVit),
}

/// Evaluates an expression for the config inside whichever variant.
macro_rules! each {
    ($value:expr, $config:ident => $result:expr) => {
        match $value {
            ArchitectureConfig::Vit($config) => $result,
            ArchitectureConfig::Linformer($config) => $result,
            ArchitectureConfig::ConvVit($config) => $result,
        }
    };
}

impl ArchitectureConfig {
    /// The architecture's name as configs and tables spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vit(_) => "vit",
            Self::Linformer(_) => "linformer",
            Self::ConvVit(_) => "conv_vit",
        }
    }

    /// The same sizes, for RGB images of `image_size` pixels in `classes` classes.
    pub fn for_images(&self, image_size: usize, classes: usize) -> Self {
        let mut config = self.clone();
        each!(&mut config, config => {
            (config.image_size, config.channels, config.classes) = (image_size, 3, classes);
        });
        config
    }

    /// Says what is wrong with the sizes, if anything.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        each!(self, config => config.check())
    }

    /// The model with initial weights of `seed`.
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    pub fn init(&self, seed: u64, device: &Device) -> Architecture {
        match self {
            Self::Vit(config) => Architecture::Vit(config.init_seeded(seed, device)),
            Self::Linformer(config) => Architecture::Linformer(config.init_seeded(seed, device)),
            Self::ConvVit(config) => Architecture::ConvVit(config.init_seeded(seed, device)),
        }
    }

    /// Tokens (or positions) that the blocks work on.
    pub fn tokens(&self) -> usize {
        each!(self, config => config.tokens())
    }

    /// Width of a token.
    pub fn d_model(&self) -> usize {
        each!(self, config => config.d_model)
    }

    /// Number of blocks.
    pub fn depth(&self) -> usize {
        each!(self, config => config.depth)
    }

    /// Height and width of the images, and the number of classes.
    pub fn images(&self) -> (usize, usize) {
        each!(self, config => (config.image_size, config.classes))
    }

    /// The layouts of the reference implementations' weights, the one to write first.
    pub fn layouts(&self) -> Vec<Layout> {
        each!(self, config => config.layouts())
    }

    /// Whether [`Architecture::forward_full`] has something to give.
    pub fn has_states(&self) -> bool {
        matches!(self, Self::Vit(_))
    }

    /// The model's layers in the order of computation, with their sizes and costs.
    pub fn layers(&self) -> Vec<LayerCost> {
        each!(self, config => config.layers())
    }
}

impl Architecture {
    /// # Shapes
    /// - `images`: `[batch, channels, height, width]`
    /// - output: logits, `[batch, classes]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        match self {
            Self::Vit(model) => model.forward(images),
            Self::Linformer(model) => model.forward(images),
            Self::ConvVit(model) => model.forward(images),
        }
    }

    /// As [`forward`](Self::forward), with the dropout that the config asks for, drawn for the given samples.
    pub fn forward_training(&self, images: Tensor<4>, keys: &SampleKeys) -> Tensor<2> {
        match self {
            Self::Vit(model) => model.forward_training(images, keys),
            Self::Linformer(model) => model.forward(images),
            Self::ConvVit(model) => model.forward(images),
        }
    }

    /// The first step of [`forward_training`](Self::forward_training): images to tokens, `[batch, tokens, d_model]`.
    pub fn embed_training(&self, images: Tensor<4>, keys: &SampleKeys) -> Tensor<3> {
        match self {
            Self::Vit(model) => model.embed_training(images, keys),
            Self::Linformer(model) => model.embed(images),
            Self::ConvVit(model) => model.embed(images),
        }
    }

    /// How many blocks follow.
    pub fn depth(&self) -> usize {
        match self {
            Self::Vit(model) => model.blocks.len(),
            Self::Linformer(model) => model.blocks.len(),
            Self::ConvVit(model) => model.blocks.len(),
        }
    }

    /// One of them, as in [`forward_training`](Self::forward_training).
    ///
    /// # Shapes
    /// - `x` and output: `[batch, tokens, d_model]`
    ///
    /// # Panics
    /// If `index` is [`depth`](Self::depth) or more.
    pub fn block_training(&self, index: usize, x: Tensor<3>, keys: &SampleKeys) -> Tensor<3> {
        match self {
            Self::Vit(model) => model.block_training(index, x, keys),
            Self::Linformer(model) => model.blocks[index].forward(x),
            Self::ConvVit(model) => model.blocks[index].forward(x),
        }
    }

    /// The last step: tokens, `[batch, tokens, d_model]`, to logits, `[batch, classes]`.
    pub fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        match self {
            Self::Vit(model) => model.classify(x),
            Self::Linformer(model) => model.classify(x),
            Self::ConvVit(model) => model.classify(x),
        }
    }

    /// The forward pass with all hidden states and attention maps, of an architecture that has both: the standard one.
    pub fn forward_full(&self, images: Tensor<4>) -> Option<VitOutput> {
        match self {
            Self::Vit(model) => Some(model.forward_full(images, None)),
            Self::Linformer(_) | Self::ConvVit(_) => None,
        }
    }
}
