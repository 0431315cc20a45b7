//! What the blocks of the timing stage say: rates of models, and ratios of rates from pairs of samples that were taken side by side.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::blocks::{BlockRecord, StretchRecord};
use super::folder::ResultsFolder;
use super::samples::TimingMode;
use crate::error::{Error, Result};
use crate::stats::{Estimate, Interval, median, quantile};

/// Fewest processes that a verdict on speed rests on.
pub const MIN_PROCESSES: usize = 5;

/// With this many models or more, only some pairs are compared in speed: each model with the fastest and with the first of the plan.
pub const MANY_MODELS: usize = 40;

/// How many of so many models, from the first on, the later ones are compared with before the fastest is known.
pub fn references(models: usize) -> usize {
    if models < MANY_MODELS { models } else { 1 }
}

/// A row of `throughput.csv`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThroughputRow {
    /// The model's name.
    #[serde(serialize_with = "super::cells::serialize")]
    pub model: String,
    /// What was timed.
    pub mode: TimingMode,
    /// Images of a step. Inference at 1 is the latency.
    pub batch_size: usize,
    /// Type of the numbers that the model computes in.
    pub precision: String,
    /// `stage`: timed side by side with the other models; `run`: by the model's runs, one after the other, which decides no verdict.
    pub source: &'static str,
    /// Processes that timed it.
    pub processes: usize,
    /// Blocks of the stage.
    pub blocks: Option<usize>,
    /// Blocks during which the machine was busy with something else.
    pub disturbed_blocks: Option<usize>,
    /// Median time of a step, over blocks or steps.
    pub median_s: f64,
    /// 90th percentile, over blocks or steps.
    pub p90_s: f64,
    /// 99th percentile, over blocks or steps.
    pub p99_s: f64,
    /// Images per second.
    pub images_per_s: f64,
    /// Its 95 % interval over processes, where there are enough.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Floating-point operations, in 1e9 a second; a training step counts as three forward passes.
    pub gflop_per_s: Option<f64>,
    /// `gflop_per_s` as a percentage of the peak rate measured on the same machine.
    pub mfu_percent: Option<f64>,
    /// Images per second of the slowest and of the fastest block.
    #[serde(skip)]
    pub range: Option<Interval>,
}

impl ThroughputRow {
    /// What was timed.
    pub fn timed(&self) -> Timed {
        Timed { mode: self.mode, batch_size: self.batch_size }
    }
}

/// What the stage measured of a model, a row for each mode and batch size.
pub fn stage_throughput(model: &str, stage: &Stage) -> Vec<ThroughputRow> {
    let macs = stage.stretches.iter().flat_map(|stretch| &stretch.models).find(|timed| timed.model == model);
    let precision = stage.precision(model);
    let peak = stage.stretches.iter().filter_map(|stretch| stretch.peak(precision)).reduce(f64::max);
    let row = |timed: Timed| {
        let rate = stage.rate(model, timed)?;
        let gflop_per_s = macs.map(|size| rate.images_per_s * timed.mode.flops(size.macs) / 1e9);
        Some(ThroughputRow {
            model: model.to_owned(),
            mode: timed.mode,
            batch_size: timed.batch_size,
            precision: precision.to_owned(),
            source: "stage",
            processes: rate.processes,
            blocks: Some(rate.blocks),
            disturbed_blocks: Some(rate.disturbed_blocks),
            median_s: rate.median_s,
            p90_s: rate.p90_s,
            p99_s: rate.p99_s,
            images_per_s: rate.images_per_s,
            low: rate.interval.map(|interval| interval.low),
            high: rate.interval.map(|interval| interval.high),
            gflop_per_s,
            mfu_percent: gflop_per_s.zip(peak).map(|(rate, peak)| 100.0 * rate / peak),
            range: Some(rate.range),
        })
    };
    stage.timed(model).filter_map(row).collect()
}

/// What was timed: a mode at a batch size. Inference at batch size 1 is the latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timed {
    /// Training step or inference.
    pub mode: TimingMode,
    /// Images of a step.
    pub batch_size: usize,
}

/// The samples of one or several folders, ready for comparisons.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// Every stretch of timing, in order.
    pub stretches: Vec<StretchRecord>,
    samples: HashMap<String, BTreeMap<Timed, Vec<Sample>>>,
    /// The precision that each model was timed in last.
    precisions: HashMap<String, String>,
}

/// A model's sample in a block.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    process: u32,
    block: u32,
    /// Natural logarithm of the seconds of a step.
    log: f64,
    disturbed: bool,
}

/// A model's rate.
#[derive(Debug, Clone, PartialEq)]
pub struct StageRate {
    /// Processes that timed it.
    pub processes: usize,
    /// Blocks.
    pub blocks: usize,
    /// Blocks during which the machine was busy with something else.
    pub disturbed_blocks: usize,
    /// Median over the blocks of the time of a step, in seconds.
    pub median_s: f64,
    /// 90th percentile over the blocks.
    pub p90_s: f64,
    /// 99th percentile over the blocks.
    pub p99_s: f64,
    /// Geometric mean over the processes of images per second.
    pub images_per_s: f64,
    /// Its 95 % interval, Student's over the processes on the log scale; `None` with one process.
    pub interval: Option<Interval>,
    /// Images per second of the slowest and of the fastest block.
    pub range: Interval,
}

impl Stage {
    /// The samples of a folder; empty if its models were not timed side by side.
    ///
    /// # Errors
    /// If a record cannot be read, or a time is not a positive number.
    pub fn read(folder: &ResultsFolder) -> Result<Self> {
        let blocks = folder.read_blocks()?.unwrap_or_default();
        let stretches = folder.read_stage()?.map(|record| record.stretches).unwrap_or_default();
        if let Some(at) = blocks.iter().position(|block| !(block.step_s.is_finite() && block.step_s > 0.0)) {
            let place = format!("{}, line {}", folder.path().join("blocks.csv").display(), at + 2);
            let problem = format!("step_s is {}, but a time is a positive number", blocks[at].step_s);
            return Err(Error::damaged(place, problem, "delete the file and run `vitbench time` on the folder"));
        }
        Ok(Self::new(&blocks, stretches))
    }

    /// From records.
    pub fn new(blocks: &[BlockRecord], stretches: Vec<StretchRecord>) -> Self {
        let mut samples: HashMap<String, BTreeMap<Timed, Vec<Sample>>> = HashMap::new();
        let mut precisions = HashMap::new();
        for block in blocks {
            precisions.insert(block.model.clone(), block.precision.clone());
            let timed = Timed { mode: block.mode, batch_size: block.batch_size };
            let sample = Sample {
                process: block.process,
                block: block.block,
                log: block.step_s.ln(),
                disturbed: block.disturbed,
            };
            samples.entry(block.model.clone()).or_default().entry(timed).or_default().push(sample);
        }
        for sample in samples.values_mut().flat_map(BTreeMap::values_mut) {
            sample.sort_by_key(|sample| (sample.process, sample.block));
        }
        Self { stretches, samples, precisions }
    }

    /// The precision that a model was timed in, by its name.
    pub fn precision(&self, model: &str) -> &str {
        self.precisions.get(model).map_or("f32", String::as_str)
    }

    /// Adds the samples of another folder. Its processes are different ones.
    pub fn merge(&mut self, other: Self) {
        let last = self.samples.values().flat_map(BTreeMap::values).flatten().map(|sample| sample.process).max();
        let shift = last.unwrap_or_default();
        for stretch in other.stretches {
            let [first_process, last_process] =
                [stretch.first_process, stretch.last_process].map(|process| process.saturating_add(shift));
            self.stretches.push(StretchRecord { first_process, last_process, ..stretch });
        }
        self.precisions.extend(other.precisions);
        for (model, by_timed) in other.samples {
            for (timed, samples) in by_timed {
                let shifted = samples
                    .into_iter()
                    .map(|sample| Sample { process: sample.process.saturating_add(shift), ..sample });
                self.samples.entry(model.clone()).or_default().entry(timed).or_default().extend(shifted);
            }
        }
    }

    /// Only the samples of one stretch.
    pub fn of_stretch(&self, stretch: &StretchRecord) -> Self {
        let range = stretch.first_process..=stretch.last_process;
        let mut samples = self.samples.clone();
        for sample in samples.values_mut().flat_map(BTreeMap::values_mut) {
            sample.retain(|sample| range.contains(&sample.process));
        }
        Self { stretches: vec![stretch.clone()], samples, precisions: self.precisions.clone() }
    }

    /// The number of blocks, and of those that were disturbed.
    pub fn blocks(&self) -> (usize, usize) {
        let all: HashMap<(u32, u32), bool> = self
            .samples
            .values()
            .flat_map(BTreeMap::values)
            .flatten()
            .map(|sample| ((sample.process, sample.block), sample.disturbed))
            .collect();
        (all.len(), all.values().filter(|disturbed| **disturbed).count())
    }

    /// What a model was timed in, in order of mode and batch size.
    pub fn timed(&self, model: &str) -> impl Iterator<Item = Timed> + '_ {
        self.samples.get(model).into_iter().flat_map(|by_timed| by_timed.keys().copied())
    }

    /// The largest batch of a model in a mode: the throughput that the machine can reach.
    pub fn largest(&self, model: &str, mode: TimingMode) -> Option<Timed> {
        self.timed(model).filter(|timed| timed.mode == mode).max()
    }

    fn samples(&self, model: &str, timed: Timed) -> &[Sample] {
        self.samples.get(model).and_then(|by_timed| by_timed.get(&timed)).map_or(&[], Vec::as_slice)
    }

    /// For each process, the median over its blocks of the natural logarithm of images per second.
    pub fn log_rates(&self, model: &str, timed: Timed) -> Vec<f64> {
        let samples = self.samples(model, timed).iter();
        by_process(samples.map(|sample| (sample.process, (timed.batch_size as f64).ln() - sample.log)))
    }

    /// A model's rate; `None` if it was not timed so.
    pub fn rate(&self, model: &str, timed: Timed) -> Option<StageRate> {
        let samples = self.samples(model, timed);
        let logs = self.log_rates(model, timed);
        let estimate = Estimate::of_mean(&logs);
        let seconds: Vec<f64> = samples.iter().map(|sample| sample.log.exp()).collect();
        let rates = || seconds.iter().map(|seconds| timed.batch_size as f64 / seconds);
        Some(StageRate {
            processes: logs.len(),
            blocks: samples.len(),
            disturbed_blocks: samples.iter().filter(|sample| sample.disturbed).count(),
            median_s: median(&seconds)?,
            p90_s: quantile(&seconds, 0.9)?,
            p99_s: quantile(&seconds, 0.99)?,
            images_per_s: crate::stats::mean(&logs)?.exp(),
            interval: estimate.map(|estimate| estimate.interval(0.05).exp()),
            range: Interval { low: rates().reduce(f64::min)?, high: rates().reduce(f64::max)? },
        })
    }

    /// The rates of the first model over those of the second: for each process that timed both, the median of the natural logarithm over the
    /// blocks that have both.
    pub fn log_ratios(&self, first: &str, second: &str, timed: Timed) -> Vec<f64> {
        let (first, second) = (self.samples(first, timed), self.samples(second, timed));
        let key = |sample: &Sample| (sample.process, sample.block);
        let mut others = second.iter().peekable();
        let mut pairs = Vec::new();
        for sample in first {
            while others.next_if(|other| key(other) < key(sample)).is_some() {}
            if let Some(other) = others.peek().filter(|other| key(other) == key(sample)) {
                pairs.push((sample.process, other.log - sample.log));
            }
        }
        by_process(pairs.into_iter())
    }

    /// The logarithm of that ratio with its spread over processes; `None` if fewer than two processes timed both.
    pub fn log_ratio(&self, first: &str, second: &str, timed: Timed) -> Option<Estimate> {
        Estimate::of_mean(&self.log_ratios(first, second, timed))
    }
}

/// The median of each process's values. A block that something else disturbed for one of two models is an outlier, which a mean would
/// follow.
fn by_process(values: impl Iterator<Item = (u32, f64)>) -> Vec<f64> {
    let mut processes: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for (process, value) in values {
        processes.entry(process).or_default().push(value);
    }
    processes.into_values().filter_map(|values| median(&values)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(model: &str, process: u32, block: u32, step_s: f64) -> BlockRecord {
        BlockRecord {
            model: model.to_owned(),
            mode: TimingMode::Inference,
            batch_size: 8,
            precision: "f32".to_owned(),
            process,
            block,
            position: 1,
            steps: 1,
            step_s,
            steal_percent: None,
            load: None,
            mhz: None,
            disturbed: process == 2,
        }
    }

    const TIMED: Timed = Timed { mode: TimingMode::Inference, batch_size: 8 };

    #[test]
    fn ratios_pair_samples_of_the_same_block() {
        // The machine is twice as slow in the second process; the third has a block without `b`.
        let times = [(1, 1, 1.0), (1, 2, 1.5), (2, 1, 2.0), (3, 1, 1.0), (3, 2, 9.0)];
        let mut blocks: Vec<BlockRecord> = times.iter().map(|(p, b, s)| block("a", *p, *b, *s)).collect();
        blocks.extend(times[..4].iter().map(|(p, b, s)| block("b", *p, *b, 2.0 * s)));
        let stage = Stage::new(&blocks, Vec::new());
        for (actual, expected) in
            [(stage.log_ratios("a", "b", TIMED), 2f64.ln()), (stage.log_ratios("b", "a", TIMED), -2f64.ln())]
        {
            assert_eq!(actual.len(), 3);
            assert!(actual.iter().all(|log| (log - expected).abs() < 1e-12), "{actual:?}");
        }
        assert!(stage.log_ratios("a", "c", TIMED).is_empty());
        let rate = stage.rate("b", TIMED).unwrap();
        assert_eq!((rate.processes, rate.blocks, rate.disturbed_blocks), (3, 4, 1));
        assert_eq!((rate.range.low, rate.range.high), (2.0, 4.0));
    }

    #[test]
    fn processes_of_another_folder_are_different_ones() {
        let of = |step_s| Stage::new(&[block("a", 1, 1, step_s), block("b", 1, 1, 1.0)], Vec::new());
        let mut stage = of(1.0);
        stage.merge(of(4.0));
        assert_eq!(stage.log_ratios("a", "b", TIMED), [0.0, -4f64.ln()]);
    }
}
