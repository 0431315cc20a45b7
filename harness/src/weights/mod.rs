//! Weights in and out: safetensors files in the layouts of the reference implementations and in our own.
//!
//! The models state their layouts as data ([`layers::layout`]). This module recognises a file's layout by its names, checks all of it
//! before reading any tensor, and rearranges the tensors. A file that does not fit is an error that names file and tensor. What may
//! differ (the classes, the image size, the type of the values) is adapted and reported.

mod describe;
mod detect;
mod encode;
mod file;
mod initial;
mod interpolate;
mod matching;
pub mod parameters;
mod values;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use layers::layout::Layout;

pub use describe::described;
pub use file::WeightsFile;
pub use initial::{check_initial, resolve_initial, resolve_runs};
pub use values::Values;

pub(crate) use matching::{Assignment, Matching};

use crate::architecture::{Architecture, ArchitectureConfig};
use crate::error::{Error, Result};
use crate::results::{RunFolder, write_atomic};

/// Loads a file's weights into a model made of `config`. Returns the model and what was adapted or left untrained.
///
/// # Errors
/// If the file cannot be read or does not fit the model.
pub fn load(path: &Path, config: &ArchitectureConfig, model: Architecture) -> Result<(Architecture, Vec<String>)> {
    let file = WeightsFile::open(path)?;
    let matching = Matching::new(&file, config.layouts())?;
    let values = matching.read(&file)?;
    Ok((parameters::replace(model, values), matching.notes))
}

/// The notes that [`load`] would return, without reading the tensors.
///
/// # Errors
/// As [`load`].
pub fn check(path: &Path, config: &ArchitectureConfig) -> Result<Vec<String>> {
    Ok(Matching::new(&WeightsFile::open(path)?, config.layouts())?.notes)
}

/// Writes a model's weights in our own layout, with a description of the model. Creates the folder if it does not exist.
pub fn save(path: &Path, config: &ArchitectureConfig, model: &Architecture) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    write(path, config, &config.layouts()[0].ours(), parameters::values(model))
}

/// The file with a finished run's trained weights: `weights.safetensors`, or `checkpoint/model.safetensors`, where earlier versions
/// kept them.
///
/// # Errors
/// If the run is not finished, or its folder has no weights.
pub fn trained_weights(run: &RunFolder) -> Result<PathBuf> {
    if run.read_done()?.is_none() {
        let problem = "the run is not finished: it has no `done.json`";
        return Err(Error::input(run.path().display(), problem, "give a run that `vitbench run` has completed"));
    }
    let candidates = [run.weights_path(), run.checkpoint_path().join("model.safetensors")];
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        let problem = "the run has no `weights.safetensors`; published folders are kept without weights";
        let help = "repeat its plan with `vitbench run PLAN --out DIR`, and give the folder of the new run";
        Error::input(run.path().display(), problem, help)
    })
}

/// A layout that weights can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TargetLayout {
    /// The reference implementation's
    Reference,
    /// Hugging Face transformers', for vit
    #[value(name = "huggingface")]
    HuggingFace,
    /// This program's own
    Ours,
}

/// Copies the weights of a file that describes its model, as [`save`] writes them, into a file of another layout. Returns
/// the number of tensors written.
///
/// # Errors
/// If the file cannot be read, does not describe its model or does not fit it, or if the model has no such layout.
pub fn convert(from: &Path, target: TargetLayout, to: &Path) -> Result<usize> {
    let file = WeightsFile::open(from)?;
    let config = described(&file)?;
    let layouts = config.layouts();
    let layout = match target {
        TargetLayout::Reference => layouts[0].clone(),
        TargetLayout::HuggingFace if layouts[0].name == "huggingface" => layouts[0].clone(),
        TargetLayout::HuggingFace => {
            let problem = format!("Hugging Face transformers has no {}", config.kind());
            return Err(Error::input("--layout huggingface", problem, "take `--layout reference` or `--layout ours`"));
        }
        TargetLayout::Ours => layouts[0].ours(),
    };
    let matching = Matching::new(&file, layouts)?;
    if let Some(note) = matching.notes.first() {
        return Err(Error::input(from.display(), note, "give a file that has all weights of its model as F32"));
    }
    let tensors = layout.entries.iter().map(|entry| entry.theirs.len()).sum();
    write(to, &config, &layout, matching.read(&file)?)?;
    Ok(tensors)
}

fn write(
    path: &Path,
    config: &ArchitectureConfig,
    layout: &Layout,
    mut values: BTreeMap<String, Values>,
) -> Result<()> {
    let mut tensors = BTreeMap::new();
    for entry in &layout.entries {
        let values = values.remove(&entry.ours).unwrap_or_else(|| panic!("the model has no {}", entry.ours));
        tensors.extend(entry.theirs.iter().cloned().zip(values.into_parts(entry)));
    }
    assert!(values.is_empty(), "the layout {} leaves out {:?}", layout.name, values.keys());
    // `format` is what transformers looks for; the values are rearranged as PyTorch's.
    let metadata = BTreeMap::from([("format", "pt".to_owned()), (describe::KEY, describe::describe(config))]);
    write_atomic(path, &encode::encode(&metadata, &tensors))
}
