//! `vitbench blocks`: one process of the timing stage, started by `vitbench run` and `vitbench time`.

use std::io::Write;

use super::shared::limit_global_threads;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::runner::{self, Job, StageMessage, Stop, time_blocks};

/// Reads a job from standard input, times its models, and prints what it measures as lines of JSON.
pub(super) fn execute() -> Result<u8> {
    runner::sum_up_panics();
    let stop = Stop::on_signals()?;
    let mut line = String::new();
    let read = std::io::stdin().read_line(&mut line);
    let job: Option<Job> = read.ok().and_then(|_| serde_json::from_str(&line).ok());
    let job = job.ok_or_else(|| {
        let help = "this command is for vitbench itself; use `vitbench time`";
        Error::input("vitbench blocks", "there is no job on standard input", help)
    })?;
    runner::exit_when_supervisor_ends(stop.clone());
    limit_global_threads(job.threads);
    let device = job.device.open()?;
    let lanes = Lanes::on(job.device, job.threads);
    let mut out = std::io::stdout();
    time_blocks(&job, &device, &lanes, stop.flag(), &mut |message: StageMessage| {
        let line = serde_json::to_string(&message).expect("messages are JSON");
        // If this fails, the supervisor is gone, and this process is about to end.
        let _ = writeln!(out, "{line}");
    })?;
    Ok(0)
}
