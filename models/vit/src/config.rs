//! The sizes of a [`Vit`], and what they state of it.

use burn::tensor::Device;
use layers::architecture::{Config, Images, Preset, StageShape, Widths};
use layers::layout::Layout;
use layers::{
    Initialisation, InvalidConfig, Layer, Part, Pool, block_layers, check_depth, check_divides, check_positive,
    pooled_norm_layer, token_layers,
};
use serde::{Deserialize, Serialize};

use crate::Vit;

/// What stands between the final layer norm and the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// Nothing: the classifier reads the pooled token (`ViTForImageClassification`).
    #[default]
    Cls,
    /// A linear layer with tanh on the pooled token (`ViTModel`'s pooler).
    Pooler,
}

/// Probabilities with which values become zero in training, where Hugging Face transformers' `ViTModel` drops them.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VitDropout {
    /// Of the embeddings, positions included.
    pub embeddings: f64,
    /// Of the attention weights.
    pub attention: f64,
    /// Of what attention and feed-forward layers add to the hidden states.
    pub hidden: f64,
}

impl VitDropout {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        let probabilities = [
            ("dropout.embeddings", self.embeddings),
            ("dropout.attention", self.attention),
            ("dropout.hidden", self.hidden),
        ];
        match probabilities.into_iter().find(|(_, probability)| !(0.0..1.0).contains(probability)) {
            Some((key, probability)) => Err(InvalidConfig {
                key,
                problem: format!("must be in [0, 1), got {probability}"),
                remedy: "0 drops nothing, 0.1 a tenth of the values".into(),
            }),
            None => Ok(()),
        }
    }
}

/// Sizes of a [`Vit`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
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
    /// What the classifier reads.
    #[serde(default)]
    pub head: Head,
    /// Added to the variance in every layer norm.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// None by default.
    #[serde(default, skip_serializing_if = "VitDropout::is_none")]
    pub dropout: VitDropout,
    /// CLS by default.
    #[serde(default = "default_pool", skip_serializing_if = "is_default_pool")]
    pub pool: Pool,
    /// As Hugging Face transformers' by default.
    #[serde(default, skip_serializing_if = "Initialisation::is_own")]
    pub initialisation: Initialisation,
}

fn default_layer_norm_eps() -> f64 {
    1e-12
}

fn default_pool() -> Pool {
    Pool::Cls
}

fn is_default_pool(pool: &Pool) -> bool {
    *pool == default_pool()
}

impl VitConfig {
    /// ViT-Base/16 at 224x224 with pooler: 86,390,786 parameters with 2 classes.
    ///
    /// ```
    /// use vit::{Config, Head, VitConfig};
    ///
    /// let params = |config: VitConfig| config.layers().iter().map(|layer| layer.params()).sum::<usize>();
    /// assert_eq!(params(VitConfig::base(2)), 86_390_786);
    /// // Without the pooler, and with the classes of ImageNet.
    /// assert_eq!(params(VitConfig { head: Head::Cls, ..VitConfig::base(1000) }), 86_567_656);
    /// ```
    pub fn base(classes: usize) -> Self {
        Self {
            images: Images { size: 224, channels: 3, classes },
            patch_size: 16,
            d_model: 768,
            depth: 12,
            heads: 12,
            d_ff: 3072,
            head: Head::Pooler,
            layer_norm_eps: default_layer_norm_eps(),
            dropout: VitDropout::default(),
            pool: default_pool(),
            initialisation: Initialisation::Own,
        }
    }

    /// ViT-Small/16 at 224x224 (Touvron et al. 2021, <https://arxiv.org/abs/2012.12877>): 22,050,664 parameters with 1,000 classes.
    pub fn small(classes: usize) -> Self {
        Self { d_model: 384, heads: 6, d_ff: 1536, head: Head::Cls, ..Self::base(classes) }
    }

    /// ViT-Tiny/16 at 224x224 (Touvron et al. 2021, <https://arxiv.org/abs/2012.12877>): 5,717,416 parameters with 1,000 classes.
    pub fn tiny(classes: usize) -> Self {
        Self { d_model: 192, heads: 3, d_ff: 768, ..Self::small(classes) }
    }

    /// The ViT-Tiny widths at 32x32 with patches of 4 (5.4 M parameters with 10 classes).
    pub fn tiny_cifar(classes: usize) -> Self {
        Self { images: Images { size: 32, channels: 3, classes }, patch_size: 4, ..Self::tiny(classes) }
    }

    /// Patches, and the CLS token if there is one.
    pub fn tokens(&self) -> usize {
        self.images.patches(self.patch_size) + self.pool.class_tokens()
    }

    /// The layers of a block's attention, whose names start with `attention`.
    fn attention_layers(&self, attention: &str) -> Vec<Layer> {
        let (tokens, d_model) = (self.tokens(), self.d_model);
        let rows = [tokens, d_model];
        let map = |name| Layer::linear(format!("{attention}.{name}"), d_model, &rows, true, Part::PROJECTIONS);
        let mixing = Layer::new(attention, "Attention", &rows);
        vec![
            map("query"),
            map("key"),
            map("value"),
            mixing.with_macs(Part::ATTENTION, 2 * (tokens * tokens * d_model) as u64),
            map("output"),
        ]
    }
}

impl Config for VitConfig {
    type Model = Vit;

    const NAME: &'static str = "vit";

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
        check_divides("heads", self.heads, "d_model", self.d_model)?;
        self.dropout.check()
    }

    fn presets() -> Vec<Preset<Self>> {
        vec![
            Preset { name: "vit_base", config: Self::base(2) },
            Preset { name: "vit_small", config: Self::small(1000) },
            Preset { name: "vit_tiny", config: Self::tiny(1000) },
        ]
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
        if self.head == Head::Pooler {
            layers.push(Layer::linear("pooler", d_model, &[d_model], true, Part::HEAD));
        }
        layers.push(Layer::linear("classifier", d_model, &[images.classes], true, Part::HEAD));
        layers
    }

    fn init_seeded(&self, seed: u64, device: &Device) -> Vit {
        Vit::new(self, seed, device)
    }

    fn layouts(&self) -> Vec<Layout> {
        // Hugging Face transformers' ViT has a CLS token.
        if self.pool == default_pool() { self.huggingface_layouts() } else { vec![self.own_layout()] }
    }

    fn widths(&self) -> Option<Widths> {
        Some(Widths { width: self.d_model, multiple_of: self.heads, inner: Some(self.d_ff) })
    }

    fn with_widths(&self, width: usize, inner: Option<usize>) -> Self {
        Self { d_model: width, d_ff: inner.unwrap_or(self.d_ff), ..self.clone() }
    }
}
