//! The `[[model]]` tables: architecture, sizes, and what all architectures share.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::architecture::ArchitectureConfig;
use crate::error::{Error, Result};

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
