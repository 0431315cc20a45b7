//! A run's state on disk, from which it resumes as if it had never been stopped.
//!
//! ```text
//! checkpoint/EPOCHS-STEPS/   epochs completed, steps made of the next one
//!     model.safetensors      the weights of the last step
//!     average.safetensors    the EMA weights, if the recipe has them
//!     optimizer.bpk          the optimiser's state, in Burn's format
//!     epochs.csv             the completed epochs
//!     state.json             everything else
//!     SHA256SUMS             digests of the files above, as `sha256sum --check` reads them
//! ```
//!
//! It holds no state of a random generator: order, augmentation, dropout and mixing depend only on (seed, epoch, index). A checkpoint is
//! written to a hidden folder, which is renamed once everything is on disk. The last two are kept, so that a damaged one costs only
//! the steps since the one before.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind::{DirectoryNotEmpty, NotFound};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::average::WeightAverage;
use super::evaluation::Evaluation;
use super::learner::Learner;
use super::optimizer::Optimizer;
use super::position::{BatchDigest, EpochStats, Position};
use crate::architecture::{Architecture, ArchitectureConfig};
use crate::config::EmaConfig;
use crate::error::{Error, Result};
use crate::results::{EpochRecord, RunFolder, SCHEMA, WRITING, sync_folder, write_atomic};
use crate::sha256;
use crate::weights::{self, parameters};

const MODEL: &str = "model.safetensors";
const AVERAGE: &str = "average.safetensors";
const OPTIMIZER: &str = "optimizer.bpk";
const EPOCHS: &str = "epochs.csv";
const STATE: &str = "state.json";
const SUMS: &str = "SHA256SUMS";

/// Number of checkpoints that are kept.
const KEPT: usize = 2;

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    schema: u32,
    run: String,
    steps: usize,
    seen: Evaluation,
    #[serde(with = "super::bits")]
    lr: f64,
    #[serde(with = "super::bits")]
    epoch_seconds: f64,
    batch_digest: String,
    resumes: usize,
    /// Steps that the EMA weights include.
    average_steps: u64,
    /// The identities by which the optimiser knows the parameters.
    parameters: BTreeMap<String, u64>,
}

/// The checkpoints of a run.
pub(super) struct Checkpoints {
    folder: PathBuf,
    run: String,
}

/// A complete checkpoint.
pub(super) struct Checkpoint {
    folder: PathBuf,
    state: State,
    epochs: Vec<EpochRecord>,
}

impl Checkpoints {
    /// The checkpoints of `run`. No other process may be working in its folder.
    pub(super) fn of(folder: &RunFolder, run: &str) -> Self {
        Self { folder: folder.checkpoint_path(), run: run.to_owned() }
    }

    /// Writes the state of training.
    ///
    /// # Errors
    /// If a file cannot be written. Earlier checkpoints are kept.
    pub(super) fn save(&self, position: &Position, learner: &Learner, config: &ArchitectureConfig) -> Result<()> {
        let target = self.folder.join(name(position));
        if target.exists() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder).map_err(Error::io("create", &self.folder))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(WRITING);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let growing = builder.tempdir_in(&self.folder).map_err(Error::io("create a folder in", &self.folder))?;
        self.write(growing.path(), position, learner, config)?;
        fs::rename(growing.keep(), &target).map_err(Error::io("write", &target))?;
        sync_folder(&self.folder);
        let found = self.list()?;
        for older in found.iter().rev().skip(KEPT) {
            self.delete(older)?;
        }
        Ok(())
    }

    fn write(&self, to: &Path, position: &Position, learner: &Learner, config: &ArchitectureConfig) -> Result<()> {
        let mut files = vec![MODEL, OPTIMIZER, EPOCHS, STATE];
        weights::save(&to.join(MODEL), config, learner.model())?;
        if let Some(average) = learner.average() {
            weights::save(&to.join(AVERAGE), config, average.model())?;
            files.push(AVERAGE);
        }
        write_atomic(&to.join(OPTIMIZER), &learner.optimizer().to_bytes())?;
        RunFolder::open(to)?.write_epochs(&position.epochs)?;
        let ids = parameters::ids(learner.model());
        let state = State {
            schema: SCHEMA,
            run: self.run.clone(),
            steps: position.stats.steps,
            seen: position.stats.seen.clone(),
            lr: position.stats.lr,
            epoch_seconds: position.epoch_seconds,
            batch_digest: position.batches.to_hex(),
            resumes: position.resumes,
            average_steps: learner.average().map_or(0, WeightAverage::steps),
            parameters: ids.into_iter().map(|(path, id)| (path, id.val())).collect(),
        };
        write_atomic(&to.join(STATE), &serde_json::to_vec_pretty(&state).expect("names and numbers are JSON"))?;
        let mut sums = String::new();
        for file in files {
            let path = to.join(file);
            let digest = sha256::of_file(&path).map_err(Error::io("read", &path))?;
            sums.push_str(&format!("{digest}  {file}\n"));
        }
        write_atomic(&to.join(SUMS), sums.as_bytes())
    }

    /// The last complete checkpoint, if there is one. Reports damaged ones to `on_damaged` and deletes them, and deletes what a killed
    /// process left incomplete.
    pub(super) fn last(&self, on_damaged: &mut dyn FnMut(&str)) -> Result<Option<Checkpoint>> {
        self.clear(&[WRITING, DELETING])?;
        for folder in self.list()?.into_iter().rev() {
            match self.read(&folder) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(Unusable::Failed(error)) => return Err(error),
                Err(Unusable::Damaged(problem)) => {
                    on_damaged(&format!("checkpoint {} is damaged and is ignored: {problem}", folder.display()));
                    self.delete(&folder)?;
                }
            }
        }
        Ok(None)
    }

    /// Deletes all checkpoints, and their folder if nothing else is in it; called when the run is complete.
    pub(super) fn clear_all(&self) -> Result<()> {
        for folder in self.list()? {
            self.delete(&folder)?;
        }
        self.clear(&[WRITING, DELETING])?;
        match fs::remove_dir(&self.folder) {
            Err(error) if !matches!(error.kind(), NotFound | DirectoryNotEmpty) => {
                Err(Error::io("delete", &self.folder)(error))
            }
            _ => Ok(()),
        }
    }

    /// The checkpoints' folders, oldest first.
    fn list(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", &self.folder)(error)),
        };
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &self.folder))?;
            if is_name(&entry.file_name().to_string_lossy()) {
                folders.push(entry.path());
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// Renames the folder before it deletes it, so that one that is only partly deleted is not taken for a checkpoint.
    fn delete(&self, folder: &Path) -> Result<()> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let hidden = self.folder.join(format!("{DELETING}{name}"));
        fs::rename(folder, &hidden).map_err(Error::io("rename", folder))?;
        fs::remove_dir_all(&hidden).map_err(Error::io("delete", &hidden))
    }

    fn clear(&self, prefixes: &[&str]) -> Result<()> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(()) };
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &self.folder))?;
            let name = entry.file_name();
            let path = entry.path();
            if prefixes.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                let deleted = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
                deleted.map_err(Error::io("delete", &path))?;
            }
        }
        Ok(())
    }

    fn read(&self, folder: &Path) -> Result<Checkpoint, Unusable> {
        check_sums(folder)?;
        let text = fs::read(folder.join(STATE)).map_err(Unusable::of(&folder.join(STATE)))?;
        let damaged = |problem: String| Unusable::Damaged(format!("{STATE}: {problem}"));
        let state: State = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        // Complete, but from another program or run: not to be deleted.
        let foreign = |problem: String, help: &str| {
            Err(Unusable::Failed(Error::input(folder.join(STATE).display(), problem, help)))
        };
        if state.schema > SCHEMA {
            let problem = format!("schema {} is newer than this program's ({SCHEMA})", state.schema);
            return foreign(problem, "use a newer vitbench");
        }
        if state.run != self.run {
            return foreign(format!("it belongs to run {}", state.run), "move the checkpoint back to its run");
        }
        let epochs = RunFolder::open(folder).and_then(|folder| folder.read_epochs());
        let epochs = epochs.map_err(|error| Unusable::Damaged(error.to_string()))?;
        let epochs = epochs.ok_or_else(|| Unusable::Damaged(format!("{EPOCHS} is missing")))?;
        Ok(Checkpoint { folder: folder.to_owned(), state, epochs })
    }
}

/// Why a checkpoint cannot be used.
enum Unusable {
    /// Its contents are not what was written.
    Damaged(String),
    /// It cannot be read, or it belongs to another run or program.
    Failed(Error),
}

impl Unusable {
    /// A file that is missing, short or not text is damaged; a disk or network that does not respond is a failure.
    fn of(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, UnexpectedEof};
        move |error| match error.kind() {
            NotFound | UnexpectedEof | InvalidData | IsADirectory | NotADirectory => {
                let file = path.file_name().unwrap_or_default().display();
                Self::Damaged(format!("{file}: {error}"))
            }
            _ => Self::Failed(Error::io("read", path)(error)),
        }
    }
}

/// Prefix of folders that are being deleted.
const DELETING: &str = ".deleting-";

fn name(position: &Position) -> String {
    format!("{:06}-{:08}", position.epochs.len(), position.stats.steps)
}

fn is_name(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(epochs, steps)| digits(epochs) && digits(steps))
}

/// Checks the digests of all files.
fn check_sums(folder: &Path) -> Result<(), Unusable> {
    let sums = fs::read_to_string(folder.join(SUMS)).map_err(Unusable::of(&folder.join(SUMS)))?;
    for needed in [MODEL, OPTIMIZER, EPOCHS, STATE] {
        if !sums.lines().any(|line| line.ends_with(&format!("  {needed}"))) {
            return Err(Unusable::Damaged(format!("{SUMS} does not list {needed}")));
        }
    }
    for line in sums.lines() {
        let no_digest = || Unusable::Damaged(format!("{SUMS}: `{line}` has no digest"));
        let (digest, file) = line.split_once("  ").ok_or_else(no_digest)?;
        let path = folder.join(file);
        let found = sha256::of_file(&path).map_err(Unusable::of(&path))?;
        if found != digest {
            let problem = format!("{file} has changed: its SHA-256 is {found}, expected {digest}");
            return Err(Unusable::Damaged(problem));
        }
    }
    Ok(())
}

impl Checkpoint {
    /// How far training had got.
    pub(super) fn position(&self) -> Result<Position> {
        let state = &self.state;
        let batches = BatchDigest::from_hex(&state.batch_digest).map_err(|error| self.unusable(STATE, &error))?;
        Ok(Position {
            epochs: self.epochs.clone(),
            stats: EpochStats { steps: state.steps, seen: state.seen.clone(), lr: state.lr },
            epoch_seconds: state.epoch_seconds,
            batches,
            resumes: state.resumes + 1,
        })
    }

    /// `model`, made from `config`, with the weights of the last step.
    pub(super) fn model(&self, config: &ArchitectureConfig, model: Architecture) -> Result<Architecture> {
        let (model, _) = weights::load(&self.folder.join(MODEL), config, model)?;
        if !parameters::ids(&model).keys().all(|path| self.state.parameters.contains_key(path)) {
            return Err(self.unusable(STATE, &"it does not list all parameters"));
        }
        Ok(parameters::with_ids(model, &self.state.parameters))
    }

    /// The EMA weights. `model` is without autodiff and has the parameters' identities.
    pub(super) fn average(
        &self,
        ema: EmaConfig,
        config: &ArchitectureConfig,
        model: Architecture,
    ) -> Result<WeightAverage> {
        let (model, _) = weights::load(&self.folder.join(AVERAGE), config, model)?;
        Ok(WeightAverage::restored(ema, model, self.state.average_steps))
    }

    /// `optimizer`, made for the model of [`model`](Self::model), with its state.
    pub(super) fn optimizer(&self, optimizer: Optimizer) -> Result<Optimizer> {
        let path = self.folder.join(OPTIMIZER);
        let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
        optimizer.with_bytes(bytes).map_err(|error| self.unusable(OPTIMIZER, &error))
    }

    fn unusable(&self, file: &str, problem: &dyn ToString) -> Error {
        let path = self.folder.join(file);
        Error::input(
            path.display(),
            problem.to_string(),
            "delete the checkpoint's folder; the run resumes from an earlier one",
        )
    }
}
