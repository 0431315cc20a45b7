use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{self, Plan};
use crate::error::{Error, Result};
use crate::report::{self, Printed};
use crate::results::ResultsFolder;

/// Arguments of `vitbench report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// The folder that `vitbench run` wrote
    folder: PathBuf,
    /// Show `report.html` in the browser
    #[arg(long)]
    open: bool,
    /// Print the report in this format instead of writing files
    #[arg(long, value_enum, conflicts_with = "open")]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// The page `report.html`
    Html,
    /// The report as Markdown, without plots
    Md,
    /// A row for every run: `summary.csv`
    Csv,
    /// Verdicts, figures of all models, and their differences
    Json,
}

/// Makes tables, plots and report again, and prints the table.
pub(super) fn execute(args: &ReportArgs) -> Result<()> {
    let folder = ResultsFolder::open(&args.folder)?;
    let plan = config::load(&folder.plan_path(), &[])?;
    if let Some(format) = args.format {
        let format = match format {
            Format::Html => Printed::Html,
            Format::Md => Printed::Markdown,
            Format::Csv => Printed::Csv,
            Format::Json => Printed::Json,
        };
        let text = report::print(&folder, &plan.model_names(), &plan.published, format)?;
        // A reader that has seen enough, such as `head`, closes the pipe.
        return match std::io::stdout().write_all(&text) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::io("write", "standard output".as_ref())(error))
            }
            _ => Ok(()),
        };
    }
    write_and_print(&folder, &plan)?;
    if args.open {
        let page = folder.path().join("report.html");
        open::that_detached(&page).map_err(Error::io("open in a browser", &page))?;
    }
    Ok(())
}

/// Makes tables, plots and report, prints the table, and says where the rest is.
pub(super) fn write_and_print(folder: &ResultsFolder, plan: &Plan) -> Result<()> {
    let models = plan.model_names();
    report::write(folder, &models, &plan.published)?;
    println!("{}", report::summary_table(&folder.read_runs(&models)?.ended));
    println!("Report: {}", folder.path().join("report.html").display());
    Ok(())
}
