//! One optimiser step, and one inference pass.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Tensor, TensorData};
use layers::SampleKeys;

use super::optimizer::{Optimizer, gradient_norm, scale_gradients};
use super::recompute::checkpointed_gradients;
use crate::architecture::Architecture;
use crate::config::TrainConfig;
use crate::data::{Digest, one_hot};
use crate::lanes::Lanes;

/// Images that a lane takes at a time, on the device, with what they should be classified as.
#[derive(Clone)]
pub struct MicroBatch {
    /// `[images, channels, height, width]`.
    pub images: Tensor<4>,
    /// Probability of every class, `[images, classes]`.
    pub targets: Tensor<2>,
    /// The class of every image, that of the greater share where two are mixed.
    pub labels: Vec<i64>,
    /// What is drawn for every image in training.
    pub keys: SampleKeys,
    /// Digest of every image with its label; none where nobody asks for them.
    pub digests: Vec<Digest>,
}

impl MicroBatch {
    /// Images `[labels.len(), 3, size, size]`, each of one certain class, with keys by their place.
    pub fn new(images: Vec<f32>, labels: Vec<i64>, size: usize, classes: usize, device: &Device) -> Self {
        let targets = one_hot(&labels, classes);
        Self::with_targets(images, labels, targets, size, device)
    }

    /// As [`new`](Self::new), with the probability of every class, `[labels.len(), classes]`.
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

/// A batch as its micro-batches, which lanes fetch by index.
pub struct Batch<'a> {
    /// Images of all micro-batches together.
    pub images: usize,
    /// Number of micro-batches.
    pub micro_batches: usize,
    /// Makes a micro-batch; called on the lane that computes it.
    pub fetch: &'a (dyn Fn(usize) -> MicroBatch + Sync),
}

/// What a training step has to do besides the model.
#[derive(Debug, Clone, Copy)]
pub struct StepOptions {
    /// Learning rate.
    pub lr: f64,
    /// Greatest norm of all gradients together.
    pub clip_norm: Option<f64>,
    /// Whether blocks are computed again for the backward pass instead of kept from the forward pass.
    pub gradient_checkpointing: bool,
}

impl StepOptions {
    /// What a recipe says, with this learning rate.
    pub fn of(recipe: &TrainConfig, lr: f64) -> Self {
        Self { lr, clip_norm: recipe.clip_norm, gradient_checkpointing: recipe.gradient_checkpointing }
    }
}

/// What a training step found before it changed the weights.
#[derive(Default)]
pub struct StepResult {
    /// Cross-entropy of the batch's images, in nats, summed.
    pub loss_sum: f64,
    /// Logits `[images, classes]`, row by row.
    pub logits: Vec<f32>,
    /// The true class of every image.
    pub labels: Vec<i64>,
    /// The images' digests, as far as they were made.
    pub digests: Vec<Digest>,
}

/// A loss or gradient that is not a finite number.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{what} became {value}")]
pub struct Diverged {
    what: &'static str,
    value: f64,
}

/// Errs if `value` is not finite.
pub(super) fn check_finite(what: &'static str, value: f64) -> Result<(), Diverged> {
    if value.is_finite() { Ok(()) } else { Err(Diverged { what, value }) }
}

/// Memory for gradients that wait until those of the micro-batches before them are summed. For large models it keeps none.
const WAITING_BYTES: usize = 64 << 20;

/// Forward, mean cross-entropy, backward over all lanes, and one step of the optimiser.
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
        check_finite("the norm of the gradients", norm)?;
        // PyTorch's `clip_grad_norm_` has the same small addition.
        let factor = clip_norm / (norm + 1e-6);
        if factor < 1.0 {
            scale_gradients(&model, &mut gradients, factor);
        }
    }
    Ok((optimizer.step(lanes, options.lr, model, gradients), result))
}

/// Forward and backward of a whole batch: what it found, and the gradients of its mean loss, those of all lanes added up.
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
        // Graphs over the same leaves would be merged, and merging deadlocks between threads: every lane has its own leaves.
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

/// What a lane makes of a micro-batch.
pub(super) struct LaneGradients {
    /// Cross-entropy in nats, summed over the images.
    pub(super) loss_sum: f64,
    /// Logits, row by row.
    pub(super) logits: Vec<f32>,
    /// Of `loss_sum`, divided by the number of images of the batch.
    pub(super) gradients: GradientsParams,
}

/// Forward and backward of one graph. `total` is the number of images of the batch.
pub(super) fn plain_gradients(model: &Architecture, part: MicroBatch, total: usize) -> LaneGradients {
    let logits = model.forward_training(part.images, &part.keys);
    let loss = cross_entropy_sum(logits.clone(), part.targets);
    let loss_sum = f64::from(loss.clone().into_scalar::<f32>());
    let logits = host_values(logits.inner());
    let gradients = GradientsParams::from_grads((loss / total as f64).backward(), model);
    LaneGradients { loss_sum, logits, gradients }
}

/// Summed over the images.
pub(super) fn cross_entropy_sum(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    -(log_softmax(logits, 1) * targets).sum()
}

/// Logits `[images, classes]` of a batch, row by row. `model` is without autodiff.
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

pub(super) fn host_values(logits: Tensor<2>) -> Vec<f32> {
    logits.into_data().try_into_vec().expect("logits are 32-bit floats")
}
