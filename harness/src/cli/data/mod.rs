//! `vitbench data`: one file per subcommand.

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
    /// Download a dataset, check every byte, and put it where the other commands look for it
    Fetch(fetch::FetchArgs),
    /// List the datasets that configs can name, and where they are
    List(list::ListArgs),
    /// Inspect a dataset: classes, counts, sizes, file types, duplicate images, fingerprint
    Info(info::InfoArgs),
    /// Decode every file of a folder and list the bad ones; exit code 3 if there are any
    Verify(verify::VerifyArgs),
    /// Write a PNG sheet of training images: each as it is, then as training sees it in the first epochs
    Preview(preview::PreviewArgs),
}

/// Runs the subcommand.
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
