//! One run, from its folder's config to its records.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::lock::RunLock;
use super::log::RunLog;
use super::messages::{Message, Reporter};
use super::signals::Stop;
use super::watchdog;
use crate::config::{self, RunConfig};
use crate::data::{self, Dataset};
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::measure::{Machine, machine_record};
use crate::results::{RunFolder, RunIdentity};
use crate::run_folder;
use crate::train::{self, RunContext};

/// Exit code of a worker if another process works on its run.
pub const BUSY: u8 = 75;

/// How to do a run.
#[derive(Debug, Clone)]
pub struct WorkOptions {
    /// A folder that is searched for datasets before the usual ones.
    pub data_dir: Option<PathBuf>,
    /// Worker threads of all runs that train at once, and of timing.
    pub threads: usize,
    /// Runs that train at once.
    pub jobs: usize,
    /// Maximum time between two checkpoints.
    pub checkpoint_every: Duration,
    /// Whether a run that failed is tried again.
    pub retry_failed: bool,
    /// Resident memory that the run may have, in bytes.
    pub max_memory: Option<u64>,
    /// Time that the run may take.
    pub max_time: Option<Duration>,
}

impl Default for WorkOptions {
    /// One run at a time on all cores, a checkpoint every ten minutes, no limits.
    fn default() -> Self {
        Self {
            data_dir: None,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            jobs: 1,
            checkpoint_every: Duration::from_secs(600),
            retry_failed: false,
            max_memory: None,
            max_time: None,
        }
    }
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkOutcome {
    /// It has a record, of this attempt or of another process's.
    Recorded,
    /// It was asked to stop and left a checkpoint.
    Interrupted,
    /// Another process works on it.
    Busy,
}

/// Does the run whose config is in `folder`, unless it has a record or another process works on it. Reports to `say` what happens.
///
/// # Errors
/// If files cannot be read or written, or if the images differ from those that the run's name was made from.
pub fn work(
    folder: &RunFolder,
    options: &WorkOptions,
    stop: &Stop,
    say: &mut dyn FnMut(Message),
) -> Result<WorkOutcome> {
    let started = Instant::now();
    let Some(_lock) = RunLock::take(folder)? else { return Ok(WorkOutcome::Busy) };
    if !is_missing(folder, options.retry_failed)? {
        return Ok(WorkOutcome::Recorded);
    }
    watchdog::watch(options.max_memory, options.max_time);
    let config = config::load_run(&folder.config_path())?;
    let dataset = data::load(&config.data, options.data_dir.as_deref())?;
    let identity = run_folder::identity(&config, &dataset.fingerprint, options.threads);
    if identity.run != folder.name() {
        return Err(Error::input(
            folder.path().display(),
            format!("with the current images, this is run {}: data, config or program have changed", identity.run),
            "restore the images, or choose another folder with --out",
        ));
    }
    do_run(folder, &config, identity, &dataset, options, (stop, started), say)
}

/// As [`work`], in this process, for a run whose images are already loaded.
pub(super) fn work_here(
    folder: &RunFolder,
    config: &RunConfig,
    dataset: &Dataset,
    options: &WorkOptions,
    stop: &Stop,
    say: &mut dyn FnMut(Message),
) -> Result<WorkOutcome> {
    let Some(_lock) = RunLock::take(folder)? else { return Ok(WorkOutcome::Busy) };
    if !is_missing(folder, options.retry_failed)? {
        return Ok(WorkOutcome::Recorded);
    }
    let identity = run_folder::identity(config, &dataset.fingerprint, options.threads);
    let mut log = RunLog::open(folder)?;
    do_run(folder, config, identity, dataset, options, (stop, Instant::now()), &mut |message| {
        if let Message::Line(line) = &message {
            log.line(line);
        }
        say(message);
    })
}

/// Whether the run is still to be done.
pub(super) fn is_missing(folder: &RunFolder, retry_failed: bool) -> Result<bool> {
    Ok(folder.read_done()?.is_none() && (retry_failed || folder.read_failed()?.is_none()))
}

fn do_run(
    folder: &RunFolder,
    config: &RunConfig,
    identity: RunIdentity,
    dataset: &Dataset,
    options: &WorkOptions,
    (stop, started): (&Stop, Instant),
    say: &mut dyn FnMut(Message),
) -> Result<WorkOutcome> {
    folder.clear_unfinished()?;
    run_folder::write_excluded(folder, &dataset.excluded)?;
    run_folder::write_files(folder, data::files(dataset))?;
    // From here on it no longer counts as failed, even if this attempt is interrupted.
    folder.remove_failed()?;
    folder.write_machine(&machine_record(config.device, "vitbench work".to_owned(), options.threads))?;
    let device = config.device.open()?;
    let machine = Machine::this()?;
    let lanes = Lanes::on(config.device, (options.threads / options.jobs).max(1));
    let timing_lanes = Lanes::on(config.device, options.threads);
    let context = RunContext {
        config,
        dataset,
        device: &device,
        lanes: &lanes,
        timing_lanes: &timing_lanes,
        machine: &machine,
        jobs: options.jobs,
        stop: stop.flag(),
        checkpoint_every: options.checkpoint_every,
        folder,
        identity,
        started,
    };
    let mut reporter = Reporter::new(config, dataset.train.len());
    let outcome = train::run(&context, &mut |event| {
        if let Some(message) = reporter.message(&event) {
            say(message);
        }
    })?;
    Ok(match outcome {
        train::Outcome::Recorded => WorkOutcome::Recorded,
        train::Outcome::Interrupted => WorkOutcome::Interrupted,
    })
}

/// The start of the line that summarises a panic.
pub(super) const PANICKED: &str = "panicked: ";

/// After the usual report of a panic, prints one line that has no paths of this machine, because it becomes part of a record.
pub fn sum_up_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        usual(info);
        let message = info.payload_as_str().unwrap_or("without words").replace('\n', " ");
        let place = info.location().map_or_else(String::new, |place| {
            let file = Path::new(place.file()).file_name().unwrap_or_default().to_string_lossy();
            format!(" ({file}:{})", place.line())
        });
        eprintln!("{PANICKED}{message}{place}");
    }));
}

/// Watches standard input, which a supervisor holds open. A line requests a stop. Its end means that the supervisor is gone, and
/// with it every process that would wait for this one.
pub fn exit_when_supervisor_ends(stop: Stop) {
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut line = String::new();
        loop {
            line.clear();
            match input.read_line(&mut line) {
                Ok(0) | Err(_) => std::process::exit(143),
                Ok(_) => stop.ask(),
            }
        }
    });
}
