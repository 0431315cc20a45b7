//! A pass over the training images, and one over images to evaluate.

use std::ops::{ControlFlow, Range};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use layers::SampleKeys;
use rayon::prelude::*;

use super::evaluate::{Evaluation, Prediction};
use super::learner::Learner;
use super::step::{Batch, Diverged, MicroBatch, StepOptions, check_finite, infer};
use crate::architecture::Architecture;
use crate::config::TrainConfig;
use crate::data::{BatchReader, Digest, Images, TrainingSamples, epoch_order};
use crate::lanes::Lanes;

/// What a training epoch has found so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpochStats {
    /// Steps made.
    pub steps: usize,
    /// Loss and hits of the images as they were met, each before the step that it was part of.
    pub seen: Evaluation,
    /// Learning rate of the last step.
    pub lr: f64,
}

/// Where an epoch begins.
#[derive(Debug, Clone, Default)]
pub struct EpochStart {
    /// Of order, augmentation and dropout, with the epoch.
    pub seed: u64,
    /// From 0.
    pub epoch: u64,
    /// What an earlier attempt made of it; its steps are left out.
    pub made: EpochStats,
}

/// Trains on every image once, in the order of seed and epoch; the last batch may be smaller. After every step, `on_step` is told what
/// has been seen so far, takes in the digests of the batch's images, and says whether to go on; if not, the outcome is
/// [`Break`](ControlFlow::Break).
///
/// Lanes read the images of their micro-batches themselves, so that no core waits for another. Where a device computes by itself, the
/// images of the next batches are read in the meantime, [`AHEAD`] of them at most.
pub fn train_epoch(
    learner: &mut Learner,
    lanes: &Lanes,
    reader: &BatchReader<'_>,
    images: &Images,
    recipe: &TrainConfig,
    EpochStart { seed, epoch, made: from }: EpochStart,
    on_step: impl FnMut(&Learner, &EpochStats, &[Digest]) -> ControlFlow<()>,
) -> Result<ControlFlow<(), EpochStats>, Diverged> {
    let order = epoch_order(images.len(), seed, epoch);
    let batches: Vec<&[u32]> = order.chunks(recipe.batch_size).collect();
    let micro_batch = learner.micro_batch();
    let samples = Samples { reader, classes: learner.classes(), recipe, epoch };
    let pass = Pass { lanes, batches: &batches, images: images.len(), image_size: images.size(), recipe, seed, epoch };
    let part_of = |batch: &[u32], part: usize| part * micro_batch..batch.len().min((part + 1) * micro_batch);
    if !lanes.are_the_caller() {
        let fetch = |step: usize, part: usize| samples.read(step, batches[step], part_of(batches[step], part));
        return pass.run(learner, &fetch, from, on_step);
    }
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        let (samples, batches, first) = (&samples, &batches, from.steps);
        scope.spawn(move || {
            for (step, batch) in batches.iter().enumerate().skip(first) {
                for part in 0..batch.len().div_ceil(micro_batch) {
                    let values = samples.read_in_parallel(step, batch, part_of(batch, part));
                    if sender.send(values).is_err() {
                        return;
                    }
                }
            }
        });
        // The only lane asks for the parts one after the other, in their order. If a step fails, the receiver is dropped, and
        // with it the sender's loop ends.
        let receiver = Mutex::new(receiver);
        let fetch = |_: usize, _: usize| {
            let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.recv().expect("there are as many parts as are asked for")
        };
        pass.run(learner, &fetch, from, on_step)
    })
}

/// Micro-batches that are read ahead of the step on a device that computes by itself.
const AHEAD: usize = 2;

/// Where the samples of an epoch come from.
struct Samples<'a> {
    reader: &'a BatchReader<'a>,
    classes: usize,
    recipe: &'a TrainConfig,
    epoch: u64,
}

impl Samples<'_> {
    /// Part of the batch of a step.
    fn read(&self, step: usize, batch: &[u32], part: Range<usize>) -> TrainingSamples {
        let mut samples = self.reader.read(batch, part, [self.epoch, step as u64], self.classes);
        let smoothing = self.recipe.label_smoothing;
        if smoothing > 0.0 {
            for target in &mut samples.targets {
                *target = (1.0 - smoothing) * *target + smoothing / self.classes as f32;
            }
        }
        samples
    }

    /// As [`read`](Self::read), by all threads of the global pool.
    fn read_in_parallel(&self, step: usize, batch: &[u32], part: Range<usize>) -> TrainingSamples {
        const IMAGES: usize = 16;
        let starts: Vec<usize> = part.clone().step_by(IMAGES).collect();
        let read = |start: &usize| self.read(step, batch, *start..part.end.min(start + IMAGES));
        let mut whole = TrainingSamples::default();
        for part in starts.par_iter().map(read).collect::<Vec<_>>() {
            whole.values.extend(part.values);
            whole.labels.extend(part.labels);
            whole.targets.extend(part.targets);
            whole.digests.extend(part.digests);
        }
        whole
    }
}

/// The steps of an epoch.
struct Pass<'a> {
    lanes: &'a Lanes,
    /// The images of every step.
    batches: &'a [&'a [u32]],
    /// Images of all steps, each of which is to be seen once.
    images: usize,
    image_size: usize,
    recipe: &'a TrainConfig,
    seed: u64,
    epoch: u64,
}

impl Pass<'_> {
    /// `fetch` gives a micro-batch of a step, both by their numbers.
    fn run(
        &self,
        learner: &mut Learner,
        fetch: &(dyn Fn(usize, usize) -> TrainingSamples + Sync),
        from: EpochStats,
        mut on_step: impl FnMut(&Learner, &EpochStats, &[Digest]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), EpochStats>, Diverged> {
        let (classes, device, micro_batch, epoch) =
            (learner.classes(), learner.device().clone(), learner.micro_batch(), self.epoch);
        let seed = self.seed;
        let mut stats = from;
        for (step, indices) in self.batches.iter().enumerate().skip(stats.steps) {
            let fetch = |part: usize| {
                let TrainingSamples { values, labels, targets, digests } = fetch(step, part);
                let samples =
                    indices[part * micro_batch..].iter().take(micro_batch).map(|index| u64::from(*index)).collect();
                let keys = SampleKeys { seed, epoch, samples };
                let part = MicroBatch::with_targets(values, labels, targets, self.image_size, &device);
                MicroBatch { digests, keys, ..part }
            };
            let micro_batches = indices.len().div_ceil(micro_batch);
            let batch = Batch { images: indices.len(), micro_batches, fetch: &fetch };
            let lr = self.recipe.lr_at(epoch as f64 + step as f64 / self.batches.len() as f64);
            let result = learner.step(self.lanes, &batch, StepOptions::of(self.recipe, lr))?;
            stats.lr = lr;
            for (logits, label) in result.logits.chunks_exact(classes).zip(&result.labels) {
                stats.seen.add(logits, *label as usize);
            }
            stats.steps = step + 1;
            if on_step(learner, &stats, &result.digests).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        assert_eq!(stats.seen.images(), self.images, "an epoch sees every image once");
        Ok(ControlFlow::Continue(stats))
    }
}

/// Images that are evaluated between two looks at whether to stop.
const EVALUATED_AT_ONCE: usize = 1024;

/// Loss and hits of all `images`, which `reader` reads, and the verdict on each; `None` if `stop` is set meanwhile. `model` is without
/// autodiff, on `device`.
pub fn evaluate(
    model: &Architecture,
    lanes: &Lanes,
    reader: &BatchReader<'_>,
    images: &Images,
    (micro_batch, classes): (usize, usize),
    device: &Device,
    stop: &AtomicBool,
) -> Result<Option<(Evaluation, Vec<Prediction>)>, Diverged> {
    let micro_batch_of = |range: Range<usize>| {
        let indices: Vec<u32> = range.map(|index| index as u32).collect();
        let mut values = vec![0.0; indices.len() * reader.values_per_image()];
        let mut labels = Vec::new();
        reader.fill(&indices, 0, &mut values, &mut labels, None);
        MicroBatch::new(values, labels, images.size(), classes, device)
    };
    let mut evaluation = Evaluation::default();
    let mut predictions = Vec::with_capacity(images.len());
    let at_once = EVALUATED_AT_ONCE.next_multiple_of(micro_batch);
    for start in (0..images.len()).step_by(at_once) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let end = images.len().min(start + at_once);
        let fetch = |part: usize| {
            let first = start + part * micro_batch;
            micro_batch_of(first..end.min(first + micro_batch))
        };
        let batch = Batch { images: end - start, micro_batches: (end - start).div_ceil(micro_batch), fetch: &fetch };
        let logits = infer(model, lanes, &batch);
        let verdict = |(logits, label): (&[f32], &u32)| evaluation.add(logits, *label as usize);
        predictions.extend(logits.chunks_exact(classes).zip(&images.labels()[start..end]).map(verdict));
    }
    assert_eq!(evaluation.images(), images.len(), "an evaluation sees every image once");
    check_finite("the evaluation loss", evaluation.loss())?;
    Ok(Some((evaluation, predictions)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::ArchitectureConfig;
    use crate::measure::GO_ON;
    use crate::train::average::WeightAverage;
    use crate::train::optimizer;
    use crate::weights::parameters;

    const MODELS: [&str; 4] = [
        "architecture = 'vit'\npatch_size = 4\nd_model = 24\ndepth = 2\nheads = 3\nd_ff = 40",
        "architecture = 'vit'\npatch_size = 4\nd_model = 24\ndepth = 2\nheads = 3\nd_ff = 40\nhead = 'pooler'\n\
         dropout = { embeddings = 0.1, attention = 0.2, hidden = 0.3 }",
        "architecture = 'linformer'\npatch_size = 4\nd_model = 20\ndepth = 2\nheads = 5\nd_ff = 36\nk = 7",
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
    fn outcome(model: &str, recipe: &str, lanes: &Lanes) -> (Vec<u64>, Vec<u32>) {
        let images = images();
        let config: ArchitectureConfig = toml::from_str(model).unwrap();
        let config = config.for_images(images.size(), CLASSES);
        let data = toml::from_str(
            "dataset = 'shapes'\n[augment]\nrandom_resized_crop = { scale = [0.5, 1.0] }\nhorizontal_flip = true\n\
             pad_and_crop = { padding = 2 }\nrand_augment = { operations = 2, magnitude = 9 }\n\
             color_jitter = { brightness = 0.2, contrast = 0.2, saturation = 0.2 }\n\
             random_erasing = { probability = 0.5 }\nmixup = { alpha = 0.4 }\ncutmix = { alpha = 1.0 }",
        )
        .unwrap();
        let recipe: TrainConfig = toml::from_str(recipe).unwrap();
        let device = Device::flex().autodiff();
        let model = config.init(3, &device);
        let optimizer = optimizer::build(&recipe.optimizer, recipe.decay, &model);
        let mut learner = Learner::new(model, optimizer, device, 4, CLASSES);
        if let Some(ema) = recipe.ema {
            let average = WeightAverage::new(ema, learner.model());
            learner = learner.with_average(average);
        }
        let reader = BatchReader::training(&images, &data, 9);
        let mut losses = Vec::new();
        for epoch in 0..2 {
            let start = EpochStart { seed: 9, epoch, made: EpochStats::default() };
            let go_on = |_: &Learner, _: &EpochStats, _: &[Digest]| ControlFlow::Continue(());
            let pass = train_epoch(&mut learner, lanes, &reader, &images, &recipe, start, go_on);
            let ControlFlow::Continue(stats) = pass.unwrap() else { panic!("nobody stopped it") };
            losses.push(stats.seen.loss().to_bits());
        }
        let plain = Device::flex();
        let reader = BatchReader::evaluation(&images, &data);
        let evaluated = evaluate(&learner.result(), lanes, &reader, &images, (4, CLASSES), &plain, &GO_ON);
        let (evaluation, _) = evaluated.unwrap().expect("nothing stops it");
        losses.push(evaluation.loss().to_bits());
        let weights = parameters::values(&learner.result()).into_values().flat_map(|values| values.data);
        (losses, weights.map(f32::to_bits).collect())
    }

    #[test]
    fn losses_and_weights_are_the_same_bits_for_any_number_of_threads() {
        let recipe = "epochs = 2\nbatch_size = 16\noptimizer = { kind = 'adamw' }\nlr = 0.01\nclip_norm = 0.5\n\
                      label_smoothing = 0.1";
        let checkpointing = format!("{recipe}\ngradient_checkpointing = true");
        let muon = recipe.replace("'adamw'", "'muon'") + "\ndecay = 'matrices'\nema = { decay = 0.9 }";
        let lion = recipe.replace("'adamw'", "'lion'");
        for recipe in [recipe, &checkpointing, &muon, &lion] {
            for model in MODELS {
                let one = outcome(model, recipe, &Lanes::new(1));
                for threads in [2, 3, 8] {
                    let outcome = outcome(model, recipe, &Lanes::new(threads));
                    assert_eq!(one, outcome, "{threads} threads:\n{model}\n{recipe}");
                }
            }
        }
    }

    /// A learner with one micro-batch of 4 images a lane and no augmentation, and a recipe with these lines and batches of 16.
    fn plain_learner(recipe: &str) -> (Learner, TrainConfig) {
        let recipe = format!("epochs = 1\nbatch_size = 16\noptimizer = {{ kind = 'sgd' }}\n{recipe}");
        let recipe: TrainConfig = toml::from_str(&recipe).unwrap();
        let config: ArchitectureConfig = toml::from_str(MODELS[0]).unwrap();
        let device = Device::flex().autodiff();
        let model = config.for_images(16, CLASSES).init(3, &device);
        let optimizer = optimizer::build(&recipe.optimizer, recipe.decay, &model);
        (Learner::new(model, optimizer, device, 4, CLASSES), recipe)
    }

    #[test]
    fn means_over_an_epoch_weigh_every_image_equally() {
        // 41 images in batches of 16, 16 and 9, and weights that stay as they are.
        let (images, data) = (images(), toml::from_str("dataset = 'shapes'").unwrap());
        let (mut learner, recipe) = plain_learner("lr = 0.0");
        let (reader, lanes) = (BatchReader::training(&images, &data, 9), Lanes::new(2));
        let mut lrs = Vec::new();
        let on_step = |_: &Learner, stats: &EpochStats, _: &[Digest]| {
            lrs.push((stats.seen.images(), stats.lr));
            ControlFlow::Continue(())
        };
        let pass = train_epoch(&mut learner, &lanes, &reader, &images, &recipe, EpochStart::default(), on_step);
        let ControlFlow::Continue(stats) = pass.unwrap() else { panic!("nobody stopped it") };
        assert_eq!(lrs.iter().map(|(seen, _)| *seen).collect::<Vec<_>>(), [16, 32, 41]);
        let plain = Device::flex();
        let whole = evaluate(&learner.result(), &lanes, &reader, &images, (41, CLASSES), &plain, &GO_ON);
        let (whole, _) = whole.unwrap().expect("nothing stops it");
        assert!((stats.seen.loss() - whole.loss()).abs() < 1e-6, "{} and {}", stats.seen.loss(), whole.loss());
        assert_eq!(stats.seen.top1(), whole.top1());
    }

    #[test]
    fn every_step_has_the_rate_of_its_place_in_the_schedule() {
        let (images, data) = (images(), toml::from_str("dataset = 'shapes'").unwrap());
        let points = "schedule = { kind = 'piecewise_linear', points = [[0, 0.0], [1, 0.3]] }";
        let (mut learner, recipe) = plain_learner(points);
        let reader = BatchReader::training(&images, &data, 9);
        let mut lrs = Vec::new();
        let on_step = |_: &Learner, stats: &EpochStats, _: &[Digest]| {
            lrs.push(stats.lr);
            ControlFlow::Continue(())
        };
        let pass = train_epoch(&mut learner, &Lanes::new(2), &reader, &images, &recipe, EpochStart::default(), on_step);
        assert!(pass.unwrap().is_continue());
        assert!(lrs.iter().zip([0.0, 0.1, 0.2]).all(|(lr, expected)| (lr - expected).abs() < 1e-12), "{lrs:?}");
    }

    #[test]
    fn a_step_is_the_gradient_of_the_mean_over_its_own_images() {
        // Plain SGD: a step of a short batch of 9 images moves the weights as one micro-batch of those 9 does, and half as far if the
        // norm of its gradients is cut to half.
        let (images, data) = (images(), toml::from_str("dataset = 'shapes'").unwrap());
        let reader = BatchReader::evaluation(&images, &data);
        let moved = |micro_batch: usize, clip_norm: Option<f64>| {
            let (mut learner, _) = plain_learner("lr = 0.1");
            let before = parameters::values(learner.model());
            let indices: Vec<u32> = (32..41).collect();
            let fetch = |part: usize| {
                let indices = &indices[part * micro_batch..indices.len().min((part + 1) * micro_batch)];
                let (mut values, mut labels) = (vec![0.0; indices.len() * reader.values_per_image()], Vec::new());
                reader.fill(indices, 0, &mut values, &mut labels, None);
                MicroBatch::new(values, labels, images.size(), CLASSES, &Device::flex().autodiff())
            };
            let batch = Batch { images: 9, micro_batches: 9_usize.div_ceil(micro_batch), fetch: &fetch };
            let options = StepOptions { lr: 0.1, clip_norm, gradient_checkpointing: false };
            learner.step(&Lanes::new(2), &batch, options).unwrap();
            let after = parameters::values(learner.model());
            let moves = before.iter().flat_map(|(path, before)| {
                before
                    .data
                    .iter()
                    .zip(&after[path].data)
                    .map(|(before, after)| f64::from(after - before))
                    .collect::<Vec<_>>()
            });
            moves.collect::<Vec<f64>>()
        };
        let norm = |moves: &[f64]| moves.iter().map(|v| v * v).sum::<f64>().sqrt();
        let (parts, whole) = (moved(4, None), moved(9, None));
        let apart: Vec<f64> = parts.iter().zip(&whole).map(|(a, b)| a - b).collect();
        assert!(norm(&apart) < 1e-5 * norm(&whole), "{} of {}", norm(&apart), norm(&whole));
        let gradient = norm(&whole) / 0.1;
        let clipped = moved(4, Some(gradient / 2.0));
        assert!((norm(&clipped) / norm(&whole) - 0.5).abs() < 1e-4, "{}", norm(&clipped) / norm(&whole));
        assert_eq!(moved(4, Some(gradient * 2.0)), parts, "a shorter gradient stays as it is");
    }

    #[test]
    fn smoothed_targets_are_those_of_pytorch() {
        // `CrossEntropyLoss(label_smoothing=0.1)` of five classes: 1 - 0.1 + 0.1 / 5 for the class, 0.1 / 5 for each other.
        let (images, data) = (images(), toml::from_str("dataset = 'shapes'").unwrap());
        let (_, recipe) = plain_learner("lr = 0.1\nlabel_smoothing = 0.1");
        let reader = BatchReader::training(&images, &data, 9);
        let samples = Samples { reader: &reader, classes: CLASSES, recipe: &recipe, epoch: 0 };
        let read = samples.read(0, &[0, 1, 2, 3], 1..4);
        for (targets, label) in read.targets.chunks_exact(CLASSES).zip(&read.labels) {
            for (class, target) in targets.iter().enumerate() {
                let expected = if class as i64 == *label { 0.92 } else { 0.02 };
                assert!((target - expected).abs() < 1e-6, "{targets:?}");
            }
        }
    }

    #[test]
    fn another_order_or_draw_would_show() {
        // Dropout reaches the weights, or the test above would say nothing about it.
        let recipe = "epochs = 2\nbatch_size = 16\noptimizer = { kind = 'adamw' }\nlr = 0.01";
        let without = MODELS[1].split("dropout").next().unwrap();
        assert_ne!(outcome(MODELS[1], recipe, &Lanes::new(2)), outcome(without, recipe, &Lanes::new(2)));
    }

    #[test]
    fn reading_ahead_changes_nothing() {
        let recipe = "epochs = 2\nbatch_size = 16\noptimizer = { kind = 'adamw' }\nlr = 0.01";
        for model in MODELS {
            assert_eq!(outcome(model, recipe, &Lanes::new(1)), outcome(model, recipe, &Lanes::caller()), "{model}");
        }
    }

    #[test]
    fn a_step_that_diverges_ends_the_reading_ahead() {
        let recipe = "epochs = 1\nbatch_size = 4\noptimizer = { kind = 'sgd' }\nlr = 1e30";
        let failed = std::panic::catch_unwind(|| outcome(MODELS[0], recipe, &Lanes::caller()));
        assert!(failed.is_err(), "the loss is not finite after the first step");
    }
}
