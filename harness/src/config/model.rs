//! The `[[model]]` tables: architecture, sizes, and the keys that all architectures share.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::architecture::{self, ArchitectureConfig};
use crate::error::{Error, Result};

/// A `[[model]]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "toml::Table", into = "toml::Table")]
pub struct ModelConfig {
    /// Its name in tables and plots; unique in a plan.
    pub name: String,
    /// Images that a lane takes at a time; by default it follows from the model's sizes. It does not change the model's function.
    pub micro_batch: Option<usize>,
    /// Weights to start from; by default a random initialisation from the run's seed.
    pub init: Option<InitConfig>,
    /// Architecture and sizes.
    pub architecture: ArchitectureConfig,
}

/// A file of weights: the keys `init` and `init_blake3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitConfig {
    /// A safetensors file, relative to the config's folder or the working directory.
    pub path: PathBuf,
    /// The file's BLAKE3 digest in hexadecimal. It is part of a run's identity and is recorded when a plan is first run.
    pub blake3: Option<String>,
}

/// Takes a key that all architectures share out of a `[[model]]` table.
pub(super) fn take<T: serde::de::DeserializeOwned>(table: &mut toml::Table, key: &str) -> Result<Option<T>, String> {
    let value = table.remove(key).map(toml::Value::try_into::<T>).transpose();
    value.map_err(|error| format!("{key}: {}", error.message()))
}

/// Puts the sizes of the key `preset` into a `[[model]]` table. What the table states itself stays.
fn fill_from_preset(table: &mut toml::Table) -> Result<(), String> {
    let Some(name) = take::<String>(table, "preset")? else { return Ok(()) };
    let sizes = architecture::preset(&name).ok_or_else(|| {
        format!("preset: there is no preset `{name}`; the presets are {}", architecture::preset_names().join(", "))
    })?;
    let kind = toml::Value::from(sizes.kind());
    if let Some(stated) = table.get("architecture").filter(|stated| **stated != kind) {
        return Err(format!("architecture: preset `{name}` is a {kind}, not a {stated}; leave out one of the two"));
    }
    for (key, value) in sizes.table() {
        table.entry(key).or_insert(value);
    }
    Ok(())
}

impl ModelConfig {
    /// Says what is wrong with the sizes, if anything; the model is the `index`th of the config at `place`.
    pub(super) fn check(&self, place: &str, index: usize, gradient_checkpointing: bool) -> Result<()> {
        let wrong = |key: &str, problem: String, help: String| {
            Err(Error::input(format!("{place}: model.{index} (`{}`): {key}", self.name), problem, help))
        };
        if let Err(invalid) = self.architecture.check() {
            return wrong(invalid.key, invalid.problem, invalid.remedy);
        }
        if !self.architecture.batch_statistics() {
            return Ok(());
        }
        let kind = self.architecture.kind();
        if self.micro_batch.is_some() {
            let problem = format!("`{kind}` has statistics of whole batches, which micro-batches would change");
            return wrong("micro_batch", problem, "leave it out: the whole batch is one micro-batch".into());
        }
        if gradient_checkpointing {
            let problem =
                format!("`{kind}` has statistics of whole batches, which a second forward pass would count twice");
            return wrong("architecture", problem, "set `train.gradient_checkpointing = false`".into());
        }
        Ok(())
    }
}

impl TryFrom<toml::Table> for ModelConfig {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let name: Option<String> = take(&mut table, "name")?;
        let micro_batch = take(&mut table, "micro_batch")?;
        if micro_batch == Some(0) {
            return Err("micro_batch: must be at least 1, got 0".into());
        }
        let init = match (take(&mut table, "init")?, take(&mut table, "init_blake3")?) {
            (Some(path), blake3) => Some(InitConfig { path, blake3 }),
            (None, None) => None,
            (None, Some(_)) => return Err("init_blake3: a digest needs a file; set `init` as well".into()),
        };
        fill_from_preset(&mut table)?;
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
        table.extend(model.architecture.table());
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(text: &str) -> Result<ModelConfig, String> {
        ModelConfig::try_from(text.parse::<toml::Table>().unwrap())
    }

    #[test]
    fn a_preset_gives_the_sizes_that_the_table_does_not() {
        let whole = model("preset = 'vit_tiny'").unwrap();
        assert_eq!(whole.name, "vit");
        assert_eq!(whole.architecture.for_images(224, 1000), architecture::preset("vit_tiny").unwrap());
        let changed = model("preset = 'vit_tiny'\nname = 'shallow'\ndepth = 3\npatch_size = 4").unwrap();
        assert_eq!((changed.architecture.depth(), changed.name.as_str()), (3, "shallow"));
        // What is recorded has the sizes, so that a changed preset changes no finished run.
        let recorded = toml::Table::from(changed.clone());
        assert!(!recorded.contains_key("preset") && recorded["d_model"].as_integer() == Some(192));
        assert_eq!(ModelConfig::try_from(recorded).unwrap(), changed);
    }

    #[test]
    fn presets_that_do_not_exist_or_fit_are_refused() {
        let unknown = model("preset = 'vit_huge'").unwrap_err();
        assert!(unknown.contains("there is no preset `vit_huge`; the presets are vit_base, vit_small"), "{unknown}");
        let other = model("preset = 'vit_tiny'\narchitecture = 'linformer'").unwrap_err();
        assert!(other.contains("preset `vit_tiny` is a \"vit\", not a \"linformer\""), "{other}");
        assert!(model("preset = 'vit_tiny'\nk = 3").unwrap_err().contains("unknown field `k`"));
    }
}
