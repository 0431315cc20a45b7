//! The models of a process that times, and a sample of their steps.

use std::time::Instant;

use burn::tensor::Device;

use crate::config::TimedModel;
use crate::device::DeviceName;
use crate::error::Result;
use crate::lanes::Lanes;
use crate::measure::memory_bytes;
use crate::results::Timed;
use crate::stats::median;
use crate::train::{TimingBench, model_size};

/// Part of the machine's memory that models may keep between their samples. Those that find no room are made again each time.
const KEPT_MEMORY: f64 = 0.25;

/// The models, made when they are needed and kept while there is room.
pub(super) struct Benches<'a> {
    on: DeviceName,
    models: &'a [TimedModel],
    device: &'a Device,
    kept: Vec<Option<TimingBench<'a>>>,
    room: f64,
}

impl<'a> Benches<'a> {
    pub(super) fn new(on: DeviceName, models: &'a [TimedModel], device: &'a Device) -> Self {
        let kept = models.iter().map(|_| None).collect();
        Self { on, models, device, kept, room: KEPT_MEMORY * memory_bytes() as f64 }
    }

    /// Whether the model is there already.
    pub(super) fn is_kept(&self, model: usize) -> bool {
        self.kept[model].is_some()
    }

    /// Passes a model to `f`.
    pub(super) fn with<T>(&mut self, model: usize, f: impl FnOnce(&mut TimingBench<'a>) -> Result<T>) -> Result<T> {
        if let Some(bench) = &mut self.kept[model] {
            return f(bench);
        }
        let timed = &self.models[model];
        let largest = timed.train_batch_sizes.iter().chain(&timed.inference_batch_sizes).copied().max();
        let mut bench = TimingBench::new(self.on, timed, largest.unwrap_or(1), self.device);
        let result = f(&mut bench)?;
        // Weights, gradients and an optimiser's two moments.
        let bytes = 16.0 * model_size(&timed.model.architecture).params as f64;
        if bytes <= self.room {
            self.room -= bytes;
            self.kept[model] = Some(bench);
        }
        Ok(result)
    }
}

/// Takes `untimed_steps` and then `steps`, and returns the median time of the latter in seconds.
///
/// # Panics
/// If `steps` is 0.
pub(super) fn median_step_s(
    bench: &mut TimingBench<'_>,
    timed: Timed,
    lanes: &Lanes,
    untimed_steps: u32,
    steps: u32,
) -> Result<f64> {
    let mut step = bench.step(timed.mode, timed.batch_size, lanes);
    for _ in 0..untimed_steps {
        step()?;
    }
    let mut seconds = Vec::with_capacity(steps as usize);
    for _ in 0..steps {
        let start = Instant::now();
        step()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    // A clock can be too coarse for a step, but no step takes no time.
    Ok(median(&seconds).expect("there is at least one step").max(1e-9))
}
