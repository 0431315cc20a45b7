//! The process that feeds one reader.

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use layers::random::{Purpose, stream};
use rand::RngExt;

use crate::mutate::mutated;
use crate::seeds::seeds;
use crate::target::{Answer, Target};
use crate::{ALLOCATOR, keep};

/// How long a reader may take to read one input once.
const TIME: Duration = Duration::from_secs(1);

/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Inputs that are changed further, at most, and their bytes.
const POOL: usize = 4000;
const POOL_BYTES: usize = 64 << 20;

/// How much is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Order {
    /// So many inputs.
    Inputs(u64),
    /// As many as come in this time.
    Time(Duration),
}

/// The file in a worker's folder that holds the input in work.
pub(crate) fn current(place: &Path) -> PathBuf {
    place.join("current")
}

/// Gives one file to a reader and tells what it says.
pub(crate) fn replay(target: Target, file: &Path) -> ExitCode {
    let place = tempfile::tempdir().expect("a folder for temporary files");
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = fs::read(file).expect("the file can be read");
    let started = Instant::now();
    match target.read(&name, &bytes, place.path()) {
        Ok(Answer::Taken) => println!("taken, in {:?}", started.elapsed()),
        Ok(Answer::Refused(reason)) => println!("refused, in {:?}: {reason}", started.elapsed()),
        Err(fault) => {
            println!("{fault}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Feeds a reader. `place` is a folder to work in, `found` one for inputs that it does not bear.
pub(crate) fn feed(target: Target, seed: u64, order: Order, place: &Path, found: &Path) -> ExitCode {
    let mut feeder = Feeder::new(target, place, found);
    let mut pool = seeds(target);
    for seed in &pool {
        let Some(answer) = feeder.give(&seed.name, &target.file(seed)) else { continue };
        if target.takes(seed) != (answer == Answer::Taken) {
            println!("{}: the seed {} is answered with {answer:?}", target.name(), seed.name);
            return ExitCode::FAILURE;
        }
        feeder.is_new(&answer);
    }
    let (started, mut number, mut pool_bytes) = (Instant::now(), 0, 0);
    while match order {
        Order::Inputs(inputs) => number < inputs,
        Order::Time(time) => started.elapsed() < time,
    } {
        let mut rng = stream(Purpose::Fuzzing, [seed, target as u64, number]);
        number += 1;
        let mut input = pool[rng.random_range(0..pool.len())].clone();
        input.bytes = mutated(&input.bytes, &pool[rng.random_range(0..pool.len())].bytes, &mut rng);
        if rng.random_range(0..4) > 0 {
            target.mend(&mut input.bytes);
        }
        let mut file = target.file(&input);
        if rng.random_range(0..16) == 0 {
            file = mutated(&file, &[], &mut rng);
        }
        let Some(answer) = feeder.give(&input.name, &file) else { continue };
        if pool.len() < POOL && pool_bytes < POOL_BYTES && feeder.is_new(&answer) {
            pool_bytes += input.bytes.len();
            pool.push(input);
        }
    }
    println!(
        "{:8} {number:>8} inputs, {} kinds of answers, {:.0} s; at most {} MB and {:.2} s; {} faults",
        target.name(),
        feeder.answers.len(),
        started.elapsed().as_secs_f64(),
        ALLOCATOR.max_allocated() / 1_000_000,
        feeder.longest.as_secs_f64(),
        feeder.faults.len(),
    );
    if feeder.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Gives inputs to a reader and sees how it bears them.
struct Feeder<'a> {
    target: Target,
    place: &'a Path,
    found: &'a Path,
    answers: HashSet<String>,
    /// A fault is told once.
    faults: HashSet<String>,
    longest: Duration,
    /// Milliseconds from `started` to the beginning of the input in work, plus one; 0 between inputs.
    busy_since: Arc<AtomicU64>,
    started: Instant,
}

impl<'a> Feeder<'a> {
    fn new(target: Target, place: &'a Path, found: &'a Path) -> Self {
        let (busy_since, started) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let watched = busy_since.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(PATIENCE / 10);
                let since = watched.load(Ordering::Relaxed);
                if since > 0 && started.elapsed() > Duration::from_millis(since) + PATIENCE {
                    println!("{}: an input takes more than {PATIENCE:?}", target.name());
                    std::process::abort();
                }
            }
        });
        // What is caught is told once, with the place where it happened.
        std::panic::set_hook(Box::new(|panic| {
            *PANIC.lock().unwrap_or_else(PoisonError::into_inner) = panic.to_string()
        }));
        let (answers, faults) = (HashSet::new(), HashSet::new());
        Self { target, place, found, answers, faults, longest: Duration::ZERO, busy_since, started }
    }

    /// What the reader says of an input, if it bears it.
    fn give(&mut self, name: &str, bytes: &[u8]) -> Option<Answer> {
        fs::write(current(self.place), bytes).expect("a temporary file can be written");
        let limit = TIME * self.target.passes();
        let (mut outcome, mut time) = self.timed(name, bytes);
        // Another process may have had the processor in between.
        for _ in 0..3 {
            if time > limit {
                let (again, shorter) = self.timed(name, bytes);
                (outcome, time) = (again, time.min(shorter));
            }
        }
        self.longest = self.longest.max(time);
        let fault = match outcome {
            Ok(_) if time > limit => format!("takes {time:?}"),
            Ok(answer) => return Some(answer),
            Err(fault) => fault,
        };
        if self.faults.insert(without_numbers(&fault)) {
            println!("{}: {fault}", self.target.name());
            keep(self.target, name, bytes, self.found);
        }
        None
    }

    fn timed(&self, name: &str, bytes: &[u8]) -> (Result<Answer, String>, Duration) {
        let begun = Instant::now();
        self.busy_since.store(begun.duration_since(self.started).as_millis() as u64 + 1, Ordering::Relaxed);
        let read = || self.target.read(name, bytes, self.place);
        let outcome = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(last_panic()));
        self.busy_since.store(0, Ordering::Relaxed);
        (outcome, begun.elapsed())
    }

    /// Whether no input before has brought this answer.
    fn is_new(&mut self, answer: &Answer) -> bool {
        self.answers.insert(match answer {
            Answer::Taken => String::new(),
            Answer::Refused(reason) => without_numbers(reason),
        })
    }
}

/// What the last panic said of itself, in whichever thread.
static PANIC: Mutex<String> = Mutex::new(String::new());

fn last_panic() -> String {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A message without what differs from input to input: numbers, names in quotes, and lines that are shown as they stand.
fn without_numbers(message: &str) -> String {
    let told: String = message.lines().filter(|line| !line.contains('|')).collect();
    let outside = told.split('`').step_by(2).collect::<String>();
    outside.chars().filter(|c| c.is_ascii() && !c.is_ascii_digit()).take(300).collect()
}
