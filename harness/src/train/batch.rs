//! Batches as lanes compute them.

use burn::tensor::{Device, Tensor, TensorData};
use layers::SampleKeys;

use crate::data::{Digest, one_hot};

/// The images that a lane computes at a time, on the device, with their targets.
#[derive(Clone)]
pub struct MicroBatch {
    /// `[images, channels, height, width]`.
    pub images: Tensor<4>,
    /// Probability of every class, `[images, classes]`.
    pub targets: Tensor<2>,
    /// The class of every image; of two mixed images, the class of the one with the larger weight.
    pub labels: Vec<i64>,
    /// Keys of the random draws for every image in training.
    pub keys: SampleKeys,
    /// Digest of every image with its label; empty where they are not needed.
    pub digests: Vec<Digest>,
}

impl MicroBatch {
    /// Images `[labels.len(), 3, size, size]`, each of exactly one class. Keys are the positions in the micro-batch.
    pub fn new(images: Vec<f32>, labels: Vec<i64>, size: usize, classes: usize, device: &Device) -> Self {
        let targets = one_hot(&labels, classes);
        Self::with_targets(images, labels, targets, size, device)
    }

    /// Like [`new`](Self::new), with a probability for every class, `[labels.len(), classes]`.
    pub fn with_targets(images: Vec<f32>, labels: Vec<i64>, targets: Vec<f32>, size: usize, device: &Device) -> Self {
        let classes = targets.len() / labels.len();
        Self {
            images: Tensor::from_data(TensorData::new(images, [labels.len(), 3, size, size]), device),
            targets: Tensor::from_data(TensorData::new(targets, [labels.len(), classes]), device),
            keys: SampleKeys { samples: (0..labels.len() as u64).collect(), ..SampleKeys::default() },
            labels,
            digests: Vec::new(),
        }
    }
}

/// A batch, as micro-batches that lanes fetch by index.
pub struct Batch<'a> {
    /// Images of all micro-batches together.
    pub images: usize,
    /// Number of micro-batches.
    pub micro_batches: usize,
    /// Makes the micro-batch of an index. The lane that computes the micro-batch calls this.
    pub fetch: &'a (dyn Fn(usize) -> MicroBatch + Sync),
}
