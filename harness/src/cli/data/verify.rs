//! `vitbench data verify`: decodes every file of a folder and lists those that cannot be read.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::data::{self, Candidates};
use crate::error::{Error, Result};
use crate::results::write_atomic;

/// Arguments of `vitbench data verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// A folder of images, or of CIFAR's files
    folder: PathBuf,
    /// File for the list of bad files, if there are any
    #[arg(long, value_name = "FILE", default_value = "bad-files.csv")]
    out: PathBuf,
}

/// Decodes all files and prints the counts.
pub(super) fn execute(args: &VerifyArgs) -> Result<()> {
    let candidates = Candidates::of(&args.folder)?;
    let started = Instant::now();
    // indicatif hides the bar if standard error is not a terminal.
    let bar = ProgressBar::new(candidates.count() as u64);
    let template = "{bar:24} {human_pos} of {human_len} files, {per_sec}, {eta} left";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed"));
    bar.enable_steady_tick(Duration::from_millis(200));
    let verdict = candidates.verify(&|| bar.inc(1));
    bar.finish_and_clear();
    for (kind, count) in &verdict.kinds {
        println!("{count:>8} {kind}");
    }
    let (seconds, bad) = (started.elapsed().as_secs_f64(), verdict.bad.len());
    println!("{} files read in {seconds:.1} s: {} good, {bad} bad", verdict.files, verdict.files - bad);
    if bad == 0 {
        return Ok(());
    }
    write_atomic(&args.out, &data::bad_files_csv(&verdict.bad))?;
    for bad in verdict.bad.iter().take(10) {
        println!("    {}: {}", bad.file, bad.reason);
    }
    let help = "repair or remove these files, or leave them out with data.on_bad_file = \"exclude\"";
    let problem = format!("{bad} of {} files are bad; {} lists them", verdict.files, args.out.display());
    Err(Error::damaged(args.folder.display(), problem, help))
}
