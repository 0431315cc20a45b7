use clap::Args;

use super::super::shared::DataDirArgs;
use crate::data;

/// Arguments of `vitbench data list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    data: DataDirArgs,
}

/// Prints every dataset with its place, which is too long for a table and meant to be copied.
pub(super) fn execute(args: &ListArgs) {
    for dataset in data::list(args.data.path()) {
        println!("{:<14} {}\n{:14} {}", dataset.name, dataset.about, "", dataset.place);
    }
}
