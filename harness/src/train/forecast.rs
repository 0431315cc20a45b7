//! Forecasts the time and memory of a run from a few steps of its model.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use super::timing::TimingBench;
use crate::config::{RunConfig, TimedModel};
use crate::data::SplitSizes;
use crate::device::DeviceName;
use crate::error::Result;
use crate::lanes::Lanes;
use crate::measure::{Enough, peak_rss_bytes};
use crate::results::TimingMode;
use crate::stats::median;

/// The cost of a model's steps on this machine. A training step of `n` images takes `step_s + n * image_s`, since the optimiser's work
/// does not depend on the batch size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepCost {
    /// Seconds of a training step that do not depend on its images.
    pub step_s: f64,
    /// Seconds per image in training.
    pub image_s: f64,
    /// Seconds per image in evaluation.
    pub eval_image_s: f64,
    /// Peak resident memory of the measuring process, without a dataset.
    pub peak_rss_bytes: Option<u64>,
}

/// The forecast cost of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Optimiser steps per epoch.
    pub steps: usize,
    /// Seconds per epoch for training steps.
    pub train_epoch_s: f64,
    /// Seconds per epoch, including evaluation.
    pub epoch_s: f64,
    /// Seconds of the run: all epochs, the test set and timing.
    pub run_s: f64,
    /// Peak memory, including the images.
    pub memory_bytes: Option<u64>,
}

impl StepCost {
    /// Times a few steps at two batch sizes, which takes some seconds.
    ///
    /// # Errors
    /// If the loss or the gradients overflow 32-bit floats.
    pub fn measure(on: DeviceName, timed: &TimedModel, device: &Device, lanes: &Lanes) -> Result<Self> {
        const ENOUGH: Enough = Enough { warmup_seconds: 0.5, min_samples: 3, min_seconds: 0.5 };
        let batch_size = timed.train_batch_sizes.iter().copied().max().unwrap_or(1);
        let mut bench = TimingBench::new(on, timed, batch_size, device);
        // One micro-batch per lane, and three per lane: either way all lanes are equally busy.
        let small = (lanes.threads() * bench.micro_batch()).min(batch_size);
        let large = (3 * small).min(batch_size);
        let mut seconds_of = |mode, images: usize| -> Result<f64> {
            let seconds = bench.time(mode, images, lanes, ENOUGH)?;
            Ok(median(&seconds).expect("there are samples"))
        };
        let eval_image_s = seconds_of(TimingMode::Inference, large)? / large as f64;
        let few = seconds_of(TimingMode::TrainStep, small)?;
        let many = if large > small { seconds_of(TimingMode::TrainStep, large)? } else { few };
        let (step_s, image_s) = line((small, few), (large, many));
        Ok(Self { step_s, image_s, eval_image_s, peak_rss_bytes: peak_rss_bytes() })
    }
}

/// Intercept and slope of the line through two points, limited to values that are not negative, since the points are noisy.
fn line((n, t): (usize, f64), (more, longer): (usize, f64)) -> (f64, f64) {
    let slope =
        if more > n { ((longer - t) / (more - n) as f64).clamp(0.0, longer / more as f64) } else { t / n as f64 };
    (longer - slope * more as f64, slope)
}

/// Forecasts a run on this many images from the measured cost of its steps. Extrapolates linearly in the batch size. Neglects reading
/// images, which takes a small fraction of a step, and early stopping, which cannot be predicted.
pub fn forecast(config: &RunConfig, sizes: SplitSizes, cost: &StepCost) -> Forecast {
    let train = &config.train;
    let steps = sizes.train.div_ceil(train.batch_size);
    let train_epoch_s = steps as f64 * cost.step_s + sizes.train as f64 * cost.image_s;
    // With EMA, the non-EMA weights are evaluated as well.
    let passes = if train.ema.is_some() { 2.0 } else { 1.0 };
    let eval = |images: usize| passes * images as f64 * cost.eval_image_s;
    let epoch_s = train_epoch_s + eval(if sizes.val > 0 { sizes.val } else { sizes.test });
    let image_bytes = (3 * config.data.image_size * config.data.image_size) as u64;
    let images = (sizes.train + sizes.val + sizes.test) as u64;
    Forecast {
        steps,
        train_epoch_s,
        epoch_s,
        run_s: train.epochs as f64 * epoch_s + eval(sizes.test) + timing_s(config, cost),
        memory_bytes: cost.peak_rss_bytes.map(|bytes| bytes + images * image_bytes),
    }
}

/// Seconds of timing after training.
fn timing_s(config: &RunConfig, cost: &StepCost) -> f64 {
    let measure = &config.measure;
    let recipe = vec![config.train.batch_size];
    let seconds = |step_s: f64, min_seconds: f64| {
        measure.warmup_seconds.max(step_s) + (measure.min_samples as f64 * step_s).max(min_seconds)
    };
    let figure = |step_s: f64| seconds(step_s, measure.min_seconds);
    // Data, forward pass, and forward with backward pass are each timed for a quarter of `min_seconds`, but for `min_samples` steps.
    let step_s = |images: usize| cost.step_s + images as f64 * cost.image_s;
    let forward_s = |images: usize| images as f64 * cost.eval_image_s;
    let parts = [0.0, forward_s(config.train.batch_size), step_s(config.train.batch_size)];
    let parts_s: f64 = parts.into_iter().map(|part| seconds(part, measure.min_seconds / 4.0)).sum();
    let train = measure.train_batch_sizes.as_ref().unwrap_or(&recipe);
    let inference = measure.inference_batch_sizes.as_ref().unwrap_or(&recipe);
    let train_s: f64 = train.iter().map(|images| figure(step_s(*images))).sum();
    let latency = if inference.contains(&1) { &[][..] } else { &[1] };
    let inference_s: f64 = inference.iter().chain(latency).map(|images| figure(forward_s(*images))).sum();
    parts_s + train_s + inference_s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn two_points_make_a_line_without_negative_parts() {
        let near = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-12 && (b - d).abs() < 1e-12;
        assert!(near(line((4, 3.0), (12, 7.0)), (1.0, 0.5)));
        assert!(near(line((4, 2.0), (4, 2.0)), (0.0, 0.5)), "one point cannot separate the step from its images");
        assert!(near(line((4, 1.0), (12, 7.0)), (0.0, 7.0 / 12.0)), "no negative intercept");
        assert!(near(line((4, 3.0), (12, 2.0)), (2.0, 0.0)), "no negative slope");
    }

    #[test]
    fn a_run_is_the_sum_of_its_parts() {
        let text = "seeds = [0]\n[data]\ndataset = 'shapes'\nimage_size = 16\n[train]\nepochs = 4\nbatch_size = 10\nlr = 0.1\n\
                    optimizer.kind = 'sgd'\nema = { decay = 0.9 }\n[measure]\nwarmup_seconds = 1.0\nmin_samples = 10\n\
                    min_seconds = 2.0\n[[model]]\narchitecture = 'conv_vit'\npatch_size = 4\nd_model = 8\ndepth = 1\n\
                    head_channels = 4\nd_ff = 8\n";
        let plan = config::parse(text, "plan.toml", &[]).unwrap();
        let cost = StepCost { step_s: 0.5, image_s: 0.1, eval_image_s: 0.05, peak_rss_bytes: Some(1000) };
        let forecast = forecast(&plan.runs()[0], SplitSizes { train: 95, val: 20, test: 40 }, &cost);
        assert_eq!(forecast.steps, 10);
        assert!((forecast.train_epoch_s - (10.0 * 0.5 + 95.0 * 0.1)).abs() < 1e-9);
        assert!((forecast.epoch_s - (14.5 + 2.0 * 20.0 * 0.05)).abs() < 1e-9);
        // Training steps of 10 images take 1.5 s, inference 0.5 s, latency 0.05 s.
        let parts = (1.0 + 0.5) + (1.0 + 5.0) + (1.5 + 15.0);
        let timing = parts + (1.5 + 15.0) + (1.0 + 5.0) + (1.0 + 2.0);
        assert!((forecast.run_s - (4.0 * 16.5 + 2.0 * 40.0 * 0.05 + timing)).abs() < 1e-9, "{}", forecast.run_s);
        assert_eq!(forecast.memory_bytes, Some(1000 + 155 * 768));
    }
}
