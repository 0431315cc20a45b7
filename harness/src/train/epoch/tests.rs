//! Epochs do not depend on lanes or on reading ahead, and their means, learning rates and gradients are as defined.

mod batch_statistics;

use burn::tensor::Device;

use super::*;
use crate::architecture::ArchitectureConfig;
use crate::measure::GO_ON;
use crate::train::average::WeightAverage;
use crate::train::evaluate::evaluate;
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

/// Losses of two epochs, the final evaluation loss, and the final weights, as bits.
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
    let optimizer = optimizer::build(&recipe.optimizer, recipe.decay, &config, &model);
    let mut learner = Learner::new(model, optimizer, device, 4, CLASSES);
    if let Some(ema) = recipe.ema {
        let average = WeightAverage::new(ema, learner.model());
        learner = learner.with_average(average);
    }
    let reader = BatchReader::training(&images, &data, 9);
    let mut losses = Vec::new();
    for epoch in 0..2 {
        let start = EpochStart { seed: 9, epoch, made: EpochStats::default() };
        let go_on = |_: &Learner, _: &EpochStats, _: &[Digest]| Ok(());
        let stats = train_epoch(&mut learner, lanes, &reader, &images, &recipe, start, go_on).unwrap();
        losses.push(stats.seen.loss().to_bits());
    }
    let plain = Device::flex();
    let reader = BatchReader::evaluation(&images, &data);
    let evaluated = evaluate(&learner.result(), lanes, &reader, &images, (4, CLASSES), &plain, &GO_ON);
    let (evaluation, _) = evaluated.unwrap();
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

/// A learner with micro-batches of 4 images, and a recipe with these lines and batches of 16.
fn plain_learner(recipe: &str) -> (Learner, TrainConfig) {
    let recipe = format!("epochs = 1\nbatch_size = 16\noptimizer = {{ kind = 'sgd' }}\n{recipe}");
    let recipe: TrainConfig = toml::from_str(&recipe).unwrap();
    let config: ArchitectureConfig = toml::from_str(MODELS[0]).unwrap();
    let device = Device::flex().autodiff();
    let config = config.for_images(16, CLASSES);
    let model = config.init(3, &device);
    let optimizer = optimizer::build(&recipe.optimizer, recipe.decay, &config, &model);
    (Learner::new(model, optimizer, device, 4, CLASSES), recipe)
}

#[test]
fn means_over_an_epoch_weight_every_image_equally() {
    // 41 images in batches of 16, 16 and 9, and weights that do not change.
    let (images, data) = (images(), toml::from_str("dataset = 'shapes'").unwrap());
    let (mut learner, recipe) = plain_learner("lr = 0.0");
    let (reader, lanes) = (BatchReader::training(&images, &data, 9), Lanes::new(2));
    let mut lrs = Vec::new();
    let on_step = |_: &Learner, stats: &EpochStats, _: &[Digest]| {
        lrs.push((stats.seen.images(), stats.lr));
        Ok(())
    };
    let pass = train_epoch(&mut learner, &lanes, &reader, &images, &recipe, EpochStart::default(), on_step);
    let stats = pass.unwrap();
    assert_eq!(lrs.iter().map(|(seen, _)| *seen).collect::<Vec<_>>(), [16, 32, 41]);
    let plain = Device::flex();
    let whole = evaluate(&learner.result(), &lanes, &reader, &images, (41, CLASSES), &plain, &GO_ON);
    let (whole, _) = whole.unwrap();
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
        Ok(())
    };
    let pass = train_epoch(&mut learner, &Lanes::new(2), &reader, &images, &recipe, EpochStart::default(), on_step);
    pass.unwrap();
    assert!(lrs.iter().zip([0.0, 0.1, 0.2]).all(|(lr, expected)| (lr - expected).abs() < 1e-12), "{lrs:?}");
}

#[test]
fn a_step_is_the_gradient_of_the_mean_over_its_own_images() {
    // Plain SGD: a step on a short batch of 9 images moves the weights as one micro-batch of these 9 does, and half as far if the
    // global norm of the gradients is clipped to half.
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
    assert_eq!(moved(4, Some(gradient * 2.0)), parts, "a gradient below the limit is not scaled");
}

#[test]
fn smoothed_targets_agree_with_pytorch() {
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
    // Dropout affects the weights; otherwise the test above would not cover it.
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
