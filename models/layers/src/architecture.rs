//! The contract of an architecture: what its sizes state ([`Config`]) and what its module computes ([`Model`]). Whoever trains, times,
//! sums up or converts models knows nothing else of them.
//!
//! A model is cut at the same seams everywhere, "embed, stages, classify":
//!
//! ```text
//! x = embed(images)            [batch, positions, channels]
//! x = stage_i(x)               for every stage; positions and channels may change from stage to stage
//! logits = classify(x)         [batch, classes]
//! ```
//!
//! A ViT's stage is a block. A ResNet's stages halve the grid and double the channels; its feature maps are token-major as well,
//! `[batch, rows * columns, channels]`.

use std::fmt::Debug;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::layout::{Entry, Form, Layout, Leeway};
use crate::{InvalidConfig, Layer, Role, SampleKeys};

/// The images that a model is for. They come from the data, so they are no part of a config's serialised form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Images {
    /// Height and width in pixels.
    pub size: usize,
    /// Channels, 3 for RGB.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
}

impl Images {
    /// Number of square patches of `patch_size` pixels.
    pub fn patches(&self, patch_size: usize) -> usize {
        (self.size / patch_size).pow(2)
    }

    /// Values of a flattened patch.
    pub fn patch_values(&self, patch_size: usize) -> usize {
        patch_size * patch_size * self.channels
    }
}

/// The shape of one image between two stages: `[class_tokens + rows * columns, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageShape {
    /// Tokens before the grid's, which belong to no place in the image.
    pub class_tokens: usize,
    /// Rows of the grid.
    pub rows: usize,
    /// Columns of the grid.
    pub columns: usize,
    /// Channels of a position.
    pub channels: usize,
}

impl StageShape {
    /// A square grid of `grid` rows.
    pub fn square(grid: usize, class_tokens: usize, channels: usize) -> Self {
        Self { class_tokens, rows: grid, columns: grid, channels }
    }

    /// Tokens and positions of the grid together.
    pub fn positions(&self) -> usize {
        self.class_tokens + self.rows * self.columns
    }
}

/// The sizes that may be changed to give a model a wanted number of parameters or multiply-accumulates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Channels of a position.
    pub width: usize,
    /// What `width` must be a multiple of, such as the number of heads.
    pub multiple_of: usize,
    /// Width inside the feed-forward layers, if there is one to choose.
    pub inner: Option<usize>,
}

/// A size that has a name of its own, for `vitbench summary NAME` and for `preset = "NAME"` in a config.
#[derive(Debug, Clone, PartialEq)]
pub struct Preset<C> {
    /// Unique among all architectures, such as `vit_base`.
    pub name: &'static str,
    /// The sizes, with the images that the named model was made for.
    pub config: C,
}

/// Architecture and sizes of a model, as a config's `[[model]]` table states them. The serialised form is that table without `name`,
/// `architecture` and the keys that all architectures share. `#[serde(deny_unknown_fields)]` makes a mistyped key an error.
pub trait Config: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The module.
    type Model: Model;

    /// What configs, tables and colours know the architecture by: `conv_vit`. Unique.
    const NAME: &'static str;

    /// Raise it when the model's function changes: results of another version are then not taken for those of this one.
    const VERSION: u32 = 0;

    /// The images that the model is for.
    fn images(&self) -> Images;

    /// The same, to be set from the data.
    fn images_mut(&mut self) -> &mut Images;

    /// Checks the sizes. All other functions may panic if it errs.
    fn check(&self) -> Result<(), InvalidConfig>;

    /// Sizes with a name; at least one.
    fn presets() -> Vec<Preset<Self>>;

    /// The shape of `embed`'s output, then that of every stage's output.
    fn stages(&self) -> Vec<StageShape>;

    /// The layers in the order of computation, with every parameter of the module and its role. This is the one place that counts:
    /// parameters and multiply-accumulates are sums over it.
    fn layers(&self) -> Vec<Layer>;

    /// The model with initial weights of `seed`.
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    fn init_seeded(&self, seed: u64, device: &Device) -> Self::Model;

    /// The model with initial weights of seed 0.
    ///
    /// # Panics
    /// If [`check`](Self::check) errs.
    fn init(&self, device: &Device) -> Self::Model {
        self.init_seeded(0, device)
    }

    /// Layouts of the reference implementations' weights, the one to write first; without one, our own.
    fn layouts(&self) -> Vec<Layout> {
        vec![self.own_layout()]
    }

    /// Our own naming of the parameters: every one by its path, as it is. A layer named `classifier` may differ in its classes, learned
    /// positions in their grid.
    fn own_layout(&self) -> Layout {
        let class_tokens = self.stages()[0].class_tokens;
        let mut entries = Vec::new();
        for layer in &self.layers() {
            entries.extend(layer.paths().map(|(path, parameter)| {
                let leeway = match parameter.role {
                    Role::Position => Leeway::Positions { class_tokens },
                    _ if layer.name == "classifier" => Leeway::Classifier,
                    _ => Leeway::Body,
                };
                Entry::new(&path, &*parameter.shape, &path, Form::Same).with_leeway(leeway)
            }));
        }
        Layout { name: "ours", entries, unused: Vec::new() }
    }

    /// The sizes that matching may change; none if the architecture cannot be matched.
    fn widths(&self) -> Option<Widths> {
        None
    }

    /// The same model of other widths.
    ///
    /// # Panics
    /// If [`widths`](Self::widths) is none.
    fn with_widths(&self, _width: usize, _inner: Option<usize>) -> Self {
        panic!("{} has no widths to change", Self::NAME)
    }

    /// Whether a training pass mixes the images of a batch, as batch normalisation does. The whole batch is then one micro-batch on one
    /// lane, so that the statistics are those of the batch and not of its parts.
    fn batch_statistics(&self) -> bool {
        false
    }
}

/// What a pass through a model is for.
#[derive(Debug, Clone, Copy)]
pub enum Pass<'a> {
    /// Nothing is drawn.
    Inference,
    /// With dropout as configured, drawn for these samples.
    Training(&'a SampleKeys),
}

/// What a model passes through on the way to the logits.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// The embeddings, then the output of every stage, each `[batch, positions, channels]`.
    pub hidden_states: Vec<Tensor<3>>,
    /// The attention weights of every stage that has any, `[batch, heads, queries, keys]`.
    pub attentions: Vec<Tensor<4>>,
}

/// The module of an architecture.
pub trait Model: Module + Sync + 'static {
    /// Images to positions.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, size, size]`
    /// - output: `[batch, positions, channels]`, as the first of [`Config::stages`]
    ///
    /// # Panics
    /// If the images are not of the configured size, or a training pass has not one key a sample.
    fn embed(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<3>;

    /// Number of stages.
    fn depth(&self) -> usize;

    /// One of them.
    ///
    /// # Shapes
    /// - `x` and output: `[batch, positions, channels]`, as [`Config::stages`] at `index` and `index + 1`
    ///
    /// # Panics
    /// If `index` is [`depth`](Self::depth) or more.
    fn stage(&self, index: usize, x: Tensor<3>, pass: Pass<'_>) -> Tensor<3>;

    /// The last stage's output to logits.
    ///
    /// # Shapes
    /// - `x`: `[batch, positions, channels]`
    /// - output: `[batch, classes]`
    fn classify(&self, x: Tensor<3>) -> Tensor<2>;

    /// The attention weights with which stage `index` mixes its input `x`, if it has attention.
    ///
    /// # Shapes
    /// - `x`: `[batch, positions, channels]`
    /// - output: `[batch, heads, queries, keys]`
    fn attention_weights(&self, _index: usize, _x: Tensor<3>) -> Option<Tensor<4>> {
        None
    }

    /// `logits = classify(stage_n(.. stage_1(embed(images))))`.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, size, size]`
    /// - output: `[batch, classes]`
    ///
    /// # Panics
    /// If the images are not of the configured size.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.pass(images, Pass::Inference)
    }

    /// As [`forward`](Self::forward), with dropout as configured, drawn for the given samples.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, size, size]`
    /// - output: `[batch, classes]`
    ///
    /// # Panics
    /// If the images are not of the configured size, or there is not one key a sample.
    fn forward_training(&self, images: Tensor<4>, keys: &SampleKeys) -> Tensor<2> {
        self.pass(images, Pass::Training(keys))
    }

    /// [`forward`](Self::forward) or [`forward_training`](Self::forward_training).
    fn pass(&self, images: Tensor<4>, pass: Pass<'_>) -> Tensor<2> {
        let embedded = self.embed(images, pass);
        self.classify((0..self.depth()).fold(embedded, |x, index| self.stage(index, x, pass)))
    }

    /// As [`forward`](Self::forward), with all hidden states and attention weights. It computes the weights apart from the stages' own
    /// passes, which never hold them, so it costs more.
    ///
    /// # Shapes
    /// - `images`: `[batch, channels, size, size]`
    ///
    /// # Panics
    /// If the images are not of the configured size.
    fn forward_full(&self, images: Tensor<4>) -> Outputs {
        let mut x = self.embed(images, Pass::Inference);
        let mut hidden_states = vec![x.clone()];
        let mut attentions = Vec::with_capacity(self.depth());
        for index in 0..self.depth() {
            attentions.extend(self.attention_weights(index, x.clone()));
            x = self.stage(index, x, Pass::Inference);
            hidden_states.push(x.clone());
        }
        Outputs { logits: self.classify(x), hidden_states, attentions }
    }
}
