//! Tables, plots and the report of a results folder. It reads records and nothing else, so that the same records give the same
//! bytes wherever and whenever the report is made.

mod comparability;
mod figures;
mod format;
mod markdown;
mod names;
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
use crate::results::{ResultsFolder, epochs_csv, models_csv, summary_csv, throughput_csv, write_atomic};

use plots::{Format, Plot};

pub use format::{count, magnitude};
pub use terminal::{summary_table, terminal_table};

/// Makes tables, plots and `report.md` from the records of `folder` and answers which files it wrote. `models` are the plan's
/// model names in their order, `published` what others reported of them. Plots that have nothing to show are left out, and taken away
/// if they were there.
pub fn write(folder: &ResultsFolder, models: &[String], published: &[PublishedRun]) -> Result<Vec<PathBuf>> {
    let runs = folder.read_runs(models)?;
    let machine = folder.read_machine()?;
    let figures = figures::of_models(&runs.ended);

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
            match plot.render(&figures, published, format)? {
                Some(bytes) => {
                    put(path, &bytes)?;
                    drawn.push(plot);
                }
                None => remove(&path)?,
            }
        }
    }
    let report = sections::report(&runs, machine.as_ref(), &figures, published, &drawn);
    put(root.join("report.md"), report.as_bytes())?;
    Ok(written)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("delete", path)(error)),
        _ => Ok(()),
    }
}
