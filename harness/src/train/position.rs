//! The position of a run in its plan: what a checkpoint holds besides weights and the optimiser's state.

use super::evaluation::Evaluation;
use crate::results::EpochRecord;

/// How far training has got.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Position {
    /// The epochs that are trained and evaluated.
    pub epochs: Vec<EpochRecord>,
    /// What the steps of the epoch in progress have computed so far.
    pub stats: EpochStats,
    /// Seconds that these steps took.
    pub epoch_seconds: f64,
    /// Digest of all training batches so far.
    pub batches: BatchDigest,
    /// How often the run was resumed.
    pub resumes: usize,
}

/// What the steps of a training epoch have computed so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpochStats {
    /// Number of steps.
    pub steps: usize,
    /// Running loss and accuracy over the augmented training images, each predicted before the step that it is part of.
    pub seen: Evaluation,
    /// Learning rate of the last step.
    pub lr: f64,
}

/// A running digest of batches: each step hashes the digest so far together with the batch, so the digest is all its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchDigest(blake3::Hash);

impl Default for BatchDigest {
    fn default() -> Self {
        Self(blake3::hash(b""))
    }
}

impl BatchDigest {
    /// Adds a batch.
    pub(super) fn update<'a>(&mut self, images: impl IntoIterator<Item = &'a [u8]>) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.0.as_bytes());
        for image in images {
            hasher.update(image);
        }
        self.0 = hasher.finalize();
    }

    /// Reads what [`to_hex`](Self::to_hex) wrote.
    pub(super) fn from_hex(hex: &str) -> Result<Self, blake3::HexError> {
        blake3::Hash::from_hex(hex).map(Self)
    }

    /// The digest in hexadecimal.
    pub(super) fn to_hex(&self) -> String {
        self.0.to_hex().to_string()
    }
}
