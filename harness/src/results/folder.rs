//! Where the records of a plan and of its runs stand.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{csv_text, read_csv, read_json, write_atomic, write_json};
use super::records::{
    EpochRecord, ExcludedRecord, FailureRecord, MachineRecord, PredictionRecord, RunRecord, TimingSample,
};
use crate::error::{Error, Result};

/// A folder of results: one plan, its machine and its runs.
#[derive(Debug, Clone)]
pub struct ResultsFolder {
    root: PathBuf,
}

impl ResultsFolder {
    /// The folder at `root`, made if it is not there.
    pub fn create_or_open(root: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self { root: root.into() };
        create_folder(&folder.runs_path())?;
        Ok(folder)
    }

    /// The folder at `root`, which must hold results.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self { root: root.into() };
        if folder.runs_path().is_dir() {
            return Ok(folder);
        }
        let problem =
            if folder.root.is_dir() { "is not a folder of results: it has no `runs`" } else { "is not there" };
        Err(Error::input(folder.root.display(), problem, "give the folder that `vitbench run` wrote"))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// `plan.toml`, the resolved config.
    pub fn plan_path(&self) -> PathBuf {
        self.root.join("plan.toml")
    }

    /// `machine.json`.
    pub fn machine_path(&self) -> PathBuf {
        self.root.join("machine.json")
    }

    /// The folder of the run of that name, which need not exist.
    pub fn run(&self, run: &str) -> RunFolder {
        RunFolder { path: self.runs_path().join(run) }
    }

    /// The folders of all runs, by name.
    pub fn run_folders(&self) -> Result<Vec<RunFolder>> {
        let runs = self.runs_path();
        let mut folders = Vec::new();
        for entry in fs::read_dir(&runs).map_err(Error::io("list", &runs))? {
            let path = entry.map_err(Error::io("list", &runs))?.path();
            if path.is_dir() {
                folders.push(RunFolder { path });
            }
        }
        folders.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(folders)
    }

    /// Writes `machine.json`.
    pub fn write_machine(&self, record: &MachineRecord) -> Result<()> {
        write_json(&self.machine_path(), record)
    }

    /// Reads `machine.json`, if it is there.
    pub fn read_machine(&self) -> Result<Option<MachineRecord>> {
        read_json(&self.machine_path())
    }

    fn runs_path(&self) -> PathBuf {
        self.root.join("runs")
    }
}

/// A run's own folder. Every writer replaces its file in one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// The folder at `path`, which must be there.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self { path: path.into() };
        if folder.path.is_dir() {
            return Ok(folder);
        }
        let help = "give a folder below the `runs` of a folder that `vitbench run` wrote";
        Err(Error::input(folder.path.display(), "there is no such folder", help))
    }

    /// Makes the folder if it is not there.
    pub fn create(&self) -> Result<()> {
        create_folder(&self.path)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder's name, which is the run's.
    pub fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// `config.toml`, the run's resolved config.
    pub fn config_path(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `run.log`, what the run's process said.
    pub fn log_path(&self) -> PathBuf {
        self.path.join("run.log")
    }

    /// `checkpoint`, the folder of the run's state.
    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// Writes `epochs.csv`: all epochs so far, since a file that is replaced is never half a file.
    pub fn write_epochs(&self, epochs: &[EpochRecord]) -> Result<()> {
        write_atomic(&self.path.join("epochs.csv"), &csv_text(epochs))
    }

    /// Reads `epochs.csv`, if it is there.
    pub fn read_epochs(&self) -> Result<Option<Vec<EpochRecord>>> {
        read_csv(&self.path.join("epochs.csv"))
    }

    /// Writes `timing.csv`.
    pub fn write_timing(&self, samples: &[TimingSample]) -> Result<()> {
        write_atomic(&self.path.join("timing.csv"), &csv_text(samples))
    }

    /// Reads `timing.csv`, if it is there.
    pub fn read_timing(&self) -> Result<Option<Vec<TimingSample>>> {
        read_csv(&self.path.join("timing.csv"))
    }

    /// Writes `predictions.csv`.
    pub fn write_predictions(&self, predictions: &[PredictionRecord]) -> Result<()> {
        write_atomic(&self.path.join("predictions.csv"), &csv_text(predictions))
    }

    /// Reads `predictions.csv`, if it is there.
    pub fn read_predictions(&self) -> Result<Option<Vec<PredictionRecord>>> {
        read_csv(&self.path.join("predictions.csv"))
    }

    /// Writes `excluded.csv`.
    pub fn write_excluded(&self, files: &[ExcludedRecord]) -> Result<()> {
        write_atomic(&self.path.join("excluded.csv"), &csv_text(files))
    }

    /// Reads `excluded.csv`, if it is there.
    pub fn read_excluded(&self) -> Result<Option<Vec<ExcludedRecord>>> {
        read_csv(&self.path.join("excluded.csv"))
    }

    /// Writes `done.json`, the run's last file.
    pub fn write_done(&self, record: &RunRecord) -> Result<()> {
        write_json(&self.path.join("done.json"), record)
    }

    /// Reads `done.json`, if it is there.
    pub fn read_done(&self) -> Result<Option<RunRecord>> {
        read_json(&self.path.join("done.json"))
    }

    /// Writes `failed.json`.
    pub fn write_failed(&self, record: &FailureRecord) -> Result<()> {
        write_json(&self.path.join("failed.json"), record)
    }

    /// Takes away the `failed.json` of an attempt before, if it is there.
    pub fn remove_failed(&self) -> Result<()> {
        let failed = self.path.join("failed.json");
        match fs::remove_file(&failed) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("delete", &failed)(error)),
            _ => Ok(()),
        }
    }

    /// Reads `failed.json`, if it is there.
    pub fn read_failed(&self) -> Result<Option<FailureRecord>> {
        read_json(&self.path.join("failed.json"))
    }
}

fn create_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::io("create", path))
}
