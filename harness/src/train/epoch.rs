//! A pass over the training images, and one over images to evaluate.

use burn::optim::ModuleOptimizer;
use burn::tensor::Device;

use super::evaluate::{Evaluation, Prediction};
use super::lanes::Lanes;
use super::step::{Batch, Diverged, MicroBatch, StepOptions, check_finite, infer, train_step};
use crate::architecture::Architecture;
use crate::config::TrainConfig;
use crate::data::{BatchReader, Images, epoch_order};

/// A model with its optimiser.
pub struct Learner {
    /// Absent only while a step computes.
    model: Option<Architecture>,
    optimizer: ModuleOptimizer,
    /// The device that the model was made on, with autodiff.
    device: Device,
    /// Images that a lane takes at a time.
    micro_batch: usize,
    classes: usize,
}

/// What a training epoch found.
#[derive(Debug, Clone, Default)]
pub struct EpochStats {
    /// Loss and hits of the images as they were met, each before the step that it was part of.
    pub seen: Evaluation,
    /// Learning rate of the last step.
    pub lr: f64,
}

impl Learner {
    /// `model`, made on `device` with autodiff.
    pub fn new(
        model: Architecture,
        optimizer: ModuleOptimizer,
        device: Device,
        micro_batch: usize,
        classes: usize,
    ) -> Self {
        Self { model: Some(model), optimizer, device, micro_batch, classes }
    }

    /// The model.
    pub fn model(&self) -> &Architecture {
        self.model.as_ref().expect("no step is in work")
    }

    /// The device that the model is on, with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Images that a lane takes at a time.
    pub fn micro_batch(&self) -> usize {
        self.micro_batch
    }

    /// One optimiser step.
    pub fn step(
        &mut self,
        lanes: &Lanes,
        batch: &Batch<'_>,
        options: StepOptions,
    ) -> Result<super::StepResult, Diverged> {
        let model = self.model.take().expect("no step is in work");
        let (model, result) = train_step(model, &mut self.optimizer, lanes, batch, options, &self.device)?;
        self.model = Some(model);
        Ok(result)
    }
}

/// Trains on every image once, in the order of (seed, epoch); the last batch may be smaller. `epoch` counts from 0. `on_batch`
/// is told what has been seen so far, and takes in the digests of the batch's images.
pub fn train_epoch(
    learner: &mut Learner,
    lanes: &Lanes,
    reader: &BatchReader<'_>,
    images: &Images,
    recipe: &TrainConfig,
    (seed, epoch): (u64, u64),
    mut on_batch: impl FnMut(&EpochStats, &[crate::data::Digest]),
) -> Result<EpochStats, Diverged> {
    let order = epoch_order(images.len(), seed, epoch);
    let steps = order.len().div_ceil(recipe.batch_size);
    let (size, classes, device) = (images.size(), learner.classes, learner.device.clone());
    let micro_batch = learner.micro_batch;
    let mut stats = EpochStats::default();
    for (step, indices) in order.chunks(recipe.batch_size).enumerate() {
        let fetch = |part: usize| {
            let indices = &indices[part * micro_batch..indices.len().min((part + 1) * micro_batch)];
            let mut values = vec![0.0; indices.len() * reader.values_per_image()];
            let (mut labels, mut digests) = (Vec::new(), Vec::new());
            reader.fill(indices, epoch, &mut values, &mut labels, Some(&mut digests));
            MicroBatch { digests, ..MicroBatch::new(values, labels, size, classes, &device) }
        };
        let batch = Batch { images: indices.len(), micro_batches: indices.len().div_ceil(micro_batch), fetch: &fetch };
        let lr = recipe.lr_at(epoch as f64 + step as f64 / steps as f64);
        let result = learner.step(lanes, &batch, StepOptions::of(recipe, lr))?;
        stats.lr = lr;
        for (logits, label) in result.logits.chunks_exact(classes).zip(&result.labels) {
            stats.seen.add(logits, *label as usize);
        }
        on_batch(&stats, &result.digests);
    }
    Ok(stats)
}

/// Loss and hits of all `images`, which `reader` reads, and the verdict on each. `model` is without autodiff, on `device`.
pub fn evaluate(
    model: &Architecture,
    lanes: &Lanes,
    reader: &BatchReader<'_>,
    images: &Images,
    (micro_batch, classes): (usize, usize),
    device: &Device,
) -> Result<(Evaluation, Vec<Prediction>), Diverged> {
    let fetch = |part: usize| {
        let indices: Vec<u32> =
            (part * micro_batch..images.len().min((part + 1) * micro_batch)).map(|i| i as u32).collect();
        let mut values = vec![0.0; indices.len() * reader.values_per_image()];
        let mut labels = Vec::new();
        reader.fill(&indices, 0, &mut values, &mut labels, None);
        MicroBatch::new(values, labels, images.size(), classes, device)
    };
    let batch = Batch { images: images.len(), micro_batches: images.len().div_ceil(micro_batch), fetch: &fetch };
    let logits = infer(model, lanes, &batch);
    let mut evaluation = Evaluation::default();
    let verdict = |(logits, label): (&[f32], &u32)| evaluation.add(logits, *label as usize);
    let predictions = logits.chunks_exact(classes).zip(images.labels()).map(verdict).collect();
    check_finite("the evaluation loss", evaluation.loss())?;
    Ok((evaluation, predictions))
}
