//! Does the missing runs of a plan, each in its own process. They can be interrupted and resumed at any time.
//!
//! The started process supervises. It finds the missing runs, starts a worker for each, keeps its log, and writes the record of a run
//! whose worker ends without one. A worker holds its run's lock while it works, so any number of supervisors, on any number of
//! machines that share a folder, may work on one plan.

mod lock;
mod log;
mod messages;
mod planned;
mod signals;
mod stage;
mod supervisor;
mod watchdog;
mod worker;

pub use lock::RunLock;
pub use messages::Message;
pub use planned::{PlannedRun, identify, names};
pub use signals::Stop;
pub use stage::{
    Job, PacedMessage, PacedModel, Progress, Repetitions, StageMessage, StageOptions, covers, time_blocks, time_paced,
    time_stage,
};
pub use supervisor::{Notice, Options, Summary, supervise};
pub use worker::{BUSY, WorkOptions, WorkOutcome, exit_when_supervisor_ends, sum_up_panics, work};
