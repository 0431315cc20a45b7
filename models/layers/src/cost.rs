/// Multiply-accumulate operations of one image's forward pass, by part of the model. 1 MAC = 2 FLOPs.
///
/// Counted are the products of matrices, attention's included; additions of biases, norms, softmax and activations are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Macs {
    /// From pixels to tokens.
    pub patches: u64,
    /// Queries, keys, values, the output of attention, and Linformer's projections along the sequence.
    pub projections: u64,
    /// Scores, and the sum that they weight.
    pub attention: u64,
    /// The feed-forward layers.
    pub mlp: u64,
    /// Pooler and classifier.
    pub head: u64,
}

impl Macs {
    /// All parts together.
    pub fn total(&self) -> u64 {
        self.patches + self.projections + self.attention + self.mlp + self.head
    }
}
