//! Raw times as they are recorded.

use serde::{Deserialize, Serialize};

/// What was timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimingMode {
    /// Forward, loss, backward and optimiser step, on a batch that is already in memory.
    TrainStep,
    /// Forward pass to logits, on a batch that is already in memory.
    Inference,
}

impl TimingMode {
    /// Floating-point operations that a timed step makes for an image, from the multiply-accumulates of its forward pass: two for each. A
    /// backward pass counts as two forward passes (the gradients of inputs and of weights); the optimiser is left out.
    pub fn flops(self, macs: u64) -> f64 {
        let passes = if self == Self::TrainStep { 3.0 } else { 1.0 };
        2.0 * passes * macs as f64
    }
}

/// A row of `timing.csv`, which runs of version 0.6 and earlier have: one raw sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimingSample {
    /// What was timed.
    pub mode: TimingMode,
    /// Images of the step.
    pub batch_size: usize,
    /// Time of the step, between synchronisations.
    pub seconds: f64,
}

/// A part of a training step that is timed by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepPart {
    /// Images read, augmented and turned into numbers.
    Data,
    /// Forward pass and loss.
    Forward,
    /// Forward pass, loss and backward pass, the gradients of all lanes added up.
    ForwardBackward,
    /// A whole training step, on images in memory. Older runs recorded it in `timing.csv`.
    Step,
}

/// A row of `parts.csv`: one raw sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartSample {
    /// What was timed.
    pub part: StepPart,
    /// Images of the step.
    pub batch_size: usize,
    /// Its time, by all lanes together.
    pub seconds: f64,
}
