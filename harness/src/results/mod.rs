//! The records that runs leave on disk, and the CSV tables that are made from them.
//!
//! Records come first and tables are derived: a run writes nothing but its own folder, and everything else can be made again
//! from the records, on another machine or by a newer version.

mod blocks;
mod cells;
mod files;
mod folder;
mod mistakes;
mod model_size;
mod models;
mod noise;
mod predictions;
mod records;
mod run_timing;
mod runs;
mod samples;
mod stage;
mod tables;
mod test_reads;
mod timing;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

pub use blocks::{BlockRecord, StageModel, StageRecord, StretchRecord};
pub(crate) use cells::cell_text;
pub use cells::text_cell;
pub use files::write_atomic;
pub(crate) use files::{WRITING, csv_text, sync_folder};
pub(crate) use folder::FILES_CSV;
pub use folder::{ResultsFolder, RunFolder};
pub use mistakes::surest_mistakes;
pub use model_size::{ModelSizeRecord, PartMacs};
pub use models::{ModelRuns, by_model};
pub use noise::{Noise, NoiseRecord};
pub use predictions::Predictions;
pub use records::*;
pub use run_timing::run_throughput;
pub use runs::{Outcome, Run, Runs};
pub use samples::{PartSample, StepPart, TimingMode, TimingSample};
pub use stage::{MANY_MODELS, MIN_PROCESSES, Stage, StageRate, ThroughputRow, Timed, references, stage_throughput};
pub use tables::{epochs_csv, models_csv, summary_csv, throughput_csv};
pub use test_reads::TestRead;
pub use timing::TimingSummary;
