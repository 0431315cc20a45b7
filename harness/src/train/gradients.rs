//! Forward and backward pass of a micro-batch, and the loss that training and parity share.

use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::batch::MicroBatch;
use crate::architecture::Architecture;

/// What a lane computes from a micro-batch.
pub(super) struct LaneGradients {
    /// Cross-entropy in nats, summed over the images.
    pub(super) loss_sum: f64,
    /// Logits, row by row.
    pub(super) logits: Vec<f32>,
    /// Gradients of `loss_sum` divided by the number of images in the batch.
    pub(super) gradients: GradientsParams,
}

/// Forward and backward pass through one graph. `total` is the number of images in the whole batch.
pub(super) fn plain_gradients(model: &Architecture, part: MicroBatch, total: usize) -> LaneGradients {
    let logits = model.forward_training(part.images, &part.keys);
    let loss = cross_entropy_sum(logits.clone(), part.targets);
    let loss_sum = f64::from(loss.clone().into_scalar::<f32>());
    let logits = host_values(logits.inner());
    let gradients = GradientsParams::from_grads((loss / total as f64).backward(), model);
    LaneGradients { loss_sum, logits, gradients }
}

/// Cross-entropy in nats, summed over the images: `-sum(targets * log_softmax(logits))`.
///
/// # Shapes
/// - `logits`, `targets`: `[images, classes]`
/// - output: `[1]`
pub(crate) fn cross_entropy_sum(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    -(log_softmax(logits, 1) * targets).sum()
}

/// Copies logits to the host, row by row.
pub(super) fn host_values(logits: Tensor<2>) -> Vec<f32> {
    logits.into_data().try_into_vec().expect("logits are 32-bit floats")
}
