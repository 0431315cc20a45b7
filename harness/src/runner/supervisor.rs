//! Starts workers, listens to them, and records what they cannot record themselves.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::lock::RunLock;
use super::log::RunLog;
use super::messages::Message;
use super::planned::PlannedRun;
use super::signals::Stop;
use super::watchdog::{OUT_OF_MEMORY, OUT_OF_TIME};
use super::worker::{BUSY, PANICKED, WorkOptions, WorkOutcome, is_missing, work_here};
use crate::config::DataConfig;
use crate::data::{self, Dataset};
use crate::error::{Error, Result};
use crate::results::{FailureReason, FailureRecord, ResultsFolder, RunFolder, RunIdentity};
use crate::run_folder;

/// How to do the runs.
#[derive(Debug, Clone)]
pub struct Options {
    /// Options of every run; `jobs` runs are done at once.
    pub work: WorkOptions,
    /// Whether to do all runs in this process, one after the other.
    pub in_process: bool,
}

/// What happens to a run, by its index among the given ones.
#[derive(Debug)]
pub enum Notice {
    /// Its worker was started.
    Started(usize),
    /// It sent a message.
    Said(usize, Message),
    /// Its worker has ended.
    Ended(usize),
}

/// The outcome of the given runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Those that had a record before, of completion or failure.
    pub before: usize,
    /// Those that have a record now.
    pub recorded: usize,
    /// Those on which other processes work.
    pub busy: usize,
    /// Whether it was asked to stop before all were done.
    pub interrupted: bool,
}

/// Does the `runs` that have no record, and reports to `tell` what happens.
///
/// # Errors
/// If a worker cannot read or write files. The other workers are stopped first and leave checkpoints.
pub fn supervise(
    results: &ResultsFolder,
    runs: &[PlannedRun],
    options: &Options,
    stop: &Stop,
    tell: &mut dyn FnMut(Notice),
) -> Result<Summary> {
    let mut queue = VecDeque::new();
    for (index, run) in runs.iter().enumerate() {
        if is_missing(&results.run(&run.identity.run), options.work.retry_failed)? {
            queue.push_back(index);
        }
    }
    let before = runs.len() - queue.len();
    let summary = Summary { before, recorded: before, ..Summary::default() };
    let supervisor = Supervisor { results, runs, options, stop, summary };
    match options.in_process {
        true => supervisor.here(queue, tell),
        false => supervisor.in_processes(queue, tell),
    }
}

struct Supervisor<'a> {
    results: &'a ResultsFolder,
    runs: &'a [PlannedRun],
    options: &'a Options,
    stop: &'a Stop,
    summary: Summary,
}

/// A running worker.
struct Worker {
    run: usize,
    /// Its standard input, which requests a stop. While it is open, the supervisor is alive.
    stdin: ChildStdin,
    log: RunLog,
    /// Its last lines on standard error.
    last_words: VecDeque<String>,
}

impl Worker {
    /// Writes a line of standard error to the log, and keeps it among the last lines.
    fn hear_error(&mut self, line: &str) {
        self.log.line(line);
        if line.starts_with(PANICKED) {
            self.last_words.clear();
        }
        self.last_words.push_back(line.to_owned());
        if self.last_words.len() > LAST_WORDS {
            self.last_words.pop_front();
        }
    }
}

/// What threads receive from workers, by run.
enum Heard {
    Message(usize, Message),
    Error(usize, String),
    Ended(usize, std::io::Result<ExitStatus>),
}

/// Lines of standard error that become part of a failure's record.
const LAST_WORDS: usize = 3;

impl Supervisor<'_> {
    fn folder(&self, run: usize) -> RunFolder {
        self.results.run(&self.runs[run].identity.run)
    }

    fn here(mut self, queue: VecDeque<usize>, tell: &mut dyn FnMut(Notice)) -> Result<Summary> {
        let mut images: Option<(DataConfig, Dataset)> = None;
        for run in queue {
            if self.stop.is_asked() {
                self.summary.interrupted = true;
                break;
            }
            let (folder, config) = (self.folder(run), &self.runs[run].config);
            run_folder::write_config(&folder, config)?;
            let wanted = config.data.without_augmentation();
            let at_hand = images.take().filter(|(data, _)| *data == wanted);
            let (data, dataset) = match at_hand {
                Some(at_hand) => at_hand,
                None => (wanted, data::load(&config.data, self.options.work.data_dir.as_deref())?),
            };
            tell(Notice::Started(run));
            let say = &mut |message| tell(Notice::Said(run, message));
            let outcome = work_here(&folder, config, &dataset, &self.options.work, self.stop, say)?;
            tell(Notice::Ended(run));
            self.count(outcome);
            images = Some((data, dataset));
        }
        Ok(self.summary)
    }

    fn count(&mut self, outcome: WorkOutcome) {
        match outcome {
            WorkOutcome::Recorded => self.summary.recorded += 1,
            WorkOutcome::Busy => self.summary.busy += 1,
            WorkOutcome::Interrupted => self.summary.interrupted = true,
        }
    }

    fn in_processes(mut self, mut queue: VecDeque<usize>, tell: &mut dyn FnMut(Notice)) -> Result<Summary> {
        let (sender, receiver) = channel();
        let mut workers: Vec<Worker> = Vec::new();
        let mut failed = None;
        let mut told = false;
        loop {
            while failed.is_none()
                && !self.stop.is_asked()
                && workers.len() < self.options.work.jobs
                && let Some(run) = queue.pop_front()
            {
                match self.start(run, &sender) {
                    Ok(worker) => {
                        workers.push(worker);
                        tell(Notice::Started(run));
                    }
                    Err(error) => failed = Some(error),
                }
            }
            if (failed.is_some() || self.stop.is_asked()) && !told {
                told = true;
                for worker in &mut workers {
                    // A worker that has just ended no longer reads.
                    let _ = worker.stdin.write_all(b"stop\n");
                }
            }
            if workers.is_empty() {
                break;
            }
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("this thread holds a sender"),
                Ok(heard) => {
                    let heard = self.heard(heard, &mut workers, tell);
                    failed = failed.or(heard.err());
                }
            }
        }
        self.summary.interrupted |= self.stop.is_asked() && !queue.is_empty();
        failed.map_or(Ok(self.summary), Err)
    }

    /// Handles a message from a worker, or its end.
    fn heard(&mut self, heard: Heard, workers: &mut Vec<Worker>, tell: &mut dyn FnMut(Notice)) -> Result<()> {
        match heard {
            Heard::Message(run, message) => {
                if let (Message::Line(line), Some(worker)) = (&message, find(workers, run)) {
                    worker.log.line(line);
                }
                tell(Notice::Said(run, message));
            }
            Heard::Error(run, line) => {
                if let Some(worker) = find(workers, run) {
                    worker.hear_error(&line);
                }
                tell(Notice::Said(run, Message::Line(line)));
            }
            Heard::Ended(run, status) => {
                let at = workers.iter().position(|worker| worker.run == run).expect("every worker ends once");
                let worker = workers.swap_remove(at);
                let status = status.map_err(Error::io("wait for the worker of", self.folder(run).path()));
                let outcome = status.and_then(|status| self.ending(worker, status, tell));
                tell(Notice::Ended(run));
                self.count(outcome?);
            }
        }
        Ok(())
    }

    fn start(&self, run: usize, sender: &Sender<Heard>) -> Result<Worker> {
        let folder = self.folder(run);
        run_folder::write_config(&folder, &self.runs[run].config)?;
        let log = RunLog::open(&folder)?;
        let program = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
        let mut command = Command::new(&program);
        let work = &self.options.work;
        command.arg("work").arg(folder.path());
        command.args(["--threads", &work.threads.to_string(), "--jobs", &work.jobs.to_string()]);
        command.args(["--checkpoint-seconds", &work.checkpoint_every.as_secs_f64().to_string()]);
        if let Some(data_dir) = &work.data_dir {
            command.arg("--data-dir").arg(data_dir);
        }
        if let Some(bytes) = work.max_memory {
            command.args(["--max-memory", &bytes.to_string()]);
        }
        if let Some(time) = work.max_time {
            command.args(["--max-seconds", &time.as_secs_f64().to_string()]);
        }
        if work.retry_failed {
            command.arg("--retry-failed");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start", &program))?;
        let stdin = child.stdin.take().expect("it is piped");
        listen(run, child, sender);
        Ok(Worker { run, stdin, log, last_words: VecDeque::new() })
    }

    /// Concludes the run of a worker that ended: with the worker's own record, with one written here, or with none.
    fn ending(&self, mut worker: Worker, status: ExitStatus, tell: &mut dyn FnMut(Notice)) -> Result<WorkOutcome> {
        let folder = self.folder(worker.run);
        match status.code() {
            Some(0) => return Ok(WorkOutcome::Recorded),
            Some(code) if code == i32::from(BUSY) => return Ok(WorkOutcome::Busy),
            // It was asked to stop, by this process or another, and left a checkpoint.
            Some(130 | 143) => return Ok(WorkOutcome::Interrupted),
            Some(code @ (2 | 3)) => {
                let run = self.runs[worker.run].identity.run.clone();
                let words = worker.last_words.make_contiguous().join("\n");
                let words = words.trim_start_matches("error: ").to_owned();
                return Err(Error::RunNotRecorded { run, words, code: code as u8 });
            }
            _ => {}
        }
        // The worker is gone, and its lock with it. If another process holds the lock now, that process does the run.
        let Some(_lock) = RunLock::take(&folder)? else { return Ok(WorkOutcome::Busy) };
        if !is_missing(&folder, false)? {
            return Ok(WorkOutcome::Recorded);
        }
        let record = failure(&self.runs[worker.run].identity, &folder, status, &worker.last_words)?;
        worker.log.line(&record.message);
        tell(Notice::Said(worker.run, Message::Line(format!("{}: {}", record.reason, record.message))));
        folder.write_failed(&record)?;
        Ok(WorkOutcome::Recorded)
    }
}

fn find(workers: &mut [Worker], run: usize) -> Option<&mut Worker> {
    workers.iter_mut().find(|worker| worker.run == run)
}

/// Why a worker ended without a record, as far as its exit status and output show.
fn failure(
    identity: &RunIdentity,
    folder: &RunFolder,
    status: ExitStatus,
    last_words: &VecDeque<String>,
) -> Result<FailureRecord> {
    let words = last_words.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
    let refused = words.contains("memory allocation of");
    let (reason, how) = match status.code() {
        Some(OUT_OF_MEMORY) => (FailureReason::OutOfMemory, String::new()),
        Some(OUT_OF_TIME) => (FailureReason::OutOfTime, String::new()),
        _ if refused => (FailureReason::OutOfMemory, format!("the run's process ended ({status})")),
        None => (
            FailureReason::Crashed,
            format!("the run's process was ended from outside ({status}); systems do that when they run out of memory"),
        ),
        Some(_) => (FailureReason::Crashed, format!("the run's process ended without a result ({status})")),
    };
    let message = [how, words].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
    let epoch = folder.read_epochs()?.unwrap_or_default().len() + 1;
    Ok(FailureRecord { identity: identity.clone(), reason, message, epoch })
}

/// Threads that read a worker's output to its end.
fn listen(run: usize, mut child: Child, sender: &Sender<Heard>) {
    let out = child.stdout.take().expect("it is piped");
    let err = child.stderr.take().expect("it is piped");
    let message = move |line: String| match serde_json::from_str(&line) {
        Ok(message) => Heard::Message(run, message),
        // A library that prints.
        Err(_) => Heard::Message(run, Message::Line(line)),
    };
    let threads =
        [lines(out, sender.clone(), message), lines(err, sender.clone(), move |line| Heard::Error(run, line))];
    let sender = sender.clone();
    std::thread::spawn(move || {
        for thread in threads {
            let _ = thread.join();
        }
        let _ = sender.send(Heard::Ended(run, child.wait()));
    });
}

fn lines(
    from: impl Read + Send + 'static,
    sender: Sender<Heard>,
    heard: impl Fn(String) -> Heard + Send + 'static,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut bytes = Vec::new();
        while from.read_until(b'\n', &mut bytes).is_ok_and(|read| read > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if sender.send(heard(line)).is_err() {
                break;
            }
            bytes.clear();
        }
    })
}
