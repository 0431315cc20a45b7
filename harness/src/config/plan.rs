//! A plan: the runs of a config.

use std::collections::HashSet;

use layers::Precision;
use serde::{Deserialize, Serialize};

use super::data::DataConfig;
use super::measure::MeasureConfig;
use super::model::ModelConfig;
use super::reference::ReferenceRun;
use super::report::ReportConfig;
use super::sweep::SweepConfig;
use super::train::{EvaluateOn, ReadTest, TrainConfig};
use crate::device::DeviceName;
use crate::error::{Error, Result};

/// Stands in for the number of classes of an image folder whose files have not been read.
pub(super) const SOME_CLASSES: usize = 2;

/// A config file: what all runs share, the models, and the seeds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Seeds of weights, order and augmentation; every model is trained once with each.
    #[serde(default = "default_seeds")]
    pub seeds: Vec<u64>,
    /// Where to compute; `--device` overrides it.
    #[serde(default)]
    pub device: DeviceName,
    /// The numbers that matrix products multiply. Left out of resolved configs in f32, so that runs keep their names.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub precision: Precision,
    /// Which images.
    pub data: DataConfig,
    /// The recipe.
    pub train: TrainConfig,
    /// What is timed after training.
    #[serde(default)]
    pub measure: MeasureConfig,
    /// The models that are compared.
    #[serde(rename = "model")]
    pub models: Vec<ModelConfig>,
    /// Maximum time between two checkpoints of a run, in minutes. There is one after every epoch as well. Not part of a run's identity.
    #[serde(default = "default_checkpoint_minutes", skip_serializing_if = "is_default_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// What varies between runs, besides model and seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepConfig>,
    /// Results that others reported for these models. Not part of a run's identity.
    #[serde(default, alias = "published", skip_serializing_if = "Vec::is_empty")]
    pub reference: Vec<ReferenceRun>,
    /// What the report needs for a verdict. Not part of a run's identity.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub report: ReportConfig,
    /// Number of classes of an image folder, once it has been read. Matched sizes depend on it.
    #[serde(skip)]
    pub classes: Option<usize>,
}

fn default_seeds() -> Vec<u64> {
    vec![0]
}

fn default_checkpoint_minutes() -> f64 {
    10.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
#[allow(clippy::float_cmp, reason = "what is written is the default or something else")]
fn is_default_checkpoint_minutes(minutes: &f64) -> bool {
    *minutes == default_checkpoint_minutes()
}

/// One run: one model, one seed, one recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// Where to compute.
    pub device: DeviceName,
    /// The numbers that matrix products multiply.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub precision: Precision,
    /// Which images.
    pub data: DataConfig,
    /// The recipe.
    pub train: TrainConfig,
    /// What is timed after training.
    pub measure: MeasureConfig,
    /// The model.
    pub model: ModelConfig,
}

impl RunConfig {
    /// The config as its folder keeps it.
    pub fn kept(&self) -> Self {
        Self { data: self.data.kept(), ..self.clone() }
    }

    /// Digest of the config, the same for all seeds.
    pub fn digest_without_seed(&self) -> String {
        let text = toml::to_string(&Self { seed: 0, ..self.kept() }).expect("a run's config is TOML");
        blake3::hash(text.as_bytes()).to_hex()[..10].to_owned()
    }

    /// How often a run of that many epochs reads the test set.
    pub fn test_reads(&self, epochs: usize) -> u32 {
        let by_epochs = if self.train.evaluate_on == EvaluateOn::Test { epochs } else { 0 };
        let at_end = usize::from(self.train.test == ReadTest::AtEnd);
        u32::try_from(by_epochs + at_end).unwrap_or(u32::MAX)
    }
}

impl Plan {
    /// The plan as a results folder keeps it.
    pub fn kept(&self) -> Self {
        Self { data: self.data.kept(), ..self.clone() }
    }

    /// A run of this plan's data and recipe.
    pub(super) fn run(&self, seed: u64, model: &ModelConfig) -> RunConfig {
        RunConfig {
            seed,
            device: self.device,
            precision: self.precision,
            data: self.data.clone(),
            train: self.train.clone(),
            measure: self.measure.clone(),
            model: model.clone(),
        }
    }

    /// Checks a plan without a sweep, as far as that is possible without the images.
    pub(super) fn check_runs(&self, place: &str) -> Result<()> {
        let wrong = |key: &str, problem: &str, help: &str| Err(Error::input(format!("{place}: {key}"), problem, help));
        self.data.check().map_err(|error| error.within(place))?;
        self.train.check(place)?;
        self.measure.check(place)?;
        self.report.check(place)?;
        if self.models.is_empty() {
            return wrong("model", "there is no model to train", "add a `[[model]]` table");
        }
        if self.seeds.is_empty() {
            return wrong("seeds", "there is no seed to train with", "write `seeds = [0]`");
        }
        if let Some(seed) = first_repeated(&self.seeds) {
            return wrong("seeds", &format!("lists {seed} twice"), "list each seed once");
        }
        let names: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
        if let Some(name) = first_repeated(&names) {
            return wrong("model", &format!("two models are named `{name}`"), "give each a `name` of its own");
        }
        match (self.train.evaluate_on, self.data.val_fraction > 0.0) {
            (EvaluateOn::Val, false) => {
                return wrong(
                    "data.val_fraction",
                    "is 0, which leaves no validation split to evaluate the epochs on",
                    "set it to a fraction such as 0.1, or set `train.evaluate_on = \"test\"`, as some published runs do",
                );
            }
            (EvaluateOn::Test, true) => {
                return wrong(
                    "train.evaluate_on",
                    "is \"test\", but `data.val_fraction` sets aside images for validation",
                    "remove `evaluate_on`, or set `data.val_fraction = 0.0` to train on those images as well",
                );
            }
            _ => {}
        }
        self.check_models(place, 2)
    }

    /// Errs if a model's sizes are invalid for these images. `classes` is the dataset's number of classes.
    pub fn check_models(&self, place: &str, classes: usize) -> Result<()> {
        if self.sweep.is_some() {
            // Every combination was checked when the config was read. The models without the sweep need not be valid.
            return Ok(());
        }
        for (index, model) in self.models.iter().enumerate() {
            let architecture = model.architecture.for_images(self.data.image_size, classes);
            let model = ModelConfig { architecture, ..model.clone() };
            model.check(place, index, self.train.gradient_checkpointing)?;
        }
        Ok(())
    }
}

pub(super) fn first_repeated<T: std::hash::Hash + Eq>(values: &[T]) -> Option<&T> {
    let mut seen = HashSet::new();
    values.iter().find(|value| !seen.insert(*value))
}
