//! The folders of a plan and of its runs.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::files::{WRITING, csv_text, read_csv, read_json, write_atomic, write_json};
use super::noise::NoiseRecord;
use super::predictions::{self, Predictions};
use super::records::{
    EpochRecord, ExcludedRecord, FailureRecord, FileRecord, KeptImage, MachineRecord, PredictionRecord, RunRecord,
};
use super::samples::{PartSample, TimingSample};
use crate::bounded;
use crate::error::{Error, Result};

/// Largest length of `images.png`, in bytes: ten times what a run's pictures take.
const MAX_PICTURES: u64 = 4 << 20;

/// A list of the files of an image folder: a run's own, and the one that a plan was given.
pub(crate) const FILES_CSV: &str = "files.csv";

/// A folder of results: one plan, its machine and its runs.
#[derive(Debug, Clone)]
pub struct ResultsFolder {
    root: PathBuf,
}

impl ResultsFolder {
    /// The folder at `root`, created if it does not exist.
    pub fn create_or_open(root: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self { root: root.into() };
        create_folder(&folder.runs_path())?;
        Ok(folder)
    }

    /// The folder at `root`, which must be a results folder.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self { root: root.into() };
        if folder.runs_path().is_dir() {
            return Ok(folder);
        }
        let problem = if folder.root.is_dir() { "is not a results folder: it has no `runs`" } else { "is not there" };
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

    /// `files.csv`, the copy of the plan's list of files, if it has one.
    pub fn files_path(&self) -> PathBuf {
        self.root.join(FILES_CSV)
    }

    /// `noise.json`, the machine's A/A variation.
    pub fn noise_path(&self) -> PathBuf {
        self.root.join("noise.json")
    }

    /// Reads `noise.json`, if it is there.
    pub fn read_noise(&self) -> Result<Option<NoiseRecord>> {
        NoiseRecord::read(&self.noise_path())
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
    /// The folder at `path`, which must exist.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let folder = Self { path: path.into() };
        if folder.path.is_dir() {
            return Ok(folder);
        }
        let help = "give a folder below the `runs` of a folder that `vitbench run` wrote";
        Err(Error::input(folder.path.display(), "there is no such folder", help))
    }

    /// Creates the folder if it does not exist.
    pub fn create(&self) -> Result<()> {
        create_folder(&self.path)
    }

    /// Deletes what a killed process left unfinished. No other process may be working in the folder.
    pub fn clear_unfinished(&self) -> Result<()> {
        for entry in fs::read_dir(&self.path).map_err(Error::io("list", &self.path))? {
            let entry = entry.map_err(Error::io("list", &self.path))?;
            if entry.file_name().to_string_lossy().starts_with(WRITING) {
                fs::remove_file(entry.path()).map_err(Error::io("delete", &entry.path()))?;
            }
        }
        Ok(())
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

    /// `run.log`, the output of the run's process.
    pub fn log_path(&self) -> PathBuf {
        self.path.join("run.log")
    }

    /// `checkpoint`, the folder of the run's state.
    pub fn checkpoint_path(&self) -> PathBuf {
        self.path.join("checkpoint")
    }

    /// `weights.safetensors`, the trained weights of a finished run.
    pub fn weights_path(&self) -> PathBuf {
        self.path.join("weights.safetensors")
    }

    /// Writes `machine.json`: where this run was made, which need not be where the others of its folder were.
    pub fn write_machine(&self, record: &MachineRecord) -> Result<()> {
        write_json(&self.path.join("machine.json"), record)
    }

    /// Reads `machine.json`, if it is there.
    pub fn read_machine(&self) -> Result<Option<MachineRecord>> {
        read_json(&self.path.join("machine.json"))
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

    /// Reads the classes and confidences in `predictions.csv`, without the images' names, if it is there.
    pub fn read_compact_predictions(&self) -> Result<Option<Predictions>> {
        predictions::read(&self.path.join("predictions.csv"))
    }

    /// Writes `parts.csv`.
    pub fn write_parts(&self, samples: &[PartSample]) -> Result<()> {
        write_atomic(&self.path.join("parts.csv"), &csv_text(samples))
    }

    /// Reads `parts.csv`, if it is there.
    pub fn read_parts(&self) -> Result<Option<Vec<PartSample>>> {
        read_csv(&self.path.join("parts.csv"))
    }

    /// Writes `images.png`, the pictures side by side, then `images.csv`, which lists their images.
    pub fn write_images(&self, images: &[KeptImage], png: &[u8]) -> Result<()> {
        write_atomic(&self.path.join("images.png"), png)?;
        write_atomic(&self.path.join("images.csv"), &csv_text(images))
    }

    /// Reads `images.csv` and the bytes of `images.png`, if they are there.
    pub fn read_images(&self) -> Result<Option<(Vec<KeptImage>, Vec<u8>)>> {
        let Some(images) = read_csv(&self.path.join("images.csv"))? else { return Ok(None) };
        let path = self.path.join("images.png");
        Ok(Some((images, bounded::read(&path, MAX_PICTURES).map_err(Error::io("read", &path))?)))
    }

    /// The last lines of `run.log`, at most `lines` of them and 8 kB; none if there is no log.
    pub fn log_tail(&self, lines: usize) -> Result<Vec<String>> {
        const BYTES: u64 = 8000;
        let path = self.log_path();
        let tail = || -> std::io::Result<Vec<u8>> {
            let mut file = fs::File::open(&path)?;
            let start = file.metadata()?.len().saturating_sub(BYTES);
            file.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            file.take(BYTES).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = match tail() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            tail => tail.map_err(Error::io("read", &path))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect())
    }

    /// Writes `excluded.csv`.
    pub fn write_excluded(&self, files: &[ExcludedRecord]) -> Result<()> {
        write_atomic(&self.path.join("excluded.csv"), &csv_text(files))
    }

    /// Reads `excluded.csv`, if it is there.
    pub fn read_excluded(&self) -> Result<Option<Vec<ExcludedRecord>>> {
        read_csv(&self.path.join("excluded.csv"))
    }

    /// Writes `files.csv`.
    pub fn write_files(&self, files: &[FileRecord]) -> Result<()> {
        write_atomic(&self.path.join(FILES_CSV), &csv_text(files))
    }

    /// Reads `files.csv`, if it is there.
    pub fn read_files(&self) -> Result<Option<Vec<FileRecord>>> {
        read_csv(&self.path.join(FILES_CSV))
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

    /// Deletes the `failed.json` of an earlier attempt, if it exists.
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
