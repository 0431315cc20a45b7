//! Doing the runs of a plan: what is missing and nothing else, each in a process of its own, stopped and taken up again at any time.
//!
//! The process that was started supervises: it finds what is missing, starts a worker a run, keeps its log, and makes a record of a run
//! whose worker ends without one. A worker holds its run's lock while it works, so that any number of supervisors, on any number of
//! machines that share a folder, may work on one plan.

mod lock;
mod log;
mod messages;
mod planned;
mod signals;
mod supervisor;
mod watchdog;
mod worker;

pub use messages::Message;
pub use planned::{PlannedRun, identify, names};
pub use signals::Stop;
pub use supervisor::{Notice, Options, Summary, supervise};
pub use worker::{BUSY, WorkOptions, WorkOutcome, exit_when_supervisor_ends, sum_up_panics, work};
