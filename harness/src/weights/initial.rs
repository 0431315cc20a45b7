//! A config's `init` key: weights that a model starts from.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::config::{ModelConfig, Plan, RunConfig};
use crate::error::{Error, Result};

/// Finds the files of the models' `init` keys, relative to the config or the working directory, and records their digests, which
/// are part of the runs' identity.
///
/// # Errors
/// If a file does not exist, or differs from the one that the plan was made with.
pub fn resolve_initial(plan: &mut Plan, config: &Path) -> Result<()> {
    plan.models.iter_mut().try_for_each(|model| resolve(model, config))
}

/// As [`resolve_initial`], for files that a sweep names.
///
/// # Errors
/// As there.
pub fn resolve_runs(runs: &mut [RunConfig], config: &Path) -> Result<()> {
    let unresolved = runs.iter_mut().map(|run| &mut run.model);
    let mut unresolved = unresolved.filter(|model| model.init.as_ref().is_some_and(|init| init.blake3.is_none()));
    unresolved.try_for_each(|model| resolve(model, config))
}

fn resolve(model: &mut ModelConfig, config: &Path) -> Result<()> {
    let Some(init) = &mut model.init else { return Ok(()) };
    let place = format!("{}: model `{}`: init", config.display(), model.name);
    init.path = find(&init.path, config, &place)?;
    let digest = digest(&init.path)?;
    if init.blake3.as_ref().is_some_and(|expected| *expected != digest) {
        return Err(Error::input(
            place,
            format!("{} is another file than before: its digest is {digest}", init.path.display()),
            "restore the file, or leave `init_blake3` away and choose another folder with --out",
        ));
    }
    init.blake3 = Some(digest);
    Ok(())
}

/// Errs if a run's `init` file does not fit its model. Returns notes on what will be adapted or left untrained, one line each.
///
/// # Errors
/// As [`load`](super::load).
pub fn check_initial(runs: &[RunConfig], classes: usize) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut seen = HashSet::new();
    for RunConfig { model, data, .. } in runs {
        let Some(init) = &model.init else { continue };
        if !seen.insert(&model.name) {
            continue;
        }
        let config = model.architecture.for_images(data.image_size, classes);
        lines.push(format!("{}: starts from {}", model.name, init.path.display()));
        lines.extend(super::check(&init.path, &config)?.into_iter().map(|note| format!("{}: {note}", model.name)));
    }
    Ok(lines)
}

fn find(path: &Path, config: &Path, place: &str) -> Result<PathBuf> {
    let beside = config.parent().unwrap_or(Path::new("")).join(path);
    [beside.as_path(), path].into_iter().find(|path| path.is_file()).map(Path::to_owned).ok_or_else(|| {
        let or = if beside == path { String::new() } else { format!(", nor {}", path.display()) };
        Error::input(
            place,
            format!("there is no file {}{or}", beside.display()),
            "give the path of a safetensors file, from the config's folder or the working directory",
        )
    })
}

fn digest(path: &Path) -> Result<String> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(Error::io("read", path))?;
    Ok(hasher.finalize().to_hex().to_string())
}
