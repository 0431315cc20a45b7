//! A plan: the runs of a config.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{DataConfig, EvaluateOn, MeasureConfig, ReferenceRun, SweepConfig, TrainConfig};
use crate::architecture::ArchitectureConfig;
use crate::device::DeviceName;
use crate::error::{Error, Result};

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
    /// Greatest time between two checkpoints of a run, in minutes; there is one after every epoch as well. No part of any run.
    #[serde(default = "default_checkpoint_minutes", skip_serializing_if = "is_default_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// What differs from run to run, besides model and seed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sweep: Option<SweepConfig>,
    /// What others reported of these models; no part of any run.
    #[serde(default, alias = "published", skip_serializing_if = "Vec::is_empty")]
    pub reference: Vec<ReferenceRun>,
    /// Classes of an image folder, once somebody has read it: sizes that are matched depend on them.
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

/// A `[[model]]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table", into = "toml::Table")]
pub struct ModelConfig {
    /// Its name in tables and plots; unique in a plan.
    pub name: String,
    /// Images that a lane takes at a time; absent: chosen from the model's sizes. No part of the model's function.
    pub micro_batch: Option<usize>,
    /// Weights to start from; absent: fresh ones of the run's seed.
    pub init: Option<InitConfig>,
    /// Architecture and sizes.
    pub architecture: ArchitectureConfig,
}

/// A file of weights: the keys `init` and `init_blake3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitConfig {
    /// A safetensors file, from the config's folder or the working directory.
    pub path: PathBuf,
    /// The file's BLAKE3 digest in hexadecimal, which is part of a run's identity; noted when a plan is first run.
    pub blake3: Option<String>,
}

/// One run: one model, one seed, one recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// Where to compute.
    pub device: DeviceName,
    /// Which images.
    pub data: DataConfig,
    /// The recipe.
    pub train: TrainConfig,
    /// What is timed after training.
    pub measure: MeasureConfig,
    /// The model.
    pub model: ModelConfig,
}

impl Plan {
    /// The runs, seed by seed, so that every model has a result early. Each has its model's name to itself among those of a seed: a
    /// sweep adds what differs to the names of its models.
    pub fn runs(&self) -> Vec<RunConfig> {
        match &self.sweep {
            None => self.seeds.iter().flat_map(|seed| self.models.iter().map(move |m| self.run(*seed, m))).collect(),
            Some(sweep) => sweep.expand(self, "the plan").expect("the sweep was checked when the plan was read"),
        }
    }

    /// A run of this plan's data and recipe.
    pub(super) fn run(&self, seed: u64, model: &ModelConfig) -> RunConfig {
        RunConfig {
            seed,
            device: self.device,
            data: self.data.clone(),
            train: self.train.clone(),
            measure: self.measure.clone(),
            model: model.clone(),
        }
    }

    /// Names of the models of all runs, in the plan's order.
    pub fn model_names(&self) -> Vec<String> {
        match &self.sweep {
            None => self.models.iter().map(|model| model.name.clone()).collect(),
            Some(_) => names_of(self.runs()),
        }
    }

    /// What can be known without the images; sizes are checked against them by
    /// [`check_models`](Self::check_models).
    pub(super) fn check(&self, place: &str) -> Result<()> {
        let wrong = |key: &str, problem: &str, help: &str| Err(Error::input(format!("{place}: {key}"), problem, help));
        if self.checkpoint_minutes.is_nan() || self.checkpoint_minutes <= 0.0 {
            let problem = format!("{} is no time between two checkpoints", self.checkpoint_minutes);
            return wrong("checkpoint_minutes", &problem, "give a positive number of minutes");
        }
        let names = match &self.sweep {
            // Each combination is checked for itself; the rest of the config alone need not make a plan.
            Some(sweep) => names_of(sweep.expand(self, place)?),
            None => {
                self.check_runs(place)?;
                self.model_names()
            }
        };
        for (index, reference) in self.reference.iter().enumerate() {
            reference.check(place, index, &names)?;
        }
        Ok(())
    }

    fn check_runs(&self, place: &str) -> Result<()> {
        let wrong = |key: &str, problem: &str, help: &str| Err(Error::input(format!("{place}: {key}"), problem, help));
        self.data.check().map_err(|error| error.within(place))?;
        self.train.check(place)?;
        self.measure.check(place)?;
        if self.models.is_empty() {
            return wrong("model", "there is no model to train", "add a `[[model]]` table");
        }
        if self.seeds.is_empty() {
            return wrong("seeds", "there is no seed to train with", "write `seeds = [0]`");
        }
        if let Some(seed) = first_repeated(&self.seeds) {
            return wrong("seeds", &format!("{seed} stands twice"), "name every seed once");
        }
        if let Some(name) = first_repeated(&self.model_names()) {
            return wrong("model", &format!("two models are named `{name}`"), "give each a `name` of its own");
        }
        match (self.train.evaluate_on, self.data.val_fraction > 0.0) {
            (EvaluateOn::Val, false) => {
                return wrong(
                    "data.val_fraction",
                    "0 leaves no validation split to evaluate the epochs on",
                    "set aside a share, such as 0.1; or say `train.evaluate_on = \"test\"`, as some published runs do",
                );
            }
            (EvaluateOn::Test, true) => {
                return wrong(
                    "train.evaluate_on",
                    "the test set is asked for while images are set aside for validation",
                    "leave out `evaluate_on`, or train on those images as well: `data.val_fraction = 0.0`",
                );
            }
            _ => {}
        }
        self.check_models(place, 2)
    }

    /// Errs if a model's sizes fit no model of these images. `classes` is the dataset's number of classes.
    pub fn check_models(&self, place: &str, classes: usize) -> Result<()> {
        if self.sweep.is_some() {
            // Every combination was checked when the config was read, and its models alone need not be sound.
            return Ok(());
        }
        for (index, model) in self.models.iter().enumerate() {
            let architecture = model.architecture.for_images(self.data.image_size, classes);
            ModelConfig { architecture, ..model.clone() }.check(place, index)?;
        }
        Ok(())
    }
}

/// The names of the runs' models, each once.
fn names_of(runs: Vec<RunConfig>) -> Vec<String> {
    let mut seen = HashSet::new();
    let names = runs.into_iter().map(|run| run.model.name);
    names.filter(|name| seen.insert(name.clone())).collect()
}

pub(super) fn first_repeated<T: std::hash::Hash + Eq>(values: &[T]) -> Option<&T> {
    let mut seen = HashSet::new();
    values.iter().find(|value| !seen.insert(*value))
}

/// Takes a key that all architectures share out of a `[[model]]` table.
pub(super) fn take<T: serde::de::DeserializeOwned>(table: &mut toml::Table, key: &str) -> Result<Option<T>, String> {
    let value = table.remove(key).map(toml::Value::try_into::<T>).transpose();
    value.map_err(|error| format!("{key}: {}", error.message()))
}

impl ModelConfig {
    /// Says what is wrong with the sizes, if anything; the model is the `index`th of the config at `place`.
    pub(super) fn check(&self, place: &str, index: usize) -> Result<()> {
        self.architecture.check().map_err(|invalid| {
            let place = format!("{place}: model.{index} (`{}`): {}", self.name, invalid.key);
            Error::input(place, invalid.problem, invalid.remedy)
        })
    }
}

impl TryFrom<toml::Table> for ModelConfig {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let name: Option<String> = take(&mut table, "name")?;
        let micro_batch = take(&mut table, "micro_batch")?;
        if micro_batch == Some(0) {
            return Err("micro_batch: 0 is too small; take 1 or more".into());
        }
        let init = match (take(&mut table, "init")?, take(&mut table, "init_blake3")?) {
            (Some(path), blake3) => Some(InitConfig { path, blake3 }),
            (None, None) => None,
            (None, Some(_)) => return Err("init_blake3: a digest without `init`; name the file as well".into()),
        };
        let text = |error: toml::de::Error| error.message().to_owned();
        let architecture: ArchitectureConfig = table.try_into().map_err(text)?;
        let name = name.unwrap_or_else(|| architecture.kind().to_owned());
        if name.trim().is_empty() {
            return Err("name: must not be empty".into());
        }
        Ok(Self { name, micro_batch, init, architecture })
    }
}

impl From<ModelConfig> for toml::Table {
    fn from(model: ModelConfig) -> Self {
        let mut table = toml::Table::new();
        table.insert("name".into(), model.name.into());
        if let Some(micro_batch) = model.micro_batch {
            table.insert("micro_batch".into(), toml::Value::Integer(micro_batch as i64));
        }
        if let Some(init) = model.init {
            table.insert("init".into(), init.path.to_string_lossy().into_owned().into());
            table.extend(init.blake3.map(|digest| ("init_blake3".to_owned(), digest.into())));
        }
        let sizes = toml::Table::try_from(model.architecture).expect("an architecture's sizes are a TOML table");
        table.extend(sizes);
        table
    }
}
