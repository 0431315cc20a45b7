//! `vitbench data list`: the datasets that configs can name, and where they are.

use clap::Args;

use super::super::shared::DataDirArgs;
use crate::data;

/// Arguments of `vitbench data list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    data: DataDirArgs,
}

/// Prints every dataset and its path. There is no table, because paths are long and users copy them.
pub(super) fn execute(args: &ListArgs) {
    for dataset in data::list(args.data.path()) {
        println!("{:<14} {}\n{:14} {}", dataset.name, dataset.about, "", dataset.place);
    }
}
