//! What a run writes to disk: a folder of its own, from which every table and plot is made.
//!
//! ```text
//! runs/RUN_ID/config.toml      the run's resolved config
//!             machine.json     a `MachineRecord`: where the run was made
//!             epochs.csv       an `EpochRecord` per epoch
//!             timing.csv       a `TimingSample` per timed step
//!             parts.csv        a `PartSample` per timed part of a training step
//!             predictions.csv  a `PredictionRecord` per test image
//!             images.csv       a `KeptImage` per picture in `images.png`, if the run kept any
//!             images.png       the pictures, side by side
//!             files.csv        a `FileRecord` per file of an image folder
//!             excluded.csv     an `ExcludedRecord` per file left out of the data, if there are any
//!             run.log          the output of the run's process, with the time
//!             checkpoint/      the trained weights; until the run is complete, its state
//!             done.json        a `RunRecord`, written last; its presence means that the run is complete
//!             failed.json      a `FailureRecord` instead, if the run failed
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::model_size::ModelSizeRecord;

/// Version of every record below; a reader refuses a greater one. Version 2 has `non_ema_` where version 1 had `raw_`, and
/// multiply-accumulates by the parts that a model names.
pub const SCHEMA: u32 = 2;

/// `machine.json`: where the runs of a folder were made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the program, and the git revision it was built from where known.
    pub version: String,
    /// The command line, program name first.
    pub command: String,
    /// Brand of the CPU.
    pub cpu: String,
    /// Logical CPUs.
    pub cpu_cores: usize,
    /// Physical memory.
    pub memory_bytes: u64,
    /// Operating system with its version.
    pub os: String,
    /// Name of Burn's device: `flex`, `ndarray`, `cuda`, ...
    pub device: String,
    /// Worker threads (lanes) of training and inference.
    pub threads: usize,
    /// When the plan was started, RFC 3339.
    pub started: String,
    /// More about processor, system and program, as far as it is known.
    #[serde(default)]
    pub details: MachineDetails,
}

/// What two machines of one brand of CPU may differ in. Empty in older records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineDetails {
    /// Family of the CPU.
    pub cpu_family: Option<String>,
    /// Its model.
    pub cpu_model: Option<String>,
    /// Its stepping.
    pub cpu_stepping: Option<String>,
    /// Instruction sets and other features, separated by spaces.
    pub cpu_flags: Option<String>,
    /// Version of its microcode.
    pub microcode: Option<String>,
    /// The virtual machine's vendor, if the system runs in one.
    pub hypervisor: Option<String>,
    /// Version of the kernel.
    pub kernel: Option<String>,
    /// The compiler that built the program.
    pub rustc: Option<String>,
    /// The program's allocator.
    pub allocator: Option<String>,
}

impl MachineDetails {
    /// Family and model of the CPU, if they are known.
    pub fn cpu_kind(&self) -> Option<String> {
        Some(format!("family {}, model {}", self.cpu_family.as_ref()?, self.cpu_model.as_ref()?))
    }
}

/// Identifies a run and its model; part of `done.json` and `failed.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Name of the run's folder.
    pub run: String,
    /// The model's name in the plan.
    pub model: String,
    /// The architecture's name, such as `vit`.
    pub architecture: String,
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// Digest of data and split.
    pub data_fingerprint: String,
    /// Version of the program that made the run.
    pub version: String,
    /// Burn's device.
    pub device: String,
    /// Type of the numbers that training computes in.
    pub precision: String,
    /// Worker threads.
    pub threads: usize,
    /// Version of what training computes; 1 in older records.
    #[serde(default = "one_numerics")]
    pub numerics: u32,
    /// Digest of the recipe: training and augmentation. Empty in older records.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub recipe: String,
}

/// `done.json`: a completed run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Which run.
    #[serde(flatten)]
    pub identity: RunIdentity,
    /// The model's size.
    pub model_size: ModelSizeRecord,
    /// Images of an epoch.
    pub train_images: usize,
    /// Images of the validation split; 0 if the epochs were evaluated on the test set.
    pub val_images: usize,
    /// Images of the test set.
    pub test_images: usize,
    /// Number of classes.
    pub classes: usize,
    /// Their names; none in older records.
    #[serde(default)]
    pub class_names: Vec<String>,
    /// Mean cross-entropy on the test set after the last epoch, in nats.
    /// `None` if it is not finite, or if the test set was not read.
    pub test_loss: Option<f64>,
    /// Test accuracy: the fraction of images whose likeliest class is correct.
    /// `None` if the test set was not read.
    pub test_top1: Option<f64>,
    /// Fraction of test images whose class is among the five likeliest; absent below six classes.
    pub test_top5: Option<f64>,
    /// `test_loss` of the weights after the last step, where the model is the EMA of the weights; absent where it is not.
    #[serde(default, alias = "raw_test_loss")]
    pub non_ema_test_loss: Option<f64>,
    /// `test_top1` of those weights.
    #[serde(default, alias = "raw_test_top1")]
    pub non_ema_test_top1: Option<f64>,
    /// Time of all training epochs, without evaluation.
    pub train_seconds: f64,
    /// Time of all evaluations.
    pub eval_seconds: f64,
    /// Time from the run's beginning to its first training step: images read, model made. Absent in older records.
    #[serde(default)]
    pub start_seconds: Option<f64>,
    /// Time of the first training step, part of `train_seconds`: fresh memory, and kernels that a GPU compiles and tries out.
    #[serde(default)]
    pub first_step_seconds: Option<f64>,
    /// Peak resident memory of the run's process until training ended; absent if the system does not report it.
    pub train_peak_rss_bytes: Option<u64>,
    /// Images that a lane takes at a time.
    pub micro_batch: usize,
    /// The machine's rate of matrix products with as many threads, measured after training, in GFLOP/s; absent in older
    /// records.
    #[serde(default)]
    pub peak_gflop_per_s: Option<f64>,
    /// Digest of all training batches, pixels and labels, in order: equal digests mean identical training data.
    pub batch_digest: String,
    /// How often the run was interrupted and resumed.
    #[serde(default)]
    pub resumes: usize,
    /// Number of runs that trained at once. With more than one, training times are not those of a run with the machine to itself. Timing
    /// after training always has exclusive access.
    #[serde(default = "one")]
    pub jobs: usize,
}

fn one() -> usize {
    1
}

fn one_numerics() -> u32 {
    1
}

/// `failed.json`: a run that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureRecord {
    /// Which run.
    #[serde(flatten)]
    pub identity: RunIdentity,
    /// The kind of failure.
    pub reason: FailureReason,
    /// What happened, for a reader.
    pub message: String,
    /// Epoch in which it happened, from 1; 0 before the first.
    pub epoch: usize,
}

/// Why a run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The loss or a gradient was not a finite number.
    Diverged,
    /// The process ended without a result: a panic, a signal.
    Crashed,
    /// The process needed more memory than its limit, or than the machine has.
    OutOfMemory,
    /// The process took longer than its limit.
    OutOfTime,
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Diverged => "diverged",
            Self::Crashed => "crashed",
            Self::OutOfMemory => "out of memory",
            Self::OutOfTime => "out of time",
        })
    }
}

/// A row of `epochs.csv`. Means over an epoch weigh every image equally.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Learning rate of the epoch's last step.
    pub lr: f64,
    /// Running loss over the augmented training images: mean cross-entropy in nats, against the image's class or, of two that are
    /// mixed, the class of the larger part.
    pub train_loss: f64,
    /// Fraction of them that were classified correctly.
    pub train_top1: f64,
    /// The split of the next three columns: `val` or `test`.
    #[serde(deserialize_with = "split")]
    pub split: String,
    /// Mean cross-entropy after the epoch, in nats.
    pub eval_loss: f64,
    /// Fraction of images classified correctly.
    pub eval_top1: f64,
    /// Fraction of images whose class is among the five likeliest; empty below six classes.
    pub eval_top5: Option<f64>,
    /// `eval_loss` of the weights after the epoch's last step, where the model is the EMA of the weights; empty where it is not.
    #[serde(default, alias = "raw_eval_loss")]
    pub non_ema_eval_loss: Option<f64>,
    /// `eval_top1` of those weights.
    #[serde(default, alias = "raw_eval_top1")]
    pub non_ema_eval_top1: Option<f64>,
    /// Time of the epoch's training steps, data preparation included.
    pub train_seconds: f64,
    /// Time of the evaluation.
    pub eval_seconds: f64,
    /// Training images over `train_seconds`.
    pub train_images_per_s: f64,
}

impl EpochRecord {
    /// The first of the epochs with the greatest accuracy.
    pub fn best(epochs: &[Self]) -> Option<&Self> {
        let known = epochs.iter().filter(|epoch| !epoch.eval_top1.is_nan());
        known.reduce(|best, epoch| if epoch.eval_top1 > best.eval_top1 { epoch } else { best })
    }
}

/// A row of `images.csv`: a test image whose picture the run kept. The rows are in the order of the pictures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptImage {
    /// The image's row in `predictions.csv`, from 0.
    pub position: usize,
    /// Its name in the dataset.
    #[serde(with = "super::cells")]
    pub image: String,
}

/// A row of `excluded.csv`: a file that could not be decoded and was left out of the data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedRecord {
    /// Its path within the dataset's folder.
    #[serde(with = "super::cells")]
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A row of `files.csv`: a file of an image folder that the run used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRecord {
    /// Its path within the dataset's folder.
    #[serde(with = "super::cells")]
    pub path: String,
    /// Its class.
    #[serde(with = "super::cells")]
    pub class: String,
    /// `train`, `val` or `test`.
    pub split: String,
    /// BLAKE3 digest of its content.
    pub blake3: String,
}

/// A row of `predictions.csv`: the prediction for one test image after the last epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictionRecord {
    /// The image's name in the dataset.
    #[serde(with = "super::cells")]
    pub image: String,
    /// Its class.
    pub label: usize,
    /// The likeliest class.
    pub predicted: usize,
    /// Probability given to `predicted`.
    pub predicted_probability: f32,
    /// Probability given to `label`.
    pub label_probability: f32,
    /// The likeliest five classes (all of fewer), likeliest first, with spaces between them; empty in older records.
    #[serde(default)]
    pub top5: Spaced<usize>,
    /// Their probabilities.
    #[serde(default)]
    pub top5_probabilities: Spaced<f32>,
}

/// Several values in one cell, with spaces between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Spaced<T>(pub Vec<T>);

impl<T> Default for Spaced<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: fmt::Display> Serialize for Spaced<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values: Vec<String> = self.0.iter().map(T::to_string).collect();
        serializer.serialize_str(&values.join(" "))
    }
}

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Spaced<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let values = text.split_ascii_whitespace().map(|value| value.parse().map_err(serde::de::Error::custom));
        values.collect::<Result<_, _>>().map(Self)
    }
}

/// Text that is shown and written elsewhere as it is.
fn split<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.as_str() {
        "val" | "test" => Ok(text),
        _ => Err(serde::de::Error::custom(format!("`{text}` is not a split; use `val` or `test`"))),
    }
}
