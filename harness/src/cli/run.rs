use std::path::{Path, PathBuf};
use std::process::Command;

use burn::tensor::Device;
use clap::Args;

use super::progress::Progress;
use super::report::write_and_print;
use crate::config::{self, Plan, RunConfig};
use crate::data::{self, Dataset};
use crate::device::DeviceName;
use crate::error::{Error, Result};
use crate::results::{FailureReason, FailureRecord, ResultsFolder, RunIdentity};
use crate::run_folder;
use crate::train::{self, Lanes, RunContext};
use crate::weights;

/// Arguments of `vitbench run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The config, such as `configs/quick.toml`
    config: PathBuf,
    /// Change a value of the config, such as `train.epochs=3`; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Folder for the results [default: results/NAME, with the config's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where to compute [default: the config's `device`, or flex]
    #[arg(long, value_name = "NAME")]
    device: Option<DeviceName>,
    /// Where datasets are, besides $VITBENCH_DATA and the cache folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Worker threads; results do not depend on their number [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Do this run alone, by the name of its folder, and make no report
    #[arg(long, value_name = "RUN")]
    only: Option<String>,
    /// Do all runs in this process instead of one process each
    #[arg(long)]
    in_process: bool,
}

/// What the runs of a plan share while they are done.
struct Session<'a> {
    args: &'a RunArgs,
    plan: Plan,
    folder: ResultsFolder,
    dataset: Dataset,
    device: Device,
    threads: usize,
}

/// A run of the plan.
struct Run {
    config: RunConfig,
    identity: RunIdentity,
    /// Its place among the plan's runs, as "2/6".
    position: String,
}

/// Does the runs that are missing, then makes tables, plots and report.
pub(super) fn execute(args: &RunArgs) -> Result<()> {
    let session = open(args)?;
    let runs = runs(&session)?;
    let mut missing = Vec::new();
    for run in &runs {
        let folder = session.folder.run(&run.identity.run);
        if folder.read_done()?.is_none() && folder.read_failed()?.is_none() {
            missing.push(run);
        }
    }
    if missing.is_empty() {
        println!("All {} runs are recorded in {}; nothing to train.", runs.len(), session.folder.path().display());
    }
    let lanes = Lanes::on(session.plan.device, session.threads);
    let alone = args.in_process || args.only.is_some() || missing.len() == 1;
    for run in missing {
        match alone {
            true => do_here(&session, &lanes, run)?,
            false => do_in_process_of_its_own(&session, &run.identity)?,
        }
    }
    if args.only.is_none() {
        write_and_print(&session.folder, &session.plan)?;
    }
    let mut failed = 0;
    for run in &runs {
        failed += usize::from(session.folder.run(&run.identity.run).read_failed()?.is_some());
    }
    if failed > 0 { Err(Error::RunsFailed { failed, total: runs.len() }) } else { Ok(()) }
}

/// The runs that were asked for: those of the plan, or the one of `--only`.
fn runs(session: &Session<'_>) -> Result<Vec<Run>> {
    let configs = session.plan.runs();
    let total = configs.len();
    let number = |(index, config): (usize, RunConfig)| Run {
        identity: run_folder::identity(&config, &session.dataset.fingerprint, session.threads),
        position: format!("{}/{total}", index + 1),
        config,
    };
    let mut runs: Vec<Run> = configs.into_iter().enumerate().map(number).collect();
    if let Some(only) = &session.args.only {
        runs.retain(|run| run.identity.run == *only);
        if runs.is_empty() {
            return Err(Error::input(format!("--only {only}"), "the plan has no such run", "see the folder `runs/`"));
        }
    }
    Ok(runs)
}

/// Checks everything that can be checked before the first run, and only then touches the results folder.
fn open(args: &RunArgs) -> Result<Session<'_>> {
    let mut plan = config::load(&args.config, &args.assignments)?;
    plan.device = args.device.unwrap_or(plan.device);
    let threads = super::threads(args.threads);
    // Ignored if a pool is there already, as in a test that runs plans one after another.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    weights::resolve_initial(&mut plan, &args.config)?;
    let device = plan.device.open()?;
    let dataset = data::load(&plan.data, args.data_dir.as_deref())?;
    plan.check_models(&args.config.display().to_string(), dataset.classes.len())?;
    let notes = weights::check_initial(&plan, dataset.classes.len())?;
    if args.only.is_none() {
        notes.iter().for_each(|note| println!("{note}"));
        if !dataset.excluded.is_empty() {
            let count = dataset.excluded.len();
            println!("{count} files cannot be decoded and are left out; every run lists them in its excluded.csv.");
        }
    }
    let path = args.out.clone().unwrap_or_else(|| default_folder(&args.config));
    let folder = run_folder::open(&path, &plan, threads)?;
    Ok(Session { args, plan, folder, dataset, device, threads })
}

fn default_folder(config: &Path) -> PathBuf {
    Path::new("results").join(config.file_stem().unwrap_or(config.as_os_str()))
}

fn do_here(session: &Session<'_>, lanes: &Lanes, run: &Run) -> Result<()> {
    let Run { config, identity, position } = run;
    let folder = session.folder.run(&identity.run);
    run_folder::write_config(&folder, config)?;
    run_folder::write_excluded(&folder, &session.dataset.excluded)?;
    let progress = Progress::new(config, session.dataset.train.len(), position);
    let context = RunContext {
        config,
        dataset: &session.dataset,
        device: &session.device,
        lanes,
        folder: &folder,
        identity: identity.clone(),
    };
    train::run(&context, &mut |event| progress.on(&event))
}

/// A run in a process of its own neither warms nor crowds the next one's memory, and if it crashes, it crashes alone.
fn do_in_process_of_its_own(session: &Session<'_>, identity: &RunIdentity) -> Result<()> {
    let program = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
    let mut command = Command::new(&program);
    command.arg("run").arg(session.folder.plan_path());
    command.arg("--out").arg(session.folder.path());
    command.args(["--only", &identity.run, "--threads", &session.threads.to_string()]);
    if let Some(data_dir) = &session.args.data_dir {
        command.arg("--data-dir").arg(data_dir);
    }
    let status = command.status().map_err(Error::io("start", &program))?;
    let folder = session.folder.run(&identity.run);
    if folder.read_done()?.is_some() || folder.read_failed()?.is_some() {
        return Ok(());
    }
    folder.create()?;
    let epochs = folder.read_epochs()?.unwrap_or_default();
    let message = format!("the run's process ended without a result ({status})");
    eprintln!("{}: {message}", identity.run);
    folder.write_failed(&FailureRecord {
        identity: identity.clone(),
        reason: FailureReason::Crashed,
        message,
        epoch: epochs.len() + 1,
    })
}
