//! `vitbench work`: one run in a process of its own, started and supervised by `vitbench run`.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::shared::limit_global_threads;
use crate::error::Result;
use crate::results::RunFolder;
use crate::runner::{self, BUSY, Message, Stop, WorkOptions, WorkOutcome};

/// Arguments of `vitbench work`, which `vitbench run` starts for every run.
#[derive(Debug, Args)]
pub(super) struct WorkArgs {
    /// The run's folder, with its config
    folder: PathBuf,
    #[arg(long)]
    data_dir: Option<PathBuf>,
    #[arg(long)]
    threads: usize,
    #[arg(long)]
    jobs: usize,
    #[arg(long)]
    checkpoint_seconds: f64,
    #[arg(long)]
    retry_failed: bool,
    #[arg(long)]
    max_memory: Option<u64>,
    #[arg(long)]
    max_seconds: Option<f64>,
}

/// Does the run and returns the process's exit code.
pub(super) fn execute(args: &WorkArgs) -> Result<u8> {
    runner::sum_up_panics();
    let stop = Stop::on_signals()?;
    runner::exit_when_supervisor_ends(stop.clone());
    limit_global_threads(args.threads);
    let options = WorkOptions {
        data_dir: args.data_dir.clone(),
        threads: args.threads,
        jobs: args.jobs,
        checkpoint_every: Duration::try_from_secs_f64(args.checkpoint_seconds).unwrap_or(Duration::MAX),
        retry_failed: args.retry_failed,
        max_memory: args.max_memory,
        max_time: args.max_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    let mut out = std::io::stdout();
    let outcome = runner::work(&RunFolder::open(&args.folder)?, &options, &stop, &mut |message: Message| {
        let line = serde_json::to_string(&message).expect("messages are JSON");
        // If this fails, the supervisor is gone, and this process is about to end.
        let _ = writeln!(out, "{line}");
    })?;
    Ok(match outcome {
        WorkOutcome::Recorded => 0,
        WorkOutcome::Busy => BUSY,
        // The supervisor reports it.
        WorkOutcome::Interrupted => stop.exit_code(),
    })
}
