use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use jiff::SignedDuration;

use super::config_args::ConfigArgs;
use super::progress::Progress;
use super::report::write_and_print;
use crate::config::Plan;
use crate::error::{Error, Result};
use crate::results::ResultsFolder;
use crate::run_folder;
use crate::runner::{self, Options, PlannedRun, Stop, Summary, WorkOptions};

/// Arguments of `vitbench run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    source: ConfigArgs,
    /// Folder for the results [default: results/NAME, with the config's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where datasets are, besides $VITBENCH_DATA and the cache folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Worker threads of all runs together; results do not depend on their number [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Runs that train at once, for accuracy; what is timed is timed alone all the same
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Do this run alone, by its name in `vitbench plan`, and make no report; may be given more than once
    #[arg(long, value_name = "RUN", conflicts_with = "shard")]
    only: Vec<String>,
    /// Do a part of the runs, as 3/8 for the third of eight; the one that ends last makes the report
    #[arg(long, value_name = "PART/PARTS")]
    shard: Option<Shard>,
    #[command(flatten)]
    limits: LimitArgs,
    /// Do all runs in this process instead of one process each
    #[arg(long, conflicts_with_all = ["jobs", "max_memory", "max_time"])]
    in_process: bool,
}

/// What a run may take, and whether it may be tried again.
#[derive(Debug, Args)]
pub(super) struct LimitArgs {
    /// Try runs again that have ended so
    #[arg(long, value_name = "WHICH", value_enum)]
    retry: Option<Retry>,
    /// End a run that needs more memory than this, such as 4GiB
    #[arg(long, value_name = "SIZE")]
    max_memory: Option<ByteSize>,
    /// End a run whose process takes longer than this, such as "1h 30m"; waiting while others are timed counts, and a run that is taken
    /// up again has as much time again
    #[arg(long, value_name = "TIME")]
    max_time: Option<SignedDuration>,
}

impl LimitArgs {
    /// As they were given, for a command line.
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
    /// Diverged, crashed, out of memory or time
    Failed,
}

/// One of several equal parts of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    /// From 0.
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

/// Does the runs that are missing, then makes tables, plots and report.
pub(super) fn execute(args: &RunArgs) -> Result<()> {
    let stop = Stop::on_signals()?;
    let mut plan = args.source.plan()?;
    plan.device.open()?;
    let threads = super::threads(args.threads);
    super::limit_global_threads(threads);
    let (runs, notes) = runner::identify(&mut plan, &args.source.config, args.data_dir.as_deref(), threads)?;
    notes.iter().for_each(|note| println!("{note}"));
    let path = args.out.clone().unwrap_or_else(|| default_folder(&args.source.config));
    let folder = run_folder::open(&path, &plan, &runner::names(&runs), threads)?;
    let chosen = chosen(args, &runs)?;
    let options = Options {
        work: WorkOptions {
            data_dir: args.data_dir.clone(),
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
    conclude(args, &plan, &folder, &runs, &chosen, summary)?;
    if summary.interrupted {
        return Err(Error::Interrupted { code: stop.exit_code() });
    }
    failures(&folder, &chosen)?;
    if summary.busy > 0 { Err(Error::RunsBusy { busy: summary.busy }) } else { Ok(()) }
}

/// Where results go unless told otherwise.
pub(super) fn default_folder(config: &Path) -> PathBuf {
    Path::new("results").join(config.file_stem().unwrap_or(config.as_os_str()))
}

/// The runs that were asked for.
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

/// Makes the report, where it is this process's to make, and says what is left.
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
        println!("All {} runs are recorded in {place}; nothing to train.", chosen.len());
    }
    if !args.only.is_empty() {
        return Ok(());
    }
    let mut missing = 0;
    for run in runs {
        let folder = folder.run(&run.identity.run);
        missing += usize::from(folder.read_done()?.is_none() && folder.read_failed()?.is_none());
    }
    if args.shard.is_some() && missing > 0 {
        println!(
            "{missing} of the plan's {} runs are still to be recorded; the part that ends last makes the report.",
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
