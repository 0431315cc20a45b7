use std::path::PathBuf;

use clap::Args;

use crate::config::{self, Plan};
use crate::error::Result;
use crate::report;
use crate::results::ResultsFolder;

/// Arguments of `vitbench report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder that `vitbench run` wrote
    folder: PathBuf,
}

/// Makes tables, plots and report again, and prints the table.
pub(super) fn execute(args: &ReportArgs) -> Result<()> {
    let folder = ResultsFolder::open(&args.folder)?;
    let plan = config::load(&folder.plan_path(), &[])?;
    write_and_print(&folder, &plan)
}

/// Makes tables, plots and report, prints the table, and says where the rest is.
pub(super) fn write_and_print(folder: &ResultsFolder, plan: &Plan) -> Result<()> {
    let models = plan.model_names();
    report::write(folder, &models, &plan.published)?;
    println!("{}", report::summary_table(&folder.read_runs(&models)?.ended));
    println!("Report: {}", folder.path().join("report.md").display());
    Ok(())
}
