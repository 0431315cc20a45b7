//! The timing stage: times models side by side.
//!
//! A machine's speed drifts, and a process's memory layout is a matter of chance. Models that are timed one after the other are
//! therefore not comparable to a few percent. The stage times them in alternation: in fresh processes, each of many short blocks; in a
//! block, every model takes a few steps in every mode, in random order. What affects a block affects all of its models.

mod benches;
mod job;
mod paced;
mod process;
mod supervisor;

pub use job::Job;
pub use paced::{PacedMessage, PacedModel, time_paced};
pub use process::{StageMessage, time_blocks};
pub use supervisor::{Progress, Repetitions, StageOptions, covers, time_stage};
