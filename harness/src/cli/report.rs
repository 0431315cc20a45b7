//! `vitbench report`: rebuilds tables, plots and reports from the records of one or more results folders.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::config::{self, Plan};
use crate::error::{Error, Result};
use crate::report::{self, Printed, Source};
use crate::results::ResultsFolder;

/// Arguments of `vitbench report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// A results folder, or several to combine in one report
    #[arg(required = true)]
    folders: Vec<PathBuf>,
    /// Folder for the report; required if several folders are given
    #[arg(long, value_name = "DIR", conflicts_with = "format")]
    out: Option<PathBuf>,
    /// Open `report.html` in the browser
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
    /// One row per run: `summary.csv`
    Csv,
    /// Verdicts, figures of all models, and differences between them
    Json,
}

/// Rebuilds tables, plots and report, and prints the table.
pub(super) fn execute(args: &ReportArgs) -> Result<()> {
    let folders = args.folders.iter().map(ResultsFolder::open).collect::<Result<Vec<_>>>()?;
    let (mut models, mut references, mut report) = (Vec::new(), Vec::new(), None);
    for folder in &folders {
        let plan = config::load(&folder.plan_path(), &[])?;
        for model in plan.model_names() {
            if !models.contains(&model) {
                models.push(model);
            }
        }
        report.get_or_insert(plan.report);
        for run in plan.reference {
            if !references.contains(&run) {
                references.push(run);
            }
        }
    }
    let report = report.unwrap_or_default();
    let source = Source { folders: &folders, models: &models, references: &references, report: &report };
    if let Some(format) = args.format {
        let format = match format {
            Format::Html => Printed::Html,
            Format::Md => Printed::Markdown,
            Format::Csv => Printed::Csv,
            Format::Json => Printed::Json,
        };
        let text = report::print(&source, format)?;
        // Readers such as `head` close the pipe early.
        return match std::io::stdout().write_all(&text) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Error::io("write", "standard output".as_ref())(error))
            }
            _ => Ok(()),
        };
    }
    let out = match (&args.out, &args.folders[..]) {
        (Some(out), _) => out,
        (None, [folder]) => folder,
        (None, _) => {
            let help = "give a folder for the combined report with --out";
            return Err(Error::input("report", "several folders are given, but no folder to write to", help));
        }
    };
    write(out, &source)?;
    if args.open {
        let page = out.join("report.html");
        open::that_detached(&page).map_err(Error::io("open in a browser", &page))?;
    }
    Ok(())
}

/// Writes the tables, plots and report of a plan's folder, then prints the table and the report's path.
pub(super) fn write_and_print(folder: &ResultsFolder, plan: &Plan) -> Result<()> {
    let models = plan.model_names();
    let folders = std::slice::from_ref(folder);
    let source = Source { folders, models: &models, references: &plan.reference, report: &plan.report };
    write(folder.path(), &source)
}

fn write(out: &Path, source: &Source<'_>) -> Result<()> {
    println!("{}", report::write(out, source)?.summary);
    println!("Report: {}", out.join("report.html").display());
    Ok(())
}
