//! Layers as a model states them: parameters with their roles, shapes and multiply-accumulates.

/// What a layer's multiply-accumulates are spent on. Tables have a column for each part that occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part(pub &'static str);

impl Part {
    /// From pixels to tokens.
    pub const PATCHES: Self = Self("patches");
    /// Linear maps of attention: queries, keys, values, output, and Linformer's projections along the sequence.
    pub const PROJECTIONS: Self = Self("projections");
    /// Scores, and the sum that they weight.
    pub const ATTENTION: Self = Self("attention");
    /// The feed-forward layers.
    pub const MLP: Self = Self("mlp");
    /// Pooler and classifier.
    pub const HEAD: Self = Self("head");
}

/// What a parameter is. Weight decay, Muon and summaries ask for it, and not for ranks or names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The weight of a linear map or convolution.
    Matrix,
    /// A map along the sequence, as Linformer's. Optimisers treat it as a matrix.
    Projection,
    /// Added to the output of a map.
    Bias,
    /// Scale or shift of a normalisation.
    Norm,
    /// A token that is learned, such as CLS.
    Embedding,
    /// Learned positions.
    Position,
    /// A running statistic of a normalisation: saved with the weights, but neither trained nor counted.
    Statistic,
}

impl Role {
    /// Whether it multiplies what passes through it, so that weight decay of matrices and Muon apply.
    pub fn is_matrix(self) -> bool {
        matches!(self, Self::Matrix | Self::Projection)
    }
}

/// A parameter of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in the layer: `weight`; empty if the layer is the parameter.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Its role.
    pub role: Role,
    /// Matrices that lie side by side along the last axis, such as those of queries, keys and values; else 1.
    pub fused: usize,
}

/// A layer of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Path in the model, as its parameters are named: `blocks.0.attention.query`.
    pub name: String,
    /// What it is: `Linear`, `LayerNorm`, `Parameter`, ...
    pub kind: &'static str,
    /// Shape of its output for one image.
    pub output: Vec<usize>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Whether the parameters are held by no leaf module, so that a counter which visits modules only misses them.
    pub bare: bool,
    /// Multiply-accumulates for one image, and what they are spent on; 1 MAC = 2 FLOPs. Counted are the products of matrices,
    /// attention's included; additions of biases, norms, softmax and activations are not.
    pub macs: Option<(Part, u64)>,
    /// The stage that it belongs to; none before the first and after the last.
    pub stage: Option<usize>,
}

impl Layer {
    /// A layer without parameters and products.
    pub fn new(name: impl Into<String>, kind: &'static str, output: &[usize]) -> Self {
        let output = output.to_vec();
        Self { name: name.into(), kind, output, parameters: Vec::new(), bare: false, macs: None, stage: None }
    }

    /// A linear map from `d_input`, with outputs of shape `output`.
    pub fn linear(name: impl Into<String>, d_input: usize, output: &[usize], bias: bool, part: Part) -> Self {
        let d_output = output[output.len() - 1];
        let macs = d_input as u64 * output.iter().product::<usize>() as u64;
        let layer = Self::new(name, "Linear", output).with("weight", &[d_input, d_output], Role::Matrix);
        let layer = if bias { layer.with("bias", &[d_output], Role::Bias) } else { layer };
        layer.with_macs(part, macs)
    }

    /// A layer norm with outputs of shape `output`.
    pub fn layer_norm(name: impl Into<String>, output: &[usize]) -> Self {
        let channels = [output[output.len() - 1]];
        Self::new(name, "LayerNorm", output).with("gamma", &channels, Role::Norm).with("beta", &channels, Role::Norm)
    }

    /// A parameter that is held by no leaf module.
    pub fn parameter(name: impl Into<String>, shape: &[usize], role: Role) -> Self {
        let output = if let [1, rest @ ..] = shape { rest } else { shape };
        Self { bare: true, ..Self::new(name, "Parameter", output).with("", shape, role) }
    }

    /// The layer with another parameter.
    pub fn with(mut self, name: &'static str, shape: &[usize], role: Role) -> Self {
        self.parameters.push(Parameter { name, shape: shape.to_vec(), role, fused: 1 });
        self
    }

    /// The layer, whose matrices are `count` side by side.
    pub fn fused(mut self, count: usize) -> Self {
        for parameter in self.parameters.iter_mut().filter(|parameter| parameter.role.is_matrix()) {
            parameter.fused = count;
        }
        self
    }

    /// The layer with multiply-accumulates.
    pub fn with_macs(self, part: Part, macs: u64) -> Self {
        Self { macs: Some((part, macs)), ..self }
    }

    /// The layer as one of a stage.
    pub fn in_stage(self, index: usize) -> Self {
        Self { stage: Some(index), ..self }
    }

    /// The number of trained values.
    pub fn params(&self) -> usize {
        let trained = self.parameters.iter().filter(|parameter| parameter.role != Role::Statistic);
        trained.map(|parameter| parameter.shape.iter().product::<usize>()).sum()
    }

    /// The parameters by their path in the model, such as `blocks.0.attention.query.weight`.
    pub fn paths(&self) -> impl Iterator<Item = (String, &Parameter)> {
        self.parameters.iter().map(|parameter| match parameter.name {
            "" => (self.name.clone(), parameter),
            name => (format!("{}.{name}", self.name), parameter),
        })
    }
}

/// Multiply-accumulates of one image's forward pass by part, in the order in which the parts occur; see [`Layer::macs`].
pub fn macs_by_part(layers: &[Layer]) -> Vec<(Part, u64)> {
    let mut parts: Vec<(Part, u64)> = Vec::new();
    for (part, count) in layers.iter().filter_map(|layer| layer.macs) {
        match parts.iter_mut().find(|(known, _)| *known == part) {
            Some((_, sum)) => *sum += count,
            None => parts.push((part, count)),
        }
    }
    parts
}
