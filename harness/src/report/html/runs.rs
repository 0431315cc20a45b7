//! A section for each run: how it ended, its settings, and the end of its log.

use rayon::prelude::*;

use super::inline::shown_name;
use crate::bounded;
use crate::error::{Error, Result};
use crate::report::format::{counted, gibibytes, magnitude, or_none, percent};
use crate::report::names::{plain, shorten};
use crate::results::{Run, TimingMode};

/// Everything shown about a run.
pub(super) struct RunSection {
    /// Its index among all runs, which links use.
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) is_done: bool,
    /// Accuracy, or how it failed.
    pub(super) outcome: String,
    /// Names and values.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Mode, batch size, samples, median, 90th and 99th percentile in milliseconds, images per second.
    pub(super) timings: Vec<[String; 7]>,
    /// Its `config.toml`.
    pub(super) config: String,
    /// The last lines of its log.
    pub(super) log: String,
}

/// How many lines of a log, and characters of a config or a line, are shown.
const LOG_LINES: usize = 12;
const CONFIG_CHARS: usize = 6000;
const LINE_CHARS: usize = 240;

/// With more runs than this, a page has the configs and logs of failed runs only.
const WHOLE_RUNS: usize = 1000;

pub(super) fn sections(runs: &[Run]) -> Result<Vec<RunSection>> {
    let is_whole = |run: &Run| runs.len() <= WHOLE_RUNS || run.failed().is_some();
    runs.par_iter().enumerate().map(|(index, run)| section(index, run, is_whole(run))).collect()
}

/// A note on what the sections of so many runs leave out, if anything.
pub(super) fn left_out(runs: usize) -> Option<String> {
    (runs > WHOLE_RUNS).then(|| {
        let runs = counted(runs, "run");
        format!("Of {runs}, only those that failed have their config and log here; those of the others are in their folders.")
    })
}

fn section(index: usize, run: &Run, is_whole: bool) -> Result<RunSection> {
    let (log, config) =
        if is_whole { (run.folder.log_tail(LOG_LINES)?, config(run)?) } else { (Vec::new(), String::new()) };
    let log: Vec<String> = log.iter().map(|line| shorten(&plain(line), LINE_CHARS)).collect();
    let outcome = match (run.done(), run.failed()) {
        (Some(record), _) => {
            record.test_top1.map_or_else(|| "not tested".to_owned(), |top1| format!("{} %", percent(top1)))
        }
        (None, Some(failed)) => {
            format!("{} in epoch {}: {}", failed.reason, failed.epoch, shorten(&plain(&failed.message), LINE_CHARS))
        }
        (None, None) => String::new(),
    };
    Ok(RunSection {
        index,
        name: run.identity().run.clone(),
        is_done: run.done().is_some(),
        outcome,
        facts: facts(run),
        timings: timings(run),
        config: shorten(&config.lines().map(plain).collect::<Vec<_>>().join("\n"), CONFIG_CHARS),
        log: log.join("\n"),
    })
}

/// The text of `config.toml`; empty if there is none.
fn config(run: &Run) -> Result<String> {
    /// More than any config has.
    const MAX_BYTES: u64 = 1 << 20;
    let path = run.folder.config_path();
    match bounded::read(&path, MAX_BYTES) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => Ok(String::from_utf8_lossy(&read.map_err(Error::io("read", &path))?).into_owned()),
    }
}

fn facts(run: &Run) -> Vec<(&'static str, String)> {
    let identity = run.identity();
    let mut facts = vec![
        ("Model", shown_name(&identity.model)),
        ("Seed", identity.seed.to_string()),
        ("Epochs", run.epochs.len().to_string()),
        ("Device", format!("{}, {}, {}", identity.device, identity.precision, counted(identity.threads, "thread"))),
        ("Version", identity.version.clone()),
        ("Data", identity.data_fingerprint.clone()),
    ];
    if let Some(machine) = &run.machine {
        let cpus = counted(machine.cpu_cores, "logical CPU");
        facts.push(("Machine", format!("{}, {cpus}, {}", machine.cpu, machine.os)));
    }
    if let Some(record) = run.done() {
        let seconds = |seconds: f64| format!("{} s", magnitude(seconds));
        facts.extend([
            ("Test loss", or_none(record.test_loss, magnitude)),
            ("Training", seconds(record.train_seconds)),
            ("Evaluation", seconds(record.eval_seconds)),
            ("Peak memory", or_none(record.train_peak_rss_bytes, gibibytes)),
            ("Micro-batch", record.micro_batch.to_string()),
            ("Batches", record.batch_digest.clone()),
        ]);
    }
    facts
}

fn timings(run: &Run) -> Vec<[String; 7]> {
    let row = |timing: &crate::results::TimingSummary| {
        let mode = match timing.mode {
            TimingMode::TrainStep => "training step",
            TimingMode::Inference => "inference",
        };
        [
            mode.to_owned(),
            timing.batch_size.to_string(),
            timing.samples.to_string(),
            magnitude(1e3 * timing.median_s),
            magnitude(1e3 * timing.p90_s),
            magnitude(1e3 * timing.p99_s),
            magnitude(timing.images_per_s()),
        ]
    };
    run.timings().iter().map(row).collect()
}
