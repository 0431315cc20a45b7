//! `vitbench export`: a run's trained weights in another program's layout.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::error::Result;
use crate::results::RunFolder;
use crate::weights::{self, TargetLayout};

/// Arguments of `vitbench export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The folder of a finished run, such as `results/quick/runs/vit-s0-0123456789`
    run: PathBuf,
    /// File format
    #[arg(long, value_enum, default_value_t = Format::Safetensors)]
    format: Format,
    /// Naming and layout of the tensors
    #[arg(long, value_enum, default_value_t = TargetLayout::Reference)]
    layout: TargetLayout,
    /// File to write [default: weights-LAYOUT.safetensors in the run's folder]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// A kind of weights file.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Safetensors,
}

/// Writes the run's weights and prints how many tensors it wrote.
pub(super) fn execute(args: &ExportArgs) -> Result<()> {
    let Format::Safetensors = args.format;
    let run = RunFolder::open(&args.run)?;
    let trained = weights::trained_weights(&run)?;
    let layout = args.layout.to_possible_value().expect("every layout has a name on the command line");
    let to = args.to.clone();
    let to = to.unwrap_or_else(|| args.run.join(format!("weights-{}.safetensors", layout.get_name())));
    let tensors = weights::convert(&trained, args.layout, &to)?;
    println!("{tensors} tensors written to {}", to.display());
    Ok(())
}
