//! From a TOML file to a checked [`Plan`].
//!
//! A mistake is met here, before anything is computed, and answered with file, key, value and what would be right.

pub(crate) mod data;
mod data_check;
mod edit;
mod explain;
mod matching;
mod measure;
mod plan;
mod reference;
pub(crate) mod renamed;
mod sweep;
mod timing;
mod train;

pub use data::{
    AugmentConfig, ColorJitterConfig, DataConfig, DatasetName, Interpolation, MixConfig, OnBadFile, PadAndCropConfig,
    RandAugmentConfig, RandomErasingConfig, RandomResizedCropConfig,
};
pub use measure::MeasureConfig;
pub use plan::{InitConfig, ModelConfig, Plan, RunConfig};
pub use reference::ReferenceRun;
pub use sweep::SweepConfig;
pub use timing::{StepConfig, TimedModel, TimingPlan};
pub use train::{Decay, EarlyStoppingConfig, EmaConfig, EvaluateOn, OptimizerConfig, ScheduleConfig, TrainConfig};

use std::io;
use std::path::Path;

use crate::bounded;
use crate::error::{Error, Result};

/// Stands in for the number of an image folder's classes where nobody reads its files.
const SOME_CLASSES: usize = 2;

/// Reads a config, applies `--set` assignments (`train.epochs=3`) to it, and checks all of it.
pub fn load(path: &Path, assignments: &[String]) -> Result<Plan> {
    parse(&read(path)?, &path.display().to_string(), assignments)
}

/// The plan that a results folder holds. Unlike a config, it may have been written by an earlier version, with names of that time.
pub(crate) fn load_recorded(path: &Path) -> Result<Plan> {
    checked_plan(&read(path)?, &path.display().to_string())
}

/// As [`load`], for the sizes of models alone: of a plan, or of a config that names no data.
pub fn load_timing(path: &Path, assignments: &[String]) -> Result<TimingPlan> {
    parse_timing(&read(path)?, &path.display().to_string(), assignments)
}

/// Bytes of a config at most.
pub(crate) const MAX_BYTES: u64 = 1 << 20;

fn read(path: &Path) -> Result<String> {
    let text = bounded::read(path, MAX_BYTES).and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other));
    text.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::input(
            path.display(),
            "there is no such config",
            "the configs that come with the suite are in `configs/`; `configs/quick.toml` is the one to start with",
        ),
        _ => Error::io("read", path)(error),
    })
}

/// As [`load`], from text; `place` names it in errors.
pub fn parse(text: &str, place: &str, assignments: &[String]) -> Result<Plan> {
    let text = edit::apply(text, place, assignments)?;
    renamed::refuse_old_names(&from_toml(&text, place)?, place)?;
    checked_plan(&text, place)
}

/// As [`load_timing`], from text; `place` names it in errors.
pub fn parse_timing(text: &str, place: &str, assignments: &[String]) -> Result<TimingPlan> {
    let text = edit::apply(text, place, assignments)?;
    let table: toml::Table = from_toml(&text, place)?;
    renamed::refuse_old_names(&table, place)?;
    if !table.contains_key("data") {
        return TimingPlan::parse(&text, place);
    }
    let plan = checked_plan(&text, place)?;
    plan.check_models(place, plan.data.dataset.classes().unwrap_or(SOME_CLASSES))?;
    Ok(TimingPlan::of_runs(&plan, &plan.runs()))
}

fn checked_plan(text: &str, place: &str) -> Result<Plan> {
    let plan: Plan = from_toml(text, place)?;
    plan.check(place)?;
    Ok(plan)
}

/// A combination of a sweep's values.
fn checked_plan_of(table: toml::Table, place: &str) -> Result<Plan> {
    let plan: Plan = serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let key = error.path().to_string();
        explain::toml_error(place, Some(&key), error.inner())
    })?;
    plan.check(place)?;
    Ok(plan)
}

/// The config that a run's folder holds.
pub fn load_run(path: &Path) -> Result<RunConfig> {
    from_toml(&read(path)?, &path.display().to_string())
}

fn from_toml<T: serde::de::DeserializeOwned>(text: &str, place: &str) -> Result<T> {
    let deserializer = toml::Deserializer::parse(text).map_err(|error| explain::toml_error(place, None, &error))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let key = error.path().to_string();
        explain::toml_error(place, Some(&key), error.inner())
    })
}

/// For keys that are written only where they do something.
fn is_zero(value: &f32) -> bool {
    *value == 0.0
}
