//! `vitbench run`: does the missing runs of a config, times its models side by side, then writes tables, plots and the report.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use super::progress::Progress;
use super::report::write_and_print;
use super::shared::{ConfigArgs, DataDirArgs, DeviceArgs, OutArgs, SetArgs, ThreadsArgs};
use super::stage::{self, Kept};
use crate::config::Plan;
use crate::error::{Error, Result};
use crate::results::{ResultsFolder, Stage};
use crate::run_folder;
use crate::runner::{self, Options, PlannedRun, Stop, Summary, WorkOptions};

/// Arguments of `vitbench run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    source: ConfigArgs,
    #[command(flatten)]
    out: OutArgs,
    #[command(flatten)]
    data: DataDirArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Number of runs that train at the same time
    ///
    /// They share the worker threads. Accuracies stay the same, but their epoch times are not comparable with those of a run that trains
    /// alone. Timing waits until nothing else runs.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Do only this run, named as in `vitbench plan`, and write no report; repeatable
    #[arg(long, value_name = "RUN", conflicts_with = "shard")]
    only: Vec<String>,
    /// Do one of several equal parts of the runs: 3/8 is the third of eight
    ///
    /// Parts may run on several machines that share the results folder. The one that finishes last writes the report.
    #[arg(long, value_name = "PART/PARTS")]
    shard: Option<Shard>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Do all runs in this process instead of a process per run
    #[arg(long, conflicts_with_all = ["jobs", "max_memory", "max_time"])]
    in_process: bool,
}

impl RunArgs {
    /// For repeating the plan of a results folder in the folder `out`.
    pub(super) fn repeating(
        plan: PathBuf,
        out: PathBuf,
        data: DataDirArgs,
        device: DeviceArgs,
        threads: ThreadsArgs,
    ) -> Self {
        Self {
            source: ConfigArgs { config: plan, set: SetArgs::default(), device },
            out: OutArgs::at(out),
            data,
            threads,
            jobs: 1,
            only: Vec::new(),
            shard: None,
            limits: LimitArgs { retry: None, max_memory: None, max_time: None },
            in_process: false,
        }
    }
}

/// Limits of a run, and whether a failed one is repeated.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Repeat runs that ended in this way
    #[arg(long, value_name = "WHICH", value_enum)]
    retry: Option<Retry>,
    /// Stop a run that needs more memory than this, such as 4GiB
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<ByteSize>,
    /// Stop a run whose process takes longer than this, such as "1h 30m"
    ///
    /// Time spent waiting while other runs are timed counts. A resumed run gets the full time again.
    #[arg(long, value_name = "TIME")]
    max_time: Option<SignedDuration>,
}

impl LimitArgs {
    /// The limits as command-line arguments.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.retry == Some(Retry::Failed) {
            words.extend(["--retry", "failed"].map(str::to_owned));
        }
        words.extend(self.max_memory.map(|size| format!("--max-memory={}", size.as_u64())));
        words.extend(self.max_time.map(|time| format!("--max-time={}s", time.as_secs())));
        words
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Retry {
    /// Runs that diverged, crashed, or ran out of memory or time
    Failed,
}

/// One of several equal parts of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    /// Counted from 0.
    part: usize,
    parts: usize,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(part, parts)| Some((part.parse().ok()?, parts.parse().ok()?)));
        match numbers {
            Some((part @ 1.., parts)) if part <= parts => Ok(Self { part: part - 1, parts }),
            _ => Err("write PART/PARTS, from 1/8 to 8/8 for eight parts".into()),
        }
    }
}

/// Does the missing runs, times the models, then writes tables, plots and report.
pub(super) fn execute(args: &RunArgs) -> Result<()> {
    let stop = Stop::on_signals()?;
    let mut plan = args.source.plan()?;
    plan.device.open()?;
    let threads = args.threads.limit_global();
    let (runs, notes) = runner::identify(&mut plan, &args.source.config, args.data.path(), threads)?;
    notes.iter().for_each(|note| println!("{note}"));
    let path = args.out.folder(&args.source.config);
    let folder = run_folder::open(&path, &plan, &runner::names(&runs), threads)?;
    let chosen = chosen(args, &runs)?;
    let options = Options {
        work: WorkOptions {
            data_dir: args.data.path().map(Path::to_owned),
            threads,
            jobs: args.jobs.into(),
            checkpoint_every: Duration::from_secs_f64(60.0 * plan.checkpoint_minutes),
            retry_failed: args.limits.retry == Some(Retry::Failed),
            max_memory: args.limits.max_memory.map(|size| size.as_u64()),
            max_time: args.limits.max_time.map(SignedDuration::unsigned_abs),
        },
        in_process: args.in_process,
    };
    let mut progress = Progress::new(&chosen);
    let summary = runner::supervise(&folder, &chosen, &options, &stop, &mut |notice| progress.on(&notice))?;
    drop(progress);
    let is_complete = is_complete(args, &folder, &runs)?;
    let timed = if is_complete && !summary.interrupted { time(args, &plan, &folder, threads, &stop) } else { Ok(()) };
    conclude(args, &plan, &folder, &runs, &chosen, summary)?;
    timed?;
    if summary.interrupted {
        return Err(Error::Interrupted { code: stop.exit_code() });
    }
    failures(&folder, &chosen)?;
    if summary.busy > 0 { Err(Error::RunsBusy { busy: summary.busy }) } else { Ok(()) }
}

/// The runs that the arguments select.
fn chosen(args: &RunArgs, runs: &[PlannedRun]) -> Result<Vec<PlannedRun>> {
    if let Some(only) = args.only.iter().find(|only| runs.iter().all(|run| run.identity.run != **only)) {
        let help = "`vitbench plan` with the same config lists the runs with their names";
        return Err(Error::input(format!("--only {only}"), "the plan has no such run", help));
    }
    let wanted = |(index, run): &(usize, &PlannedRun)| match args.shard {
        Some(Shard { part, parts }) => index % parts == part,
        None => args.only.is_empty() || args.only.contains(&run.identity.run),
    };
    Ok(runs.iter().enumerate().filter(wanted).map(|(_, run)| run.clone()).collect())
}

/// Whether every run of the plan has ended, and this process is one that times its models then.
fn is_complete(args: &RunArgs, folder: &ResultsFolder, runs: &[PlannedRun]) -> Result<bool> {
    Ok(args.only.is_empty() && missing(folder, runs)? == 0)
}

/// Times the models of a complete plan side by side, unless that was done before.
fn time(args: &RunArgs, plan: &Plan, folder: &ResultsFolder, threads: usize, stop: &Stop) -> Result<()> {
    let timing = run_folder::timing_plan(folder, plan)?;
    if timing.measure.max_seconds == 0.0 || timing.models.is_empty() || runner::covers(&Stage::read(folder)?, &timing) {
        return Ok(());
    }
    // Another process that finished the plan at the same time may be timing it.
    let Some(_lock) = runner::RunLock::take_stage(folder)? else {
        println!(
            "Another process is timing the models; `vitbench report {}` shows the result.",
            folder.path().display()
        );
        return Ok(());
    };
    stage::time(&timing, threads, stop, args.in_process, &Kept::In(folder)).map(drop)
}

fn missing(folder: &ResultsFolder, runs: &[PlannedRun]) -> Result<usize> {
    let mut missing = 0;
    for run in runs {
        let folder = folder.run(&run.identity.run);
        missing += usize::from(folder.read_done()?.is_none() && folder.read_failed()?.is_none());
    }
    Ok(missing)
}

/// Writes the report, unless another process has to, and prints what is left to do.
fn conclude(
    args: &RunArgs,
    plan: &Plan,
    folder: &ResultsFolder,
    runs: &[PlannedRun],
    chosen: &[PlannedRun],
    summary: Summary,
) -> Result<()> {
    let place = folder.path().display();
    if summary.before == chosen.len() {
        println!("All {} runs are already in {place}; nothing to train.", chosen.len());
    }
    if !args.only.is_empty() {
        return Ok(());
    }
    let missing = missing(folder, runs)?;
    if args.shard.is_some() && missing > 0 {
        println!(
            "{missing} of the plan's {} runs are missing; the part that finishes last writes the report.",
            runs.len()
        );
        return Ok(());
    }
    write_and_print(folder, plan)
}

fn failures(folder: &ResultsFolder, runs: &[PlannedRun]) -> Result<()> {
    let mut failed = 0;
    for run in runs {
        let folder = folder.run(&run.identity.run);
        failed += usize::from(folder.read_done()?.is_none() && folder.read_failed()?.is_some());
    }
    if failed > 0 { Err(Error::RunsFailed { failed, total: runs.len() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!("3/8".parse(), Ok(Shard { part: 2, parts: 8 }));
        assert_eq!("1/1".parse(), Ok(Shard { part: 0, parts: 1 }));
        for wrong in ["0/8", "9/8", "3", "a/b", "-1/8", "1/0", ""] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
