//! Compares Vision Transformer architectures: trains and times them on identical images and reports accuracy, throughput and
//! cost. `ARCHITECTURE.md` maps the modules and says which way their imports run.
//!
//! # The suite as a library
//!
//! ```
//! use vitbench::report::Source;
//! use vitbench::runner::{Options, Stop, WorkOptions, identify, names, supervise};
//! use vitbench::{config, report, run_folder};
//!
//! # fn main() -> vitbench::error::Result<()> {
//! # let temporary = tempfile::tempdir().unwrap();
//! # let (path, out) = (&temporary.path().join("tiny.toml"), &temporary.path().join("results"));
//! # let text = "data = { dataset = 'shapes', image_size = 16, train_limit = 100, test_limit = 20 }\nmeasure.min_seconds = 0.0\n\
//! #             train = { epochs = 1, batch_size = 20, lr = 0.001, optimizer.kind = 'adamw' }\n[[model]]\n\
//! #             preset = 'vit_tiny'\npatch_size = 4\nd_model = 12\ndepth = 1\nd_ff = 12\n";
//! # std::fs::write(path, text).unwrap();
//! // A config such as those in `configs/`, with one value changed.
//! let mut plan = config::load(path, &["seeds=[0]".to_owned()])?;
//! let work = WorkOptions { threads: 2, ..WorkOptions::default() };
//! let (runs, _) = identify(&mut plan, path, None, work.threads)?;
//! let folder = run_folder::open(out, &plan, &names(&runs), work.threads)?;
//! let options = Options { work, in_process: true };
//! supervise(&folder, &runs, &options, &Stop::default(), &mut |_| {})?;
//!
//! // Tables, plots and the report, and a summary for the terminal.
//! let models = plan.model_names();
//! let source = Source { folders: &[folder], models: &models, references: &plan.reference, report: &plan.report };
//! println!("{}", report::write(out, &source)?.summary);
//! # assert!(out.join("report.html").is_file());
//! # Ok(())
//! # }
//! ```
//!
//! An architecture of your own, in your own crate, gets the whole command line from [`main_with`]; [`layers::architecture`] says what it
//! has to state.

pub mod allocator;
pub mod architecture;
mod bounded;
mod cache;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod lanes;
pub mod measure;
mod noise;
pub mod parity;
pub mod report;
pub mod results;
pub mod run_folder;
pub mod runner;
mod sha256;
pub mod stats;
pub mod train;
pub mod weights;

use std::process::ExitCode;

pub use architecture::Registration;
pub use layers;

/// Version of what training computes, part of every run's identity. Whoever changes a bit of any result raises it; the golden tests
/// (`tests/golden.rs`) hold the bits of each version.
pub const NUMERICS_VERSION: u32 = 1;

/// Version of the program, part of every run's identity.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The whole program, with `architectures` besides those of the suite: parses the command line, does what it says, and prints errors.
///
/// ```no_run
/// # use vitbench::layers::architecture::Config;
/// # fn program<MixerConfig: Config>() -> std::process::ExitCode {
/// // The whole `main` of a program that knows one more architecture.
/// vitbench::main_with([vitbench::Registration::of::<MixerConfig>()])
/// # }
/// ```
pub fn main_with(architectures: impl IntoIterator<Item = Registration>) -> ExitCode {
    allocator::keep_freed_memory();
    let done = architecture::register(architectures).and_then(|()| cli::execute());
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
