//! A training step and an inference pass on a batch.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;

use super::batch::Batch;
use super::gradients::{LaneGradients, host_values, plain_gradients};
use super::optimizer::{Optimizer, gradient_norm, scale_gradients};
use super::recompute::checkpointed_gradients;
use crate::architecture::Architecture;
use crate::config::TrainConfig;
use crate::data::Digest;
use crate::lanes::Lanes;

/// Settings of a training step.
#[derive(Debug, Clone, Copy)]
pub struct StepOptions {
    /// Learning rate.
    pub lr: f64,
    /// Largest global norm of the gradients. Gradients with a larger norm are scaled down to it.
    pub clip_norm: Option<f64>,
    /// Whether the backward pass recomputes each block instead of keeping its activations.
    pub gradient_checkpointing: bool,
}

impl StepOptions {
    /// The settings of a recipe at this learning rate.
    pub fn of(recipe: &TrainConfig, lr: f64) -> Self {
        Self { lr, clip_norm: recipe.clip_norm, gradient_checkpointing: recipe.gradient_checkpointing }
    }
}

/// What a training step computed before it changed the weights.
#[derive(Default)]
pub struct StepResult {
    /// Cross-entropy in nats, summed over the batch.
    pub loss_sum: f64,
    /// Logits `[images, classes]`, row by row.
    pub logits: Vec<f32>,
    /// The true class of every image.
    pub labels: Vec<i64>,
    /// Digests of the images, where the micro-batches have them.
    pub digests: Vec<Digest>,
}

/// A loss or gradient norm that is not a finite number.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{what} became {value}")]
pub struct Diverged {
    what: &'static str,
    value: f64,
}

/// Checks a loss or a norm, which `what` names.
///
/// # Errors
/// If `value` is not finite.
pub(super) fn check_finite(what: &'static str, value: f64) -> Result<(), Diverged> {
    if value.is_finite() { Ok(()) } else { Err(Diverged { what, value }) }
}

/// Memory for gradients that wait for those of earlier micro-batches. Large models exceed it, and their lanes wait instead.
const WAITING_BYTES: usize = 64 << 20;

/// Computes the gradients of the mean cross-entropy on all lanes, clips them by their global norm, and takes an optimiser step.
///
/// # Errors
/// If the loss or the norm of the gradients is not finite.
pub fn train_step(
    model: Architecture,
    optimizer: &mut Optimizer,
    lanes: &Lanes,
    batch: &Batch<'_>,
    options: StepOptions,
    device: &Device,
) -> Result<(Architecture, StepResult), Diverged> {
    let (result, mut gradients) = batch_gradients(&model, lanes, batch, options.gradient_checkpointing, device);
    check_finite("the training loss", result.loss_sum)?;
    if let Some(clip_norm) = options.clip_norm {
        let norm;
        (norm, gradients) = lanes.on_one(|| (gradient_norm(&model, &gradients), gradients));
        check_finite("the global norm of the gradients", norm)?;
        // PyTorch's `clip_grad_norm_` adds the same epsilon.
        let factor = clip_norm / (norm + 1e-6);
        if factor < 1.0 {
            scale_gradients(&model, &mut gradients, factor);
        }
    }
    // The weights are about to change.
    layers::ops::forget_packed();
    Ok((optimizer.step(lanes, options.lr, model, gradients), result))
}

/// Forward and backward pass of a whole batch: the loss and logits, and the gradients of the mean loss, summed over all lanes.
pub(super) fn batch_gradients(
    model: &Architecture,
    lanes: &Lanes,
    batch: &Batch<'_>,
    gradient_checkpointing: bool,
    device: &Device,
) -> (StepResult, GradientsParams) {
    let lane_gradients = if gradient_checkpointing { checkpointed_gradients } else { plain_gradients };
    let mut accumulator = GradientsAccumulator::new();
    let mut result = StepResult::default();
    let gradient_bytes = size_of::<f32>() * model.num_params();
    lanes.ordered(
        batch.micro_batches,
        lanes.threads().min(WAITING_BYTES / gradient_bytes),
        // Burn merges graphs over the same leaves, which deadlocks between threads: each lane needs leaves of its own.
        || model.clone().fork(device),
        |model, index| {
            let mut part = (batch.fetch)(index);
            let (labels, digests) = (std::mem::take(&mut part.labels), std::mem::take(&mut part.digests));
            let LaneGradients { loss_sum, logits, gradients } = lane_gradients(model, part, batch.images);
            (StepResult { loss_sum, logits, labels, digests }, gradients)
        },
        |(part, gradients)| {
            result.loss_sum += part.loss_sum;
            result.logits.extend(part.logits);
            result.labels.extend(part.labels);
            result.digests.extend(part.digests);
            accumulator.accumulate(model, gradients);
        },
    );
    (result, accumulator.grads())
}

/// The logits `[images, classes]` of a batch, row by row. `model` is without autodiff.
pub(super) fn infer(model: &Architecture, lanes: &Lanes, batch: &Batch<'_>) -> Vec<f32> {
    let mut logits = Vec::new();
    lanes.ordered(
        batch.micro_batches,
        lanes.threads(),
        || model.clone(),
        |model, index| host_values(model.forward((batch.fetch)(index).images)),
        |values| logits.extend(values),
    );
    logits
}
