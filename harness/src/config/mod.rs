//! From a TOML file to a checked [`Plan`].
//!
//! A mistake is met here, before anything is computed, and answered with file, key, value and what would be right.

pub(crate) mod data;
mod edit;
mod explain;
mod measure;
mod plan;
mod train;

pub use data::{AugmentConfig, DataConfig, DatasetName, RandomResizedCropConfig};
pub use measure::MeasureConfig;
pub use plan::{InitConfig, ModelConfig, Plan, RunConfig};
pub use train::{OptimizerConfig, ScheduleConfig, TrainConfig};

use std::path::Path;

use crate::error::{Error, Result};

/// Reads a config, applies `--set` assignments (`train.epochs=3`) to it, and checks all of it.
pub fn load(path: &Path, assignments: &[String]) -> Result<Plan> {
    let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::input(
            path.display(),
            "there is no such config",
            "the configs that come with the suite are in `configs/`; `configs/quick.toml` is the one to start with",
        ),
        _ => Error::io("read", path)(error),
    })?;
    parse(&text, &path.display().to_string(), assignments)
}

/// As [`load`], from text; `place` names it in errors.
pub fn parse(text: &str, place: &str, assignments: &[String]) -> Result<Plan> {
    let text = edit::apply(text, place, assignments)?;
    let deserializer = toml::Deserializer::parse(&text).map_err(|error| explain::toml_error(place, None, &error))?;
    let plan: Plan = serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let key = error.path().to_string();
        explain::toml_error(place, Some(&key), error.inner())
    })?;
    plan.check(place)?;
    Ok(plan)
}
