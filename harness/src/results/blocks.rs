//! What the timing stage leaves on disk: a sample for each model in each block, and a record of each stretch of timing.

use serde::{Deserialize, Serialize};

use super::folder::ResultsFolder;
use super::samples::TimingMode;
use crate::error::Result;

/// A row of `blocks.csv`: one model's sample in one block, in one mode at one batch size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockRecord {
    /// The model's name.
    #[serde(with = "super::cells")]
    pub model: String,
    /// What was timed.
    pub mode: TimingMode,
    /// Images of a step. Inference at 1 is the latency.
    pub batch_size: usize,
    /// Type of the numbers that the model computes in.
    pub precision: String,
    /// The process, counted from 1 over all stretches of the folder.
    pub process: u32,
    /// The block within the process, from 1.
    pub block: u32,
    /// The place of this sample among those of the block, from 1. It is drawn at random.
    pub position: u32,
    /// How many steps were timed in a row.
    pub steps: u32,
    /// Median time of these steps, in seconds.
    pub step_s: f64,
    /// CPU time during the block that the hypervisor gave to others, in percent; empty where the system does not tell.
    pub steal_percent: Option<f64>,
    /// Cores that other processes kept busy during the block; empty where the system does not tell.
    pub load: Option<f64>,
    /// Mean clock frequency of the cores after the block; empty where the system does not tell.
    pub mhz: Option<f64>,
    /// Whether `steal_percent` or `load` exceeds its limit.
    pub disturbed: bool,
}

/// `timing.json`: when and where the blocks of `blocks.csv` were timed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// Every stretch of timing, in order.
    pub stretches: Vec<StretchRecord>,
}

/// One stretch of timing: consecutive processes that timed the same models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StretchRecord {
    /// Version of the program, with the git revision if it is known.
    pub version: String,
    /// Brand of the CPU.
    pub cpu: String,
    /// Family and model of the CPU, which its brand may hide; absent where the system does not tell, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_kind: Option<String>,
    /// Logical CPUs.
    pub cpu_cores: usize,
    /// Burn's device.
    pub device: String,
    /// Data-parallel workers (lanes).
    pub threads: usize,
    /// Time of the start, RFC 3339.
    pub started: String,
    /// The first of its processes.
    pub first_process: u32,
    /// The last of its processes.
    pub last_process: u32,
    /// How long its processes took.
    pub seconds: f64,
    /// `measure.precision` of the plan.
    pub wanted_precision: f64,
    /// Half the width of the widest 95 % interval of a ratio, as a fraction; `None` with one model.
    pub reached_precision: Option<f64>,
    /// Peak rate of matrix products in f32 with the same number of threads, measured by the first process.
    pub peak_gflop_per_s: Option<f64>,
    /// The same in bf16, if a model computed in it.
    #[serde(default)]
    pub peak_bf16_gflop_per_s: Option<f64>,
    /// The timed models.
    pub models: Vec<StageModel>,
}

impl StretchRecord {
    /// The peak rate in a precision, by its name.
    pub fn peak(&self, precision: &str) -> Option<f64> {
        if precision == "bf16" { self.peak_bf16_gflop_per_s } else { self.peak_gflop_per_s }
    }

    /// The hardware that was timed, in words.
    pub fn hardware(&self) -> String {
        let kind = self.cpu_kind.as_ref().map_or_else(String::new, |kind| format!(" ({kind})"));
        let (cores, threads) = (self.cpu_cores, self.threads);
        format!("{}{kind}, {cores} logical CPUs, {threads} threads on {}", self.cpu, self.device)
    }
}

/// A model of a stretch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageModel {
    /// The model's name.
    pub model: String,
    /// Images that a lane computes at a time.
    pub micro_batch: usize,
    /// Multiply-accumulates of one image's forward pass.
    pub macs: u64,
}

impl ResultsFolder {
    /// Writes `blocks.csv` and `timing.json`, all samples and stretches so far.
    pub fn write_stage(&self, blocks: &[BlockRecord], record: &StageRecord) -> Result<()> {
        super::files::write_atomic(&self.path().join("blocks.csv"), &super::files::csv_text(blocks))?;
        super::files::write_json(&self.path().join("timing.json"), record)
    }

    /// Reads `blocks.csv`, if it is there.
    pub fn read_blocks(&self) -> Result<Option<Vec<BlockRecord>>> {
        super::files::read_csv(&self.path().join("blocks.csv"))
    }

    /// Reads `timing.json`, if it is there.
    pub fn read_stage(&self) -> Result<Option<StageRecord>> {
        super::files::read_json(&self.path().join("timing.json"))
    }
}
