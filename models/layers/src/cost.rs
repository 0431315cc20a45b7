/// What a layer's multiply-accumulates are spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// From pixels to tokens.
    Patches,
    /// Linear maps of attention: queries, keys, values, output, and Linformer's projections along the sequence.
    Projections,
    /// Scores, and the sum that they weight.
    Attention,
    /// The feed-forward layers.
    Mlp,
    /// Pooler and classifier.
    Head,
}

/// A layer of a model as a summary lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerCost {
    /// Path in the model, as its parameters are named: `blocks.0.attention.query`.
    pub name: String,
    /// What it is: `Linear`, `LayerNorm`, `Parameter`, ...
    pub kind: &'static str,
    /// Shape of its output for one image.
    pub output: Vec<usize>,
    /// Its parameters.
    pub params: usize,
    /// Whether the parameters are held by no leaf module, so that a counter which visits modules only misses them.
    pub bare: bool,
    /// Multiply-accumulates for one image, and what they are spent on; 1 MAC = 2 FLOPs. Counted are the products of matrices,
    /// attention's included; additions of biases, norms, softmax and activations are not.
    pub macs: Option<(Part, u64)>,
}

/// Multiply-accumulates of one image's forward pass, by part of the model; see [`LayerCost::macs`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Macs {
    /// [`Part::Patches`].
    pub patches: u64,
    /// [`Part::Projections`].
    pub projections: u64,
    /// [`Part::Attention`].
    pub attention: u64,
    /// [`Part::Mlp`].
    pub mlp: u64,
    /// [`Part::Head`].
    pub head: u64,
}

impl Macs {
    /// The sum over `layers`.
    pub fn of(layers: &[LayerCost]) -> Self {
        let mut macs = Self::default();
        for (part, count) in layers.iter().filter_map(|layer| layer.macs) {
            *match part {
                Part::Patches => &mut macs.patches,
                Part::Projections => &mut macs.projections,
                Part::Attention => &mut macs.attention,
                Part::Mlp => &mut macs.mlp,
                Part::Head => &mut macs.head,
            } += count;
        }
        macs
    }

    /// All parts together.
    pub fn total(&self) -> u64 {
        self.patches + self.projections + self.attention + self.mlp + self.head
    }
}

impl LayerCost {
    /// A linear map from `d_input`, with outputs of shape `output`.
    pub fn linear(name: impl Into<String>, d_input: usize, output: &[usize], bias: bool, part: Part) -> Self {
        let d_output = output[output.len() - 1];
        let macs = d_input as u64 * output.iter().product::<usize>() as u64;
        let params = d_input * d_output + if bias { d_output } else { 0 };
        Self::new(name, "Linear", output, params, Some((part, macs)))
    }

    /// A layer norm with outputs of shape `output`.
    pub fn layer_norm(name: impl Into<String>, output: &[usize]) -> Self {
        Self::new(name, "LayerNorm", output, 2 * output[output.len() - 1], None)
    }

    /// A parameter that is held by no leaf module.
    pub fn parameter(name: impl Into<String>, shape: &[usize]) -> Self {
        Self { bare: true, ..Self::new(name, "Parameter", shape, shape.iter().product(), None) }
    }

    /// A layer that is none of these.
    pub fn new(
        name: impl Into<String>,
        kind: &'static str,
        output: &[usize],
        params: usize,
        macs: Option<(Part, u64)>,
    ) -> Self {
        Self { name: name.into(), kind, output: output.to_vec(), params, bare: false, macs }
    }
}
