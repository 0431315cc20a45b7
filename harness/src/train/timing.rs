//! Timing of training steps and inference. Batches are already in memory, so that the model is timed and not the data.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::batch::{Batch, MicroBatch};
use super::gradients::cross_entropy_sum;
use super::learner::Learner;
use super::optimizer;
use super::size::micro_batch_on;
use super::step::{Diverged, StepOptions, batch_gradients, infer};
use crate::architecture::Architecture;
use crate::config::{Decay, StepConfig, TimedModel};
use crate::data::{BatchReader, Images};
use crate::device::DeviceName;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::measure::{Enough, SystemClock, sample};
use crate::results::{StepPart, TimingMode};

/// Learning rate of timed steps: too small to change the weights noticeably, but not zero, which an optimiser might handle specially.
pub(super) const TIMED_LR: f64 = 1e-7;

/// The images that timed steps use.
pub(super) struct Timed<'a> {
    /// The images of a dataset.
    pub(super) images: &'a Images,
    /// The reader for these images.
    pub(super) reader: &'a BatchReader<'a>,
    /// Batch size. The batch takes images from the first on, and starts over if there are too few.
    pub(super) batch_size: usize,
}

impl Timed<'_> {
    fn micro_batches(&self, learner: &Learner, autodiff: bool) -> Vec<MicroBatch> {
        let indices: Vec<u32> = (0..self.images.len() as u32).cycle().take(self.batch_size).collect();
        let device = if autodiff { learner.device().clone() } else { learner.device().clone().without_autodiff() };
        let micro_batch = |indices: &[u32]| {
            let mut values = vec![0.0; indices.len() * self.reader.values_per_image()];
            let mut labels = Vec::new();
            self.reader.fill(indices, 0, &mut values, &mut labels, None);
            MicroBatch::new(values, labels, self.images.size(), learner.classes(), &device)
        };
        indices.chunks(learner.micro_batch()).map(micro_batch).collect()
    }
}

/// A complete training step, for repeated calls: forward pass, loss, backward pass, optimiser.
fn train_step<'a>(
    learner: &'a mut Learner,
    lanes: &'a Lanes,
    parts: Vec<MicroBatch>,
    images: usize,
    options: StepOptions,
) -> impl FnMut() -> std::result::Result<(), Diverged> + use<'a> {
    move || {
        let fetch = |part: usize| parts[part].clone();
        learner.step(lanes, &Batch { images, micro_batches: parts.len(), fetch: &fetch }, options)?;
        // A GPU completes the optimiser's work asynchronously.
        learner.device().sync().expect("the device completes its work");
        Ok(())
    }
}

/// An inference pass, for repeated calls: from images in memory to logits on the host.
fn inference<'a>(learner: &Learner, lanes: &'a Lanes, parts: Vec<MicroBatch>, images: usize) -> impl FnMut() + use<'a> {
    let model = learner.model().valid();
    move || {
        let fetch = |part: usize| parts[part].clone();
        drop(infer(&model, lanes, &Batch { images, micro_batches: parts.len(), fetch: &fetch }));
    }
}

/// Times complete training steps, in seconds.
///
/// # Errors
/// If the loss or the gradients are not finite, which ends the measurement.
pub(super) fn time_train_step(
    learner: &mut Learner,
    lanes: &Lanes,
    timed: &Timed<'_>,
    options: StepOptions,
    enough: Enough,
) -> std::result::Result<Vec<f64>, Diverged> {
    let parts = timed.micro_batches(learner, true);
    repeat(enough, train_step(learner, lanes, parts, timed.batch_size, options))
}

/// Seconds of every repetition. The first failure ends the measurement.
fn repeat<E>(enough: Enough, mut step: impl FnMut() -> std::result::Result<(), E>) -> std::result::Result<Vec<f64>, E> {
    let mut outcome = Ok(());
    let samples = sample(&SystemClock::default(), enough, || {
        if outcome.is_ok() {
            outcome = step();
        }
    });
    outcome.map(|()| samples)
}

/// Times one part of a training step, in seconds. The lanes share the work as in a complete step.
pub(super) fn time_part(
    learner: &Learner,
    lanes: &Lanes,
    timed: &Timed<'_>,
    part: StepPart,
    gradient_checkpointing: bool,
    enough: Enough,
) -> Vec<f64> {
    let clock = SystemClock::default();
    if part == StepPart::Data {
        let indices: Vec<u32> = (0..timed.images.len() as u32).cycle().take(timed.batch_size).collect();
        let (parts, micro_batch) = (indices.len().div_ceil(learner.micro_batch()), learner.micro_batch());
        let read = |(): &mut (), part: usize| {
            let range = part * micro_batch..indices.len().min((part + 1) * micro_batch);
            timed.reader.read(&indices, range, [0, 0], learner.classes())
        };
        return sample(&clock, enough, || lanes.ordered(parts, lanes.threads(), || (), read, drop));
    }
    let parts = timed.micro_batches(learner, true);
    let fetch = |part: usize| parts[part].clone();
    let batch = Batch { images: timed.batch_size, micro_batches: parts.len(), fetch: &fetch };
    let (model, device) = (learner.model(), learner.device());
    let forward = |model: &mut Architecture, index: usize| {
        let part = fetch(index);
        let logits = model.forward_training(part.images, &part.keys);
        cross_entropy_sum(logits, part.targets).into_scalar::<f32>();
    };
    sample(&clock, enough, || {
        if part == StepPart::Forward {
            lanes.ordered(parts.len(), lanes.threads(), || model.clone().fork(device), forward, drop);
            free_graphs(device);
        } else {
            drop(batch_gradients(model, lanes, &batch, gradient_checkpointing, device));
        }
        device.sync().expect("the device completes its work");
    })
}

/// Frees the graphs of forward passes that no backward pass follows. Burn frees them only during a backward pass, so this runs a small
/// one. Without it, a few seconds of forward passes fill gigabytes.
fn free_graphs(device: &Device) {
    drop(Tensor::<1>::zeros([1], device).require_grad().sum().backward());
}

/// A model that can be timed without a dataset.
pub struct TimingBench<'a> {
    timed: &'a TimedModel,
    learner: Learner,
    /// Batches that were made, by mode and batch size.
    batches: HashMap<(TimingMode, usize), Vec<MicroBatch>>,
}

impl<'a> TimingBench<'a> {
    /// A model with random initialisation, for batches of up to `batch_size` images, on `device`, whose name is `on`.
    pub fn new(on: DeviceName, timed: &'a TimedModel, batch_size: usize, device: &Device) -> Self {
        let architecture = &timed.model.architecture;
        let (_, classes) = architecture.images();
        let micro_batch = micro_batch_on(on, &timed.model, architecture, batch_size);
        let device = device.clone().autodiff();
        let model = architecture.init(0, &device);
        let optimizer = optimizer::build(&timed.step.optimizer, Decay::All, architecture, &model);
        let learner = Learner::new(model, optimizer, device, micro_batch, classes);
        Self { timed, learner, batches: HashMap::new() }
    }

    /// Images that a lane computes at a time.
    pub fn micro_batch(&self) -> usize {
        self.learner.micro_batch()
    }

    /// A training step or an inference pass on a batch of this size, for repeated calls. A call fails if the loss or the gradients
    /// overflow 32-bit floats.
    pub fn step<'s>(
        &'s mut self,
        mode: TimingMode,
        batch_size: usize,
        lanes: &'s Lanes,
    ) -> Box<dyn FnMut() -> Result<()> + 's> {
        let parts = self.batch(mode, batch_size);
        let precision = self.timed.precision;
        match mode {
            TimingMode::TrainStep => {
                let StepConfig { clip_norm, gradient_checkpointing, .. } = self.timed.step;
                let options = StepOptions { lr: TIMED_LR, clip_norm, gradient_checkpointing };
                let name = &self.timed.model.name;
                let mut step = train_step(&mut self.learner, lanes, parts, batch_size, options);
                Box::new(move || {
                    precision.within(&mut step).map_err(|diverged| {
                        let help = "check the sizes of the model: its loss or gradients overflow 32-bit floats";
                        Error::input(format!("model `{name}`"), diverged, help)
                    })
                })
            }
            TimingMode::Inference => {
                let mut pass = inference(&self.learner, lanes, parts, batch_size);
                Box::new(move || {
                    precision.within(&mut pass);
                    Ok(())
                })
            }
        }
    }

    /// Times such steps, in seconds. The first failure ends the measurement.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn time(&mut self, mode: TimingMode, batch_size: usize, lanes: &Lanes, enough: Enough) -> Result<Vec<f64>> {
        repeat(enough, self.step(mode, batch_size, lanes))
    }

    /// A batch of arbitrary images.
    fn batch(&mut self, mode: TimingMode, batch_size: usize) -> Vec<MicroBatch> {
        let make = || {
            let (image_size, classes) = self.timed.model.architecture.images();
            let images = some_images(batch_size, image_size, classes);
            let reader = BatchReader::plain(&images);
            let timed = Timed { images: &images, reader: &reader, batch_size };
            timed.micro_batches(&self.learner, mode == TimingMode::TrainStep)
        };
        self.batches.entry((mode, batch_size)).or_insert_with(make).clone()
    }
}

/// Images of arbitrary pixels: their content does not affect the time of a step.
fn some_images(count: usize, size: usize, classes: usize) -> Images {
    let pixels = (0..count * size * size * 3).map(|i| (i * 7919 % 251) as u8).collect();
    let labels = (0..count).map(|i| (i % classes) as u32).collect();
    Images::new(size, pixels, labels, (0..count).map(|i| i.to_string()).collect())
}
