//! Tables, plots and the report of a results folder. It reads records and nothing else, so that the same records give the same
//! bytes wherever and whenever the report is made.

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
mod names;
mod pairs;
mod plots;
mod published;
mod sections;
mod terminal;
mod verdict;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::PublishedRun;
use crate::error::{Error, Result};
use crate::results::{
    MachineRecord, NoiseRecord, ResultsFolder, Runs, epochs_csv, models_csv, summary_csv, throughput_csv, write_atomic,
};

use evidence::{Evidence, Ledgers};
use figures::ModelFigures;
use plots::{Format, Plot};

pub use compare::{Compared, Comparison, Measure, Verdict, compare};
pub use format::{count, magnitude};
pub use terminal::{short_name, summary_table, terminal_table};

/// All that a report is made from.
pub(crate) struct Material<'a> {
    /// The runs with their records.
    pub(crate) runs: &'a Runs,
    /// Where they were made.
    pub(crate) machine: Option<&'a MachineRecord>,
    /// How much that machine's times vary from process to process, if it was measured.
    pub(crate) noise: Option<&'a NoiseRecord>,
    /// What others reported of the models.
    pub(crate) published: &'a [PublishedRun],
    /// The figures of every model.
    pub(crate) models: Vec<ModelFigures<'a>>,
    /// What the runs said of every test image.
    pub(crate) ledgers: Ledgers<'a>,
    /// Every two models held against each other.
    pub(crate) evidence: Evidence<'a>,
}

impl<'a> Material<'a> {
    /// Condenses the records and holds the models against each other.
    pub(crate) fn new(
        runs: &'a Runs,
        machine: Option<&'a MachineRecord>,
        noise: Option<&'a NoiseRecord>,
        published: &'a [PublishedRun],
    ) -> Result<Self> {
        let models = figures::of_models(&runs.ended);
        let ledgers = Ledgers::read(&runs.ended)?;
        let evidence = Evidence::of(&models, &ledgers, noise);
        Ok(Self { runs, machine, noise, published, models, ledgers, evidence })
    }
}

/// Makes tables, plots, `report.md` and `report.html` from the records of `folder` and answers which files it wrote. `models` are the plan's
/// model names in their order, `published` what others reported of them. Plots that have nothing to show are left out, and taken away
/// if they were there.
pub fn write(folder: &ResultsFolder, models: &[String], published: &[PublishedRun]) -> Result<Vec<PathBuf>> {
    let runs = folder.read_runs(models)?;
    let (machine, noise) = (folder.read_machine()?, folder.read_noise()?);
    let material = Material::new(&runs, machine.as_ref(), noise.as_ref(), published)?;

    let root = folder.path();
    let mut written = Vec::new();
    let mut put = |path: PathBuf, bytes: &[u8]| {
        write_atomic(&path, bytes)?;
        written.push(path);
        Ok::<_, Error>(())
    };
    put(root.join("models.csv"), &models_csv(&runs.ended))?;
    put(root.join("epochs.csv"), &epochs_csv(&runs.ended))?;
    put(root.join("throughput.csv"), &throughput_csv(&runs.ended))?;
    put(root.join("summary.csv"), &summary_csv(&runs.ended))?;

    let plots = root.join("plots");
    fs::create_dir_all(&plots).map_err(Error::io("create", &plots))?;
    let mut drawn = Vec::new();
    for plot in Plot::ALL {
        for format in Format::ALL {
            let path = plots.join(plot.file(format));
            match plot.render(&material.models, published, format)? {
                Some(bytes) => {
                    put(path, &bytes)?;
                    drawn.push(plot);
                }
                None => remove(&path)?,
            }
        }
    }
    put(root.join("report.md"), sections::report(&material, Some(&drawn)).as_bytes())?;
    put(root.join("report.html"), html::page(&material)?.as_bytes())?;
    Ok(written)
}

/// A form of the report that is printed.
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

/// The report in one form, with nothing written.
pub fn print(
    folder: &ResultsFolder,
    models: &[String],
    published: &[PublishedRun],
    format: Printed,
) -> Result<Vec<u8>> {
    let runs = folder.read_runs(models)?;
    let (machine, noise) = (folder.read_machine()?, folder.read_noise()?);
    let material = Material::new(&runs, machine.as_ref(), noise.as_ref(), published)?;
    Ok(match format {
        Printed::Html => html::page(&material)?.into_bytes(),
        Printed::Markdown => sections::report(&material, None).into_bytes(),
        Printed::Csv => summary_csv(&runs.ended),
        Printed::Json => json::report(&material),
    })
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("delete", path)(error)),
        _ => Ok(()),
    }
}
