//! The only file that names all three architectures. A new one is a crate under `models/`, a variant here, and a config; the
//! compiler names what is missing.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use conv_vit::{ConvVit, ConvVitConfig};
use layers::layout::Layout;
use layers::{InvalidConfig, Macs};
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

    /// Multiply-accumulates of one image's forward pass.
    pub fn macs(&self) -> Macs {
        each!(self, config => config.macs())
    }

    /// Parameters that counters miss which visit leaf modules only.
    pub fn bare_params(&self) -> usize {
        match self {
            Self::Vit(config) => config.bare_params(),
            Self::Linformer(config) => config.bare_params(),
            // Its position map is a module of its own in the published code.
            Self::ConvVit(_) => 0,
        }
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

    /// The forward pass with all hidden states and attention maps, of an architecture that has both: the standard one.
    pub fn forward_full(&self, images: Tensor<4>) -> Option<VitOutput> {
        match self {
            Self::Vit(model) => Some(model.forward_full(images)),
            Self::Linformer(_) | Self::ConvVit(_) => None,
        }
    }
}
