//! `vitbench data`: a file per command.

mod fetch;
mod preview;

use clap::{Args, Subcommand};

use crate::error::Result;

/// Arguments of `vitbench data`.
#[derive(Debug, Args)]
pub(super) struct DataArgs {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    /// Get a dataset: download it, check every byte, and put it where the other commands look for it
    Fetch(fetch::FetchArgs),
    /// Write a sheet of training images as PNG: each as it is, then as some epochs see it
    Preview(preview::PreviewArgs),
}

/// Does what was asked for.
pub(super) fn execute(args: &DataArgs) -> Result<()> {
    match &args.command {
        DataCommand::Fetch(args) => fetch::execute(args),
        DataCommand::Preview(args) => preview::execute(args),
    }
}
