//! `vitbench data`: a file per command.

mod fetch;
mod info;
mod list;
mod preview;
mod verify;

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
    /// List the datasets that configs can name, and where they are
    List(list::ListArgs),
    /// Look into a dataset: classes, counts, sizes, kinds of images, images that are there twice, fingerprint
    Info(info::InfoArgs),
    /// Read every file of a folder to its end and list the bad ones; exit code 3 if there are any
    Verify(verify::VerifyArgs),
    /// Write a sheet of training images as PNG: each as it is, then as some epochs see it
    Preview(preview::PreviewArgs),
}

/// Does what was asked for.
pub(super) fn execute(args: &DataArgs) -> Result<()> {
    match &args.command {
        DataCommand::Fetch(args) => fetch::execute(args),
        DataCommand::List(args) => {
            list::execute(args);
            Ok(())
        }
        DataCommand::Info(args) => info::execute(args),
        DataCommand::Verify(args) => verify::execute(args),
        DataCommand::Preview(args) => preview::execute(args),
    }
}
