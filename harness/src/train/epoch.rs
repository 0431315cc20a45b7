//! One epoch: a pass over all training images.

use std::ops::Range;
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use layers::SampleKeys;
use rayon::prelude::*;

use super::batch::{Batch, MicroBatch};
use super::context::Flow;
use super::learner::Learner;
use super::position::EpochStats;
use super::step::StepOptions;
use crate::config::TrainConfig;
use crate::data::{BatchReader, Digest, Images, TrainingSamples, epoch_order};
use crate::lanes::Lanes;

/// Where an epoch begins.
#[derive(Debug, Clone, Default)]
pub(super) struct EpochStart {
    /// Determines order, augmentation and dropout, together with the epoch.
    pub(super) seed: u64,
    /// Counted from 0.
    pub(super) epoch: u64,
    /// What the steps before an interruption computed; they are not repeated.
    pub(super) made: EpochStats,
}

/// Trains on every image once, in an order that seed and epoch determine; the last batch may be smaller. After every step, `on_step`
/// gets the learner, what the steps have computed so far, and the digests of the batch's images. If it returns an error, the epoch ends
/// with that error.
///
/// Lanes read the images of their micro-batches themselves, so that no core waits for another. While a GPU computes, the CPU reads the
/// next micro-batches, at most [`AHEAD`] of them.
pub(super) fn train_epoch(
    learner: &mut Learner,
    lanes: &Lanes,
    reader: &BatchReader<'_>,
    images: &Images,
    recipe: &TrainConfig,
    EpochStart { seed, epoch, made: from }: EpochStart,
    on_step: impl FnMut(&Learner, &EpochStats, &[Digest]) -> Flow<()>,
) -> Flow<EpochStats> {
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
        // The only lane asks for the parts one after another, in order. If a step fails, the receiver is dropped, which ends the
        // sender's loop.
        let receiver = Mutex::new(receiver);
        let fetch = |_: usize, _: usize| {
            let receiver = receiver.lock().unwrap_or_else(PoisonError::into_inner);
            receiver.recv().expect("every part that is fetched was sent")
        };
        pass.run(learner, &fetch, from, on_step)
    })
}

/// Micro-batches that are read ahead of the step on a GPU.
const AHEAD: usize = 2;

/// Reads the samples of an epoch.
struct Samples<'a> {
    reader: &'a BatchReader<'a>,
    classes: usize,
    recipe: &'a TrainConfig,
    epoch: u64,
}

impl Samples<'_> {
    /// Part of a step's batch.
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

    /// Like [`read`](Self::read), with all threads of the global pool.
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
    /// Images of all steps together.
    images: usize,
    image_size: usize,
    recipe: &'a TrainConfig,
    seed: u64,
    epoch: u64,
}

impl Pass<'_> {
    /// `fetch` returns the samples of a step's micro-batch, both given by their index.
    fn run(
        &self,
        learner: &mut Learner,
        fetch: &(dyn Fn(usize, usize) -> TrainingSamples + Sync),
        from: EpochStats,
        mut on_step: impl FnMut(&Learner, &EpochStats, &[Digest]) -> Flow<()>,
    ) -> Flow<EpochStats> {
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
            on_step(learner, &stats, &result.digests)?;
        }
        assert_eq!(stats.seen.images(), self.images, "an epoch sees every image once");
        Ok(stats)
    }
}

#[cfg(test)]
mod tests;
