use std::path::PathBuf;

use clap::Args;

use crate::data;
use crate::report::terminal_table;

/// Arguments of `vitbench data list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Where datasets are, besides $VITBENCH_DATA and the cache folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Prints a table of datasets.
pub(super) fn execute(args: &ListArgs) {
    let mut table = terminal_table(&["dataset", "what", "where, or how to get it"]);
    for dataset in data::list(args.data_dir.as_deref()) {
        table.add_row([dataset.name.as_str(), dataset.about, &dataset.place]);
    }
    println!("{table}");
}
