//! One process of the timing stage.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use layers::Precision;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::benches::{Benches, median_step_s};
use super::job::Job;
use crate::config::TimedModel;
use crate::error::Result;
use crate::lanes::Lanes;
use crate::measure::{OtherWork, Period, peak_gflop_per_s};
use crate::results::{BlockRecord, StageModel, Timed, TimingMode};
use crate::train::{TimingBench, model_size};

/// Blocks that a process should be able to do in its time. A sample takes as many steps as that leaves time for.
const BLOCKS: f64 = 40.0;

/// Shortest and longest time of a sample, in seconds, where a step takes less.
const SAMPLE_SECONDS: (f64, f64) = (0.005, 0.25);

/// Steps that take less than this, in seconds, follow one that does not count, since another model has just used the caches.
const SHORT_STEP: f64 = 0.02;

/// A step that takes longer needs no second one to warm up.
const LONG_STEP: f64 = 0.5;

/// What a process of the stage reports, as lines of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageMessage {
    /// The machine's peak rate of matrix products in a precision, in GFLOP/s.
    Peak(Precision, f64),
    /// The models that are timed.
    Models(Vec<StageModel>),
    /// The samples of a complete block.
    Block(Vec<BlockRecord>),
}

/// A model in one mode at one batch size.
struct Subject {
    model: usize,
    timed: Timed,
    /// Seconds of a step, as far as known.
    step_s: f64,
}

/// Times models in blocks until the time is up or `stop` is set, and passes each block to `say`. There is always at least one block, unless
/// `stop` is set.
///
/// # Errors
/// If a model's loss or gradients are not finite.
pub fn time_blocks(
    job: &Job,
    device: &Device,
    lanes: &Lanes,
    stop: &AtomicBool,
    say: &mut dyn FnMut(StageMessage),
) -> Result<()> {
    let models = job.models();
    if job.measures_peak {
        for precision in precisions(&models) {
            say(StageMessage::Peak(precision, peak_gflop_per_s(lanes, device, precision)));
        }
    }
    let mut benches = Benches::new(job.device, &models, device);
    say(StageMessage::Models(described(&models, &mut benches)?));
    let mut subjects = subjects(&models);
    let started = Instant::now();
    for subject in &mut subjects {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        benches.with(subject.model, |bench| warm_up(bench, subject, lanes))?;
    }
    let sample_s = (job.seconds / BLOCKS / subjects.len() as f64).clamp(SAMPLE_SECONDS.0, SAMPLE_SECONDS.1);
    let mut rng = ChaCha8Rng::seed_from_u64(job.process.into());
    for number in 1.. {
        let (block_start, period) = (Instant::now(), Period::begin());
        let mut samples = Vec::with_capacity(subjects.len());
        for index in order(&subjects, &mut rng) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let subject = &mut subjects[index];
            let kept = benches.is_kept(subject.model);
            let steps = benches.with(subject.model, |bench| sample(bench, subject, lanes, sample_s, kept))?;
            samples.push((subject.model, subject.timed, steps, subject.step_s));
        }
        say(StageMessage::Block(records(job.process, number, &models, &samples, period.end())));
        // The block that would mostly lie beyond the time is left out.
        if started.elapsed().as_secs_f64() + block_start.elapsed().as_secs_f64() / 2.0 > job.seconds {
            break;
        }
    }
    Ok(())
}

/// The precisions of the models, each once.
fn precisions(models: &[TimedModel]) -> BTreeSet<Precision> {
    models.iter().map(|timed| timed.precision).collect()
}

/// Names, micro-batches and multiply-accumulates of the models.
fn described(models: &[TimedModel], benches: &mut Benches<'_>) -> Result<Vec<StageModel>> {
    let described = |(index, timed): (usize, &TimedModel)| {
        let macs = model_size(&timed.model.architecture).macs();
        let micro_batch = benches.with(index, |bench| Ok(bench.micro_batch()))?;
        Ok(StageModel { model: timed.model.name.clone(), micro_batch, macs })
    };
    models.iter().enumerate().map(described).collect()
}

/// The rows of a block, from its samples in order: model, what was timed, number of steps, seconds of a step.
fn records(
    process: u32,
    block: u32,
    models: &[TimedModel],
    samples: &[(usize, Timed, u32, f64)],
    other: OtherWork,
) -> Vec<BlockRecord> {
    let record = |(position, (model, timed, steps, step_s)): (usize, &(usize, Timed, u32, f64))| BlockRecord {
        model: models[*model].model.name.clone(),
        mode: timed.mode,
        batch_size: timed.batch_size,
        precision: models[*model].precision.name().to_owned(),
        process,
        block,
        position: position as u32 + 1,
        steps: *steps,
        step_s: *step_s,
        steal_percent: other.steal_percent,
        load: other.load,
        mhz: other.mhz,
        disturbed: other.is_disturbing(),
    };
    samples.iter().enumerate().map(record).collect()
}

/// Training at each batch size, inference at each, and inference of one image.
fn subjects(models: &[TimedModel]) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for (model, timed) in models.iter().enumerate() {
        let inference = timed.inference_batch_sizes.iter().copied().chain([1]);
        let all = timed.train_batch_sizes.iter().map(|size| (TimingMode::TrainStep, *size));
        let mut all: Vec<(TimingMode, usize)> =
            all.chain(inference.map(|size| (TimingMode::Inference, size))).collect();
        all.sort_unstable();
        all.dedup();
        let subject = |(mode, batch_size)| Subject { model, timed: Timed { mode, batch_size }, step_s: f64::NAN };
        subjects.extend(all.into_iter().map(subject));
    }
    subjects
}

/// A random order of a block: of modes and batch sizes, and of the models within each, so that the samples that are compared are close in
/// time.
fn order(subjects: &[Subject], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut timed: Vec<Timed> = subjects.iter().map(|subject| subject.timed).collect();
    timed.sort_unstable();
    timed.dedup();
    timed.shuffle(rng);
    let mut order = Vec::with_capacity(subjects.len());
    for timed in timed {
        let start = order.len();
        order.extend((0..subjects.len()).filter(|index| subjects[*index].timed == timed));
        order[start..].shuffle(rng);
    }
    order
}

/// First steps, which find no memory and no kernels ready.
fn warm_up(bench: &mut TimingBench<'_>, subject: &mut Subject, lanes: &Lanes) -> Result<()> {
    let mut step = bench.step(subject.timed.mode, subject.timed.batch_size, lanes);
    for _ in 0..3 {
        let start = Instant::now();
        step()?;
        subject.step_s = start.elapsed().as_secs_f64();
        if subject.step_s > LONG_STEP {
            break;
        }
    }
    Ok(())
}

/// Times as many steps as fit into `sample_s`, at least one, and sets the subject's time to their median. Returns their number.
fn sample(bench: &mut TimingBench<'_>, subject: &mut Subject, lanes: &Lanes, sample_s: f64, kept: bool) -> Result<u32> {
    let steps = (sample_s / subject.step_s).round().clamp(1.0, 10_000.0) as u32;
    let untimed_steps = u32::from(!kept || subject.step_s < SHORT_STEP);
    subject.step_s = median_step_s(bench, subject.timed, lanes, untimed_steps, steps)?;
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_random_and_keeps_compared_samples_together() {
        let timed = |mode, batch_size| Timed { mode, batch_size };
        let all = [timed(TimingMode::TrainStep, 8), timed(TimingMode::Inference, 8), timed(TimingMode::Inference, 1)];
        let subjects: Vec<Subject> =
            (0..12).map(|index| Subject { model: index / 3, timed: all[index % 3], step_s: 1.0 }).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let orders: Vec<Vec<usize>> = (0..50).map(|_| order(&subjects, &mut rng)).collect();
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..12));
            for group in order.chunks(4) {
                assert!(group.iter().all(|index| subjects[*index].timed == subjects[group[0]].timed), "{order:?}");
            }
        }
        let firsts: BTreeSet<usize> = orders.iter().map(|order| order[0]).collect();
        assert_eq!(firsts.len(), 12, "every subject comes first at times");
    }
}
