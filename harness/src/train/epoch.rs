//! A pass over the training images, and one over images to evaluate.

use burn::optim::ModuleOptimizer;
use burn::tensor::Device;
use layers::SampleKeys;

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
            let keys = SampleKeys { seed, epoch, samples: indices.iter().map(|index| u64::from(*index)).collect() };
            MicroBatch { digests, keys, ..MicroBatch::new(values, labels, size, classes, &device) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::ArchitectureConfig;
    use crate::train::optimizer;
    use crate::weights::parameters;
    use burn::module::Module;

    const MODELS: [&str; 4] = [
        "architecture = 'vit'\npatch_size = 4\nd_model = 24\ndepth = 2\nheads = 3\nd_ff = 40",
        "architecture = 'vit'\npatch_size = 4\nd_model = 24\ndepth = 2\nheads = 3\nd_ff = 40\nhead = 'pooler'\n\
         dropout = { embeddings = 0.1, attention = 0.2, hidden = 0.3 }",
        "architecture = 'linformer'\npatch_size = 4\nd_model = 20\ndepth = 2\nheads = 5\nd_ff = 36\nprojected_len = 7",
        "architecture = 'conv_vit'\npatch_size = 2\nd_model = 16\ndepth = 2\nhead_channels = 4\nd_ff = 32",
    ];
    const CLASSES: usize = 5;

    fn images() -> Images {
        let (size, count) = (16, 41);
        let pixels = (0..count * size * size * 3).map(|i: usize| (i * i / 7 % 251) as u8).collect();
        let labels = (0..count).map(|i| (i * i % CLASSES) as u32).collect();
        Images::new(size, pixels, labels, (0..count).map(|i| i.to_string()).collect())
    }

    /// Losses of two epochs, final logits of all images and final weights, as bits.
    fn outcome(model: &str, recipe: &str, threads: usize) -> (Vec<u64>, Vec<u32>) {
        let images = images();
        let config: ArchitectureConfig = toml::from_str(model).unwrap();
        let config = config.for_images(images.size(), CLASSES);
        let data = toml::from_str(
            "dataset = 'shapes'\naugment = { random_resized_crop = { scale = [0.5, 1.0] }, horizontal_flip = true }",
        )
        .unwrap();
        let recipe: TrainConfig = toml::from_str(recipe).unwrap();
        let device = Device::flex().autodiff();
        let mut learner =
            Learner::new(config.init(3, &device), optimizer::build(&recipe.optimizer), device, 4, CLASSES);
        let lanes = Lanes::new(threads);
        let reader = BatchReader::training(&images, &data, 9);
        let mut losses = Vec::new();
        for epoch in 0..2 {
            let stats = train_epoch(&mut learner, &lanes, &reader, &images, &recipe, (9, epoch), |_, _| {}).unwrap();
            losses.push(stats.seen.loss().to_bits());
        }
        let plain = Device::flex();
        let reader = BatchReader::evaluation(&images, &data);
        let (evaluation, _) =
            evaluate(&learner.model().valid(), &lanes, &reader, &images, (4, CLASSES), &plain).unwrap();
        losses.push(evaluation.loss().to_bits());
        let weights = parameters::values(learner.model()).into_values().flat_map(|values| values.data);
        (losses, weights.map(f32::to_bits).collect())
    }

    #[test]
    fn losses_and_weights_are_the_same_bits_for_any_number_of_threads() {
        let recipe = "epochs = 2\nbatch_size = 16\noptimizer = { kind = 'adamw' }\nlr = 0.01\nclip_norm = 0.5";
        let checkpointing = format!("{recipe}\ngradient_checkpointing = true");
        for recipe in [recipe, &checkpointing] {
            for model in MODELS {
                let one = outcome(model, recipe, 1);
                for threads in [2, 3, 8] {
                    assert_eq!(one, outcome(model, recipe, threads), "{threads} threads:\n{model}\n{recipe}");
                }
            }
        }
    }

    #[test]
    fn another_order_or_draw_would_show() {
        // Dropout reaches the weights, or the test above would say nothing about it.
        let recipe = "epochs = 2\nbatch_size = 16\noptimizer = { kind = 'adamw' }\nlr = 0.01";
        let without = MODELS[1].split("dropout").next().unwrap();
        assert_ne!(outcome(MODELS[1], recipe, 2), outcome(without, recipe, 2));
    }
}
