use std::path::PathBuf;

use clap::Args;

use crate::data;

/// Arguments of `vitbench data list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Where datasets are, besides $VITBENCH_DATA and the cache folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Prints every dataset with its place, which is too long for a table and meant to be copied.
pub(super) fn execute(args: &ListArgs) {
    for dataset in data::list(args.data_dir.as_deref()) {
        println!("{:<14} {}\n{:14} {}", dataset.name, dataset.about, "", dataset.place);
    }
}
