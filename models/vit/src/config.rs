use burn::tensor::Device;
use layers::{InvalidConfig, LayerCost, Part, check_depth, check_divides, check_positive};
use serde::{Deserialize, Serialize};

use crate::Vit;

/// What stands between the final layer norm and the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Head {
    /// Nothing: the classifier reads the CLS token (`ViTForImageClassification`).
    #[default]
    Cls,
    /// A linear layer with tanh on the CLS token (`ViTModel`'s pooler).
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
                problem: format!("{probability} is no probability of dropping a value"),
                remedy: "take one from 0 to below 1".into(),
            }),
            None => Ok(()),
        }
    }
}

/// Sizes of a [`Vit`]. What comes with the images (size, channels, classes) is set by the caller and no part of the serialised
/// form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
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
    /// What the classifier reads.
    #[serde(default)]
    pub head: Head,
    /// Added to the variance in every layer norm.
    #[serde(default = "default_layer_norm_eps")]
    pub layer_norm_eps: f64,
    /// None by default.
    #[serde(default, skip_serializing_if = "VitDropout::is_none")]
    pub dropout: VitDropout,
}

fn default_layer_norm_eps() -> f64 {
    1e-12
}

impl VitConfig {
    /// ViT-Base/16 at 224x224 with pooler: 86,390,786 parameters with 2 classes.
    pub fn base(classes: usize) -> Self {
        Self {
            image_size: 224,
            channels: 3,
            classes,
            patch_size: 16,
            d_model: 768,
            depth: 12,
            heads: 12,
            d_ff: 3072,
            head: Head::Pooler,
            layer_norm_eps: default_layer_norm_eps(),
            dropout: VitDropout::default(),
        }
    }

    /// The ViT-Tiny widths at 32x32 with patches of 4 (5.4 M parameters with 10 classes).
    pub fn tiny_cifar(classes: usize) -> Self {
        Self {
            image_size: 32,
            patch_size: 4,
            d_model: 192,
            heads: 3,
            d_ff: 768,
            head: Head::Cls,
            ..Self::base(classes)
        }
    }

    /// Says what is wrong with the sizes, if anything.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        check_positive("classes", self.classes)?;
        check_depth(self.depth)?;
        check_positive("d_ff", self.d_ff)?;
        check_divides("patch_size", self.patch_size, "image_size", self.image_size)?;
        check_divides("heads", self.heads, "d_model", self.d_model)?;
        self.dropout.check()
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
    pub fn init(&self, device: &Device) -> Vit {
        self.init_seeded(0, device)
    }

    /// The model with initial weights of `seed`: linear layers from N(0, 0.02²) with zero bias; CLS token and positions zero.
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    pub fn init_seeded(&self, seed: u64, device: &Device) -> Vit {
        Vit::new(self, seed, device)
    }

    /// The model's layers in the order of computation. This is the one place that counts; sums are taken of it.
    pub fn layers(&self) -> Vec<LayerCost> {
        let Self { d_model, d_ff, classes, .. } = *self;
        let tokens = self.tokens();
        let rows = [tokens, d_model];
        let mut layers = vec![
            LayerCost::linear("patch_embedding", self.patch_values(), &[tokens - 1, d_model], true, Part::Patches),
            LayerCost::parameter("cls_token", &[1, d_model]),
            LayerCost::parameter("positions", &rows),
        ];
        for block in 0..self.depth {
            let name = |layer: &str| format!("blocks.{block}.{layer}");
            layers.push(LayerCost::layer_norm(name("attention_norm"), &rows));
            for map in ["attention.query", "attention.key", "attention.value"] {
                layers.push(LayerCost::linear(name(map), d_model, &rows, true, Part::Projections));
            }
            let macs = 2 * (tokens * tokens * d_model) as u64;
            layers.push(LayerCost::new(name("attention"), "Attention", &rows, 0, Some((Part::Attention, macs))));
            layers.push(LayerCost::linear(name("attention.output"), d_model, &rows, true, Part::Projections));
            layers.push(LayerCost::layer_norm(name("mlp_norm"), &rows));
            layers.push(LayerCost::linear(name("mlp.up"), d_model, &[tokens, d_ff], true, Part::Mlp));
            layers.push(LayerCost::linear(name("mlp.down"), d_ff, &rows, true, Part::Mlp));
        }
        layers.push(LayerCost::layer_norm("norm", &[d_model]));
        if self.head == Head::Pooler {
            layers.push(LayerCost::linear("pooler", d_model, &[d_model], true, Part::Head));
        }
        layers.push(LayerCost::linear("classifier", d_model, &[classes], true, Part::Head));
        layers
    }
}
