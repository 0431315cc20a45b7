//! Feeds damaged and hostile files to every reader of the suite, and says which of them a reader does not bear: by a panic, by
//! taking more than a second or a gigabyte, or by taking in what it should refuse.
//!
//! An input is a seed, changed a few times at random, often with its checksums put right again so that the change gets past them.
//! What brings an answer that no input has brought before is changed further. All of it follows from the seed of the random numbers,
//! so every finding can be had again.
//!
//! Each reader has a process of its own. Where that process dies, the input that it worked on is on disk.

mod mend;
mod mutate;
mod seeds;
mod target;
mod worker;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::Parser;

use crate::target::Target;
use crate::worker::Order;

/// What a reader may take at most for one input, in bytes. Asking for more fails, as it would on a machine without memory.
const MEMORY: usize = 1 << 30;

#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, MEMORY);

/// Feed damaged and hostile files to the readers
#[derive(Debug, Parser)]
struct Cli {
    /// Only these readers [default: all of them]
    #[arg(long, value_name = "READER")]
    target: Vec<Target>,
    /// How many inputs each reader is given
    #[arg(long, value_name = "N", default_value_t = 1000)]
    inputs: u64,
    /// Go on for so many seconds, shared among the readers, however many inputs that is
    #[arg(long, value_name = "N", conflicts_with = "inputs")]
    seconds: Option<u64>,
    /// Which random numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Where the inputs that a reader does not bear are put
    #[arg(long, value_name = "DIR", default_value = "fuzz/found")]
    found: PathBuf,
    /// Give this file to the reader that --target names, and nothing else
    #[arg(long, value_name = "FILE", requires = "target")]
    replay: Option<PathBuf>,
    /// Be the process that feeds one reader, working in this folder
    #[arg(long, hide = true)]
    worker: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let targets = if cli.target.is_empty() { Target::ALL.to_vec() } else { cli.target.clone() };
    if let Some(file) = &cli.replay {
        return worker::replay(targets[0], file);
    }
    let share = cli.seconds.map(|seconds| Duration::from_secs(seconds) / targets.len() as u32);
    if let Some(place) = &cli.worker {
        let limit = share.map_or(Order::Inputs(cli.inputs), Order::Time);
        return worker::feed(targets[0], cli.seed, limit, place, &cli.found);
    }
    let mut bad = false;
    for target in targets {
        bad |= !supervise(target, &cli, share);
    }
    if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Feeds one reader in a process of its own, and in another if that one dies. Says whether all went well.
fn supervise(target: Target, cli: &Cli, share: Option<Duration>) -> bool {
    let (started, mut seed, mut well) = (Instant::now(), cli.seed, true);
    loop {
        let place = tempfile::tempdir().expect("a folder for temporary files");
        let left = share.map(|share| share.saturating_sub(started.elapsed()).as_secs().max(1));
        let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
        // No folder of the user's is read or written: datasets and decoded images are where these variables say.
        command.env_remove("VITBENCH_DATA").env_remove("XDG_CACHE_HOME").env_remove("HOME");
        command.arg("--worker").arg(place.path()).arg("--target").arg(target.name()).arg("--found").arg(&cli.found);
        command.arg("--seed").arg(seed.to_string());
        match left {
            Some(seconds) => command.arg("--seconds").arg(seconds.to_string()),
            None => command.arg("--inputs").arg(cli.inputs.to_string()),
        };
        let status = command.status().expect("this program can be started");
        match status.code() {
            Some(0) => return well,
            Some(1) => return false,
            _ => println!("{}: the process died ({status})", target.name()),
        }
        well = false;
        keep(target, "died", &fs::read(worker::current(place.path())).unwrap_or_default(), &cli.found);
        seed += 1;
        if share.is_none_or(|share| started.elapsed() >= share) {
            return well;
        }
    }
}

/// Puts an input where it can be looked into.
fn keep(target: Target, name: &str, input: &[u8], found: &Path) {
    let name = format!("{}-{}-{name}", target.name(), &blake3::hash(input).to_hex()[..12]);
    let path = found.join(name);
    match fs::create_dir_all(found).and_then(|()| fs::write(&path, input)) {
        Ok(()) => println!("    {}", path.display()),
        Err(error) => println!("    not kept at {}: {error}", path.display()),
    }
}
