//! `vitbench blocks`: one process of the timing stage, started by `vitbench run` and `vitbench time`. With `--paced`, a process whose
//! steps another program paces, such as `benches/peers/run.py`.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::shared::{ThreadsArgs, limit_global_threads};
use crate::config;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::measure::{GO_ON, Machine};
use crate::runner::{self, Job, Stop, time_blocks, time_paced};

/// Arguments of `vitbench blocks`.
#[derive(Debug, Args)]
pub(super) struct BlocksArgs {
    /// Time the models of this config when told to
    ///
    /// The program that starts this one compares it with others: it lets them take turns, so that what disturbs the machine disturbs
    /// all of them. Once this program is ready, it prints a line with its version, the models and their numbers of parameters. It then
    /// answers each line on standard input, such as `{"model":"vit","mode":"train_step","batch_size":128,"untimed_steps":1,"steps":4}`, with the
    /// median time of a step, `{"step_s":0.0817}`, or with `{"error":"..."}`. It ends when standard input is closed.
    #[arg(long, value_name = "CONFIG")]
    paced: Option<PathBuf>,
    #[command(flatten)]
    threads: ThreadsArgs,
}

/// Times models, for a job or at another program's pace.
pub(super) fn execute(args: &BlocksArgs) -> Result<u8> {
    match &args.paced {
        Some(config) => paced(config, args.threads.limit_global()),
        None => job(),
    }
}

/// Reads a job from standard input, times its models, and prints what it measures as lines of JSON.
fn job() -> Result<u8> {
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
    time_blocks(&job, &device, &lanes, stop.flag(), &mut |message| print_line(&message))?;
    Ok(0)
}

/// Times models of a config, one sample for each line on standard input. Holds the machine exclusively.
fn paced(config: &Path, threads: usize) -> Result<u8> {
    let plan = config::load_timing(config, &[])?;
    plan.check_precision()?;
    let device = plan.device.open()?;
    let lanes = Lanes::on(plan.device, threads);
    let machine = Machine::this()?;
    let _alone = machine.alone(&GO_ON)?;
    time_paced(&plan, &device, &lanes, std::io::stdin().lock(), &mut |message| print_line(&message))?;
    Ok(0)
}

/// Prints a message for the program that started this one.
fn print_line<T: Serialize>(message: &T) {
    let line = serde_json::to_string(message).expect("messages are JSON");
    // If this fails, that program is gone, and this process is about to end.
    let _ = writeln!(std::io::stdout(), "{line}");
}
