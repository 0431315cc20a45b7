//! Tables, plots and the report of a results folder. They are made from the records alone, so the same records always give the same
//! bytes.

mod comparability;
mod compare;
mod differences;
mod evidence;
mod figures;
mod format;
mod html;
mod json;
mod leads;
mod markdown;
mod material;
mod names;
mod pairs;
mod plots;
mod power;
mod reference;
mod reproduction;
mod sections;
mod speeds;
mod terminal;
mod timing;
mod verdict;
mod verdicts;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::results::{Stage, epochs_csv, models_csv, summary_csv, throughput_csv, write_atomic};

use material::Material;
use plots::{Content, Format, PLOTS, Plot};

#[cfg(test)]
pub(crate) use plots::look::COLORS;

pub use compare::{Compared, Comparison, Judgement, compare, comparisons_markdown, rerun_names};
pub use format::{count, magnitude};
pub use material::Source;
pub use pairs::{Quantity, Verdict};
pub use power::Variation;
pub use reproduction::{Repeated, Repetition, repetitions};
pub use speeds::{ratio_to, stage_remarks};
pub use terminal::{short_name, terminal_table};

/// What [`write`] wrote.
#[derive(Debug, Clone)]
pub struct Written {
    /// The files.
    pub files: Vec<PathBuf>,
    /// For a terminal, at most 80 columns wide: a row per model with its main figures, and a line per failed run with its reason.
    pub summary: String,
}

/// Writes tables, plots, `report.md` and `report.html` to the folder `root`. Plots without data are left out, and deleted if they are
/// there.
///
/// ```
/// use vitbench::config;
/// use vitbench::report::{self, Source};
/// use vitbench::results::ResultsFolder;
///
/// # fn main() -> vitbench::error::Result<()> {
/// # let published = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published/cifar10-60k");
/// # let temporary = tempfile::tempdir().unwrap();
/// # let out = temporary.path();
/// let folder = ResultsFolder::open(&published)?;
/// let plan = config::load(&folder.plan_path(), &[])?;
/// let models = plan.model_names();
/// let source = Source { folders: &[folder], models: &models, references: &plan.reference, report: &plan.report };
/// let written = report::write(out, &source)?;
/// assert!(written.files.contains(&out.join("report.html")));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// If records cannot be read, or files cannot be written.
pub fn write(root: &Path, source: &Source<'_>) -> Result<Written> {
    let records = source.read()?;
    let material = Material::new(&records, source)?;

    let content = Content::new(&material.models, source.references);
    let with_files = PLOTS.iter().filter(|plot| plot.in_markdown.is_some());
    let plots: Vec<(&Plot, Format)> = with_files.flat_map(|plot| Format::ALL.map(|format| (plot, format))).collect();
    let render = |(plot, format): &(&Plot, Format)| plot.render(&content, *format);
    type Table = (&'static str, fn(&Material<'_>) -> Vec<u8>);
    let tables: [Table; 5] = [
        ("models.csv", |material| models_csv(&material.runs.ended)),
        ("epochs.csv", |material| epochs_csv(&material.runs.ended)),
        ("throughput.csv", |material| throughput_csv(material.models.iter().flat_map(|model| &model.throughput))),
        ("summary.csv", |material| summary_csv(&material.runs.ended, material.stage)),
        ("verdicts.csv", |material| verdicts::csv(&material.models, &material.evidence)),
    ];
    let table = |(file, of): Table| (file, of(&material));
    let (page, (pictures, tables)) = rayon::join(
        || html::page(&material),
        || {
            rayon::join(
                || plots.par_iter().map(render).collect::<Result<Vec<_>>>(),
                || tables.into_par_iter().map(table).collect::<Vec<_>>(),
            )
        },
    );
    let (page, pictures) = (page?, pictures?);

    fs::create_dir_all(root).map_err(Error::io("create", root))?;
    let mut files = Vec::new();
    let mut put = |path: PathBuf, bytes: &[u8]| {
        write_atomic(&path, bytes)?;
        files.push(path);
        Ok::<_, Error>(())
    };
    for (file, bytes) in tables {
        put(root.join(file), &bytes)?;
    }

    let folder = root.join("plots");
    fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
    let mut drawn = Vec::new();
    for ((plot, format), picture) in plots.into_iter().zip(pictures) {
        let path = folder.join(plot.file(format));
        match picture {
            Some(bytes) => {
                put(path, &bytes)?;
                drawn.push(plot.id);
            }
            None => remove(&path)?,
        }
    }
    put(root.join("report.md"), sections::report(&material, Some(&drawn)).as_bytes())?;
    put(root.join("report.html"), page.as_bytes())?;
    Ok(Written { files, summary: terminal::summary(&material.models) })
}

/// Writes `throughput.csv` and `verdicts.csv` of models that were timed without being trained to the folder `root`.
///
/// # Errors
/// If files cannot be written.
pub fn write_speeds(root: &Path, models: &[&str], stage: &Stage) -> Result<()> {
    let rows: Vec<_> = models.iter().flat_map(|model| crate::results::stage_throughput(model, stage)).collect();
    write_atomic(&root.join("throughput.csv"), &throughput_csv(rows.iter()))?;
    write_atomic(&root.join("verdicts.csv"), &verdicts::of_stage(models, stage))
}

/// A format in which the report can be printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    /// As `report.html`.
    Html,
    /// As `report.md`, without links to plots.
    Markdown,
    /// As `summary.csv`.
    Csv,
    /// Verdicts, figures of models, and differences.
    Json,
}

/// Returns the report in one format and writes no files.
pub fn print(source: &Source<'_>, format: Printed) -> Result<Vec<u8>> {
    let records = source.read()?;
    let material = Material::new(&records, source)?;
    Ok(match format {
        Printed::Html => html::page(&material)?.into_bytes(),
        Printed::Markdown => sections::report(&material, None).into_bytes(),
        Printed::Csv => summary_csv(&records.runs.ended, &records.stage),
        Printed::Json => json::report(&material),
    })
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("delete", path)(error)),
        _ => Ok(()),
    }
}
