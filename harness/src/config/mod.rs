//! From a TOML file to a checked [`Plan`].
//!
//! Mistakes are found here, before anything is computed, and reported with file, key, value and what would be right.

pub(crate) mod data;
mod data_check;
mod edit;
mod expansion;
mod explain;
mod matching;
mod measure;
mod model;
mod optimizer;
mod plan;
mod reference;
pub(crate) mod renamed;
mod report;
mod schedule;
mod sweep;
mod timing;
mod train;

pub use data::{
    AugmentConfig, ColorJitterConfig, DataConfig, DatasetName, Interpolation, MixConfig, OnBadFile, PadAndCropConfig,
    RandAugmentConfig, RandomErasingConfig, RandomResizedCropConfig,
};
pub use measure::MeasureConfig;
pub use model::{InitConfig, ModelConfig};
pub use optimizer::OptimizerConfig;
pub use plan::{Plan, RunConfig};
pub use reference::ReferenceRun;
pub use report::ReportConfig;
pub use schedule::ScheduleConfig;
pub use sweep::SweepConfig;
pub use timing::{StepConfig, TimedModel, TimingPlan};
pub use train::{Decay, EarlyStoppingConfig, EmaConfig, EvaluateOn, ReadTest, TrainConfig};

use std::io;
use std::path::Path;

use crate::bounded;
use crate::error::{Error, Result};
use plan::SOME_CLASSES;

/// Reads a config, applies `--set` assignments (`train.epochs=3`) to it, and checks all of it.
///
/// Keys must have their current names, except in the `plan.toml` of a results folder, which an earlier version may have written.
pub fn load(path: &Path, assignments: &[String]) -> Result<Plan> {
    let place = path.display().to_string();
    let mut plan = checked_plan(&edited(&read(path)?, &place, assignments, author(path))?, &place)?;
    plan.data.find_files_in(path.parent().unwrap_or(Path::new("")));
    Ok(plan)
}

/// As [`load`], for the sizes of models alone: of a plan, or of a config that names no data.
pub fn load_timing(path: &Path, assignments: &[String]) -> Result<TimingPlan> {
    let place = path.display().to_string();
    timing_plan(&edited(&read(path)?, &place, assignments, author(path))?, &place)
}

/// Who wrote a config.
#[derive(Clone, Copy, PartialEq)]
enum Author {
    User,
    /// This version of the program, or an earlier one.
    Program,
}

fn author(path: &Path) -> Author {
    let is_record = path.file_name().is_some_and(|name| name == "plan.toml") && path.with_file_name("runs").is_dir();
    if is_record { Author::Program } else { Author::User }
}

/// The config with its assignments.
fn edited(text: &str, place: &str, assignments: &[String], author: Author) -> Result<String> {
    let text = edit::apply(text, place, assignments)?;
    if author == Author::User {
        renamed::refuse_old_names(&from_toml(&text, place)?, place)?;
    }
    Ok(text)
}

/// Largest length of a config, in bytes.
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
    checked_plan(&edited(text, place, assignments, Author::User)?, place)
}

/// As [`load_timing`], from text; `place` names it in errors.
pub fn parse_timing(text: &str, place: &str, assignments: &[String]) -> Result<TimingPlan> {
    timing_plan(&edited(text, place, assignments, Author::User)?, place)
}

fn timing_plan(text: &str, place: &str) -> Result<TimingPlan> {
    let table: toml::Table = from_toml(text, place)?;
    if !table.contains_key("data") {
        return TimingPlan::parse(text, place);
    }
    let plan = checked_plan(text, place)?;
    plan.check_models(place, plan.data.dataset.classes().unwrap_or(SOME_CLASSES))?;
    Ok(TimingPlan::of_runs(&plan, &plan.runs()))
}

fn checked_plan(text: &str, place: &str) -> Result<Plan> {
    let plan: Plan = from_toml(text, place)?;
    plan.check(place)?;
    Ok(plan)
}

/// The config of the run whose folder is `RESULTS/runs/RUN`.
pub fn load_run(path: &Path) -> Result<RunConfig> {
    let mut run: RunConfig = from_toml(&read(path)?, &path.display().to_string())?;
    // The list of files is in the results folder.
    run.data.find_files_in(path.ancestors().nth(3).unwrap_or(Path::new("")));
    Ok(run)
}

fn from_toml<T: serde::de::DeserializeOwned>(text: &str, place: &str) -> Result<T> {
    let deserializer = toml::Deserializer::parse(text).map_err(|error| explain::toml_error(place, None, &error))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let key = error.path().to_string();
        explain::toml_error(place, Some(&key), error.inner())
    })
}

/// For keys that are serialised only if they are set.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// As [`is_default`].
fn is_zero(value: &f32) -> bool {
    *value == 0.0
}
