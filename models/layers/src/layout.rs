//! How the parameters of a model correspond to the tensors of another implementation, stated as data. Who reads and writes
//! files applies it; nothing here knows any.

/// One naming of a model's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// What users and messages call it.
    pub name: &'static str,
    /// Every parameter of the model, once.
    pub entries: Vec<Entry>,
    /// Parameters that other models of the architecture have in this layout and this one can do without.
    pub unused: Vec<Entry>,
}

/// A parameter and where its values stand in a layout.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The parameter's path in our module, such as `blocks.0.attention.query.weight`.
    pub ours: String,
    /// The parameter's shape.
    pub shape: Vec<usize>,
    /// The tensors that it is made of; several lie side by side along our last axis.
    pub theirs: Vec<String>,
    /// How each of them is arranged.
    pub form: Form,
    /// What may be done if the tensors do not fit.
    pub leeway: Leeway,
}

/// How a tensor of another implementation is arranged, against ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The same.
    Same,
    /// A linear layer's weight, `[d_output, d_input]`; ours is `[d_input, d_output]`.
    Linear,
    /// A 1x1 convolution's weight, `[d_output, d_input, 1, 1]`; ours is `[d_input, d_output]`.
    PointwiseConvolution,
    /// The weight of a convolution whose kernel is its stride, `[d_output, channels, patch_size, patch_size]`; ours is
    /// `[patch_size² * channels, d_output]` in the order (row, column, channel) that [`patches`](crate::patches) makes.
    PatchConvolution {
        /// Height and width of a patch.
        patch_size: usize,
    },
    /// A map of positions, `[1, d_model, rows, columns]`; ours is `[1, rows * columns, d_model]`.
    PositionMap,
}

/// What may be done if a file's tensors do not fit a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leeway {
    /// Needed as it is.
    #[default]
    Body,
    /// A square grid of positions, which another image size stretches or shrinks.
    Positions {
        /// Positions before the grid's, which belong to no place in the image.
        class_tokens: usize,
    },
    /// Between body and classifier; absent from models that classify without it.
    Pooler,
    /// Belongs to the classes that the weights were trained on.
    Classifier,
}

impl Entry {
    /// A parameter that is one tensor of the other implementation.
    pub fn new(ours: impl Into<String>, shape: impl Into<Vec<usize>>, theirs: impl Into<String>, form: Form) -> Self {
        Self { ours: ours.into(), shape: shape.into(), theirs: vec![theirs.into()], form, leeway: Leeway::Body }
    }

    /// Weight and bias of a layer from `d_input` to `d_output`, whose weight is arranged as `form` says.
    pub fn linear(ours: &str, [d_input, d_output]: [usize; 2], theirs: &str, form: Form) -> [Self; 2] {
        Self::fused_linear(ours, [d_input, d_output], &[theirs], form)
    }

    /// As [`linear`](Self::linear), for one layer of ours that is several of theirs, side by side in its output.
    pub fn fused_linear(ours: &str, [d_input, d_output]: [usize; 2], theirs: &[&str], form: Form) -> [Self; 2] {
        let tensor = |part: &str, shape: Vec<usize>, form| Self {
            ours: format!("{ours}.{part}"),
            shape,
            theirs: theirs.iter().map(|name| format!("{name}.{part}")).collect(),
            form,
            leeway: Leeway::Body,
        };
        [tensor("weight", vec![d_input, d_output], form), tensor("bias", vec![d_output], Form::Same)]
    }

    /// Scale and shift of a layer norm.
    pub fn layer_norm(ours: &str, d_model: usize, theirs: &str) -> [Self; 2] {
        [("gamma", "weight"), ("beta", "bias")].map(|(our_part, their_part)| {
            Self::new(format!("{ours}.{our_part}"), [d_model], format!("{theirs}.{their_part}"), Form::Same)
        })
    }

    /// The same with another leeway.
    pub fn with_leeway(self, leeway: Leeway) -> Self {
        Self { leeway, ..self }
    }
}

impl Layout {
    /// Our own naming of the same parameters: every one by its path, as it is.
    pub fn ours(&self) -> Self {
        let own =
            |entry: &Entry| Entry::new(&entry.ours, &*entry.shape, &entry.ours, Form::Same).with_leeway(entry.leeway);
        Self {
            name: "ours",
            entries: self.entries.iter().map(own).collect(),
            unused: self.unused.iter().map(own).collect(),
        }
    }
}
