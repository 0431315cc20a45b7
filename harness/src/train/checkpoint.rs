//! A run's state on disk, from which it goes on as if it had never been stopped.
//!
//! ```text
//! checkpoint/EPOCHS-STEPS/   epochs completed, steps made of the next one
//!     model.safetensors      the weights of the last step
//!     average.safetensors    the mean weights, where the recipe averages
//!     optimizer.bpk          what the optimiser remembers, in Burn's format
//!     epochs.csv             the completed epochs
//!     state.json             everything else
//!     SHA256SUMS             digests of the files above, as `sha256sum --check` reads them
//! ```
//!
//! Nothing random is in it: order, augmentation, dropout and mixing are drawn from (seed, epoch, index). A checkpoint grows in a hidden
//! folder and gets its name in one step when all of it is on disk. The last two are kept, so that a damaged one costs no more than the
//! steps since the one before.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::average::WeightAverage;
use super::epoch::EpochStats;
use super::evaluate::Evaluation;
use super::learner::Learner;
use super::optimizer::Optimizer;
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

/// Checkpoints that are kept.
const KEPT: usize = 2;

/// How far training has come.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Position {
    /// The epochs that are trained and evaluated.
    pub epochs: Vec<EpochRecord>,
    /// What the next epoch has seen so far.
    pub stats: EpochStats,
    /// Seconds that its steps took.
    pub epoch_seconds: f64,
    /// Digest of all training batches so far.
    pub batches: BatchDigest,
    /// How often the run was taken up again.
    pub resumes: usize,
}

/// A digest that grows batch by batch and whose state is as short as itself: that of the digest so far and the batch's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchDigest(blake3::Hash);

impl Default for BatchDigest {
    fn default() -> Self {
        Self(blake3::hash(b""))
    }
}

impl BatchDigest {
    /// Takes in a batch.
    pub(super) fn update<'a>(&mut self, images: impl IntoIterator<Item = &'a [u8]>) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.0.as_bytes());
        for image in images {
            hasher.update(image);
        }
        self.0 = hasher.finalize();
    }

    /// In hexadecimal.
    pub(super) fn to_hex(&self) -> String {
        self.0.to_hex().to_string()
    }
}

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    schema: u32,
    run: String,
    steps: usize,
    seen: Evaluation,
    #[serde(with = "bits")]
    lr: f64,
    #[serde(with = "bits")]
    epoch_seconds: f64,
    batch_digest: String,
    resumes: usize,
    /// Steps that the average of the weights has taken in.
    average_steps: u64,
    /// What the optimiser knows the parameters by.
    parameters: BTreeMap<String, u64>,
}

/// Numbers as their bits: what is read is what was written.
pub(super) mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(in crate::train) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.to_bits())
    }

    pub(in crate::train) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        u64::deserialize(deserializer).map(f64::from_bits)
    }
}

/// The checkpoints of a run.
pub(super) struct Checkpoints {
    folder: PathBuf,
    run: String,
}

/// A checkpoint that was found whole.
pub(super) struct Checkpoint {
    folder: PathBuf,
    state: State,
    epochs: Vec<EpochRecord>,
}

impl Checkpoints {
    /// Those of `run`, whose folder this process alone works in.
    pub(super) fn of(folder: &RunFolder, run: &str) -> Self {
        Self { folder: folder.checkpoint_path(), run: run.to_owned() }
    }

    /// Writes the state of training.
    ///
    /// # Errors
    /// If a file cannot be written; the checkpoints before are kept then.
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
        let places = parameters::places(learner.model());
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
            parameters: places.into_iter().map(|place| (place.path, place.id.val())).collect(),
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

    /// The last whole checkpoint, if there is one. Damaged ones are told to `on_damaged` and taken away, and so is what a process
    /// that was killed left half written.
    pub(super) fn last(&self, on_damaged: &mut dyn FnMut(&str)) -> Result<Option<Checkpoint>> {
        self.clear(&[WRITING, DELETING])?;
        for folder in self.list()?.into_iter().rev() {
            match self.read(&folder) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(Unusable::Failed(error)) => return Err(error),
                Err(Unusable::Damaged(problem)) => {
                    on_damaged(&format!("checkpoint {} is damaged and left out: {problem}", folder.display()));
                    self.delete(&folder)?;
                }
            }
        }
        Ok(None)
    }

    /// Deletes all checkpoints, when the run is complete.
    pub(super) fn clear_all(&self) -> Result<()> {
        for folder in self.list()? {
            self.delete(&folder)?;
        }
        self.clear(&[WRITING, DELETING])
    }

    /// Folders of checkpoints, from the first to the last.
    fn list(&self) -> Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
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

    /// Takes the name away first: what is half deleted is no checkpoint.
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
        // Whole, and not for this program or run: nothing to delete.
        let foreign = |problem: String, help: &str| {
            Err(Unusable::Failed(Error::input(folder.join(STATE).display(), problem, help)))
        };
        if state.schema > SCHEMA {
            let problem = format!("schema {} is newer than this program's ({SCHEMA})", state.schema);
            return foreign(problem, "use a newer vitbench");
        }
        if state.run != self.run {
            return foreign(format!("it is of run {}", state.run), "put the checkpoint back to its run");
        }
        let epochs = RunFolder::open(folder).and_then(|folder| folder.read_epochs());
        let epochs = epochs.map_err(|error| Unusable::Damaged(error.to_string()))?;
        let epochs = epochs.ok_or_else(|| Unusable::Damaged(format!("{EPOCHS} is not there")))?;
        Ok(Checkpoint { folder: folder.to_owned(), state, epochs })
    }
}

/// Why a checkpoint cannot be used.
enum Unusable {
    /// It is not what was written.
    Damaged(String),
    /// Whether it is cannot be told, or it is somebody else's.
    Failed(Error),
}

impl Unusable {
    /// A file that is absent, short or no text is damage; a disk or network that does not answer is none.
    fn of(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        use std::io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound, UnexpectedEof};
        move |error| match error.kind() {
            NotFound | UnexpectedEof | InvalidData | IsADirectory | NotADirectory => {
                let file = path.file_name().unwrap_or_default().display();
                Self::Damaged(format!("{file}: {error}"))
            }
            _ => Self::Failed(Error::io("read", path)(error)),
        }
    }
}

/// How folders are named that are on their way out.
const DELETING: &str = ".deleting-";

fn name(position: &Position) -> String {
    format!("{:06}-{:08}", position.epochs.len(), position.stats.steps)
}

fn is_name(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(epochs, steps)| digits(epochs) && digits(steps))
}

/// Says which file is not what it was, if any.
fn check_sums(folder: &Path) -> Result<(), Unusable> {
    let sums = fs::read_to_string(folder.join(SUMS)).map_err(Unusable::of(&folder.join(SUMS)))?;
    for needed in [MODEL, OPTIMIZER, EPOCHS, STATE] {
        if !sums.lines().any(|line| line.ends_with(&format!("  {needed}"))) {
            return Err(Unusable::Damaged(format!("{SUMS} does not name {needed}")));
        }
    }
    for line in sums.lines() {
        let no_digest = || Unusable::Damaged(format!("{SUMS}: no digest in `{line}`"));
        let (digest, file) = line.split_once("  ").ok_or_else(no_digest)?;
        let path = folder.join(file);
        let found = sha256::of_file(&path).map_err(Unusable::of(&path))?;
        if found != digest {
            let problem = format!("{file} is not what was written: its SHA-256 is {found} instead of {digest}");
            return Err(Unusable::Damaged(problem));
        }
    }
    Ok(())
}

impl Checkpoint {
    /// How far training had come.
    pub(super) fn position(&self) -> Result<Position> {
        let state = &self.state;
        let batches = blake3::Hash::from_hex(&state.batch_digest).map_err(|error| self.unusable(STATE, &error))?;
        Ok(Position {
            epochs: self.epochs.clone(),
            stats: EpochStats { steps: state.steps, seen: state.seen.clone(), lr: state.lr },
            epoch_seconds: state.epoch_seconds,
            batches: BatchDigest(batches),
            resumes: state.resumes + 1,
        })
    }

    /// `model`, made of `config`, with the weights of the last step.
    pub(super) fn model(&self, config: &ArchitectureConfig, model: Architecture) -> Result<Architecture> {
        let (model, _) = weights::load(&self.folder.join(MODEL), config, model)?;
        let known = |place: parameters::ParameterPlace| self.state.parameters.contains_key(&place.path);
        if !parameters::places(&model).into_iter().all(known) {
            return Err(self.unusable(STATE, &"it does not name all parameters"));
        }
        Ok(parameters::with_ids(model, &self.state.parameters))
    }

    /// The average of the weights. `model` is without autodiff and has the parameters' identities.
    pub(super) fn average(
        &self,
        ema: EmaConfig,
        config: &ArchitectureConfig,
        model: Architecture,
    ) -> Result<WeightAverage> {
        let (model, _) = weights::load(&self.folder.join(AVERAGE), config, model)?;
        Ok(WeightAverage::restored(ema, model, self.state.average_steps))
    }

    /// `optimizer`, made for the model of [`model`](Self::model), with what it remembered.
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
            "delete the checkpoint's folder; the run goes on from an earlier one",
        )
    }
}
