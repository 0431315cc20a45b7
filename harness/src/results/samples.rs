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

/// A row of `timing.csv`: one raw sample.
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
