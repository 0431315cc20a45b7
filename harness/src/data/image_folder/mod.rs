//! Datasets of JPEG, PNG and WebP files in folders.
//!
//! Three layouts are supported:
//!
//! ```text
//! FOLDER/train/CLASS/*.jpg    with FOLDER/test/CLASS/*.jpg, FOLDER/val/CLASS/*.jpg, or both
//! FOLDER/CLASS/*.jpg          a fraction of each class is held out for testing
//! FOLDER/cat.0.jpg, ...       as Kaggle packs them: the class is the name up to the first dot
//! ```
//!
//! Flat files may take the place of class folders in the first layout too. Hidden files and files without an image extension
//! are ignored. A list of files (`data.files`) replaces the layout.

mod bad_files;
mod budget;
mod cache;
pub(super) mod decode;
mod file_list;
mod jpeg;
pub(super) mod listing;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use layers::random::Purpose;

use self::listing::{Listing, check_link, list_images};
use super::dataset::Source;
use super::folders::{Folders, list};
use super::split::{limit, set_aside};
use crate::config::data::DataConfig;
use crate::error::{Error, Result};

/// Maximum number of files that an error names.
const SHOWN: usize = 10;

/// Lists the files, draws the splits, applies the limits, and decodes the files that remain.
pub(super) fn load(config: &DataConfig, folders: &Folders) -> Result<Source> {
    let root = root(config, folders)?;
    let Splits { classes, mut train, val, mut test, digests } = list_splits(&root, config)?;
    train.keep(&limit(&train.labels, config.train_limit, config.split_seed, Purpose::TrainLimit));
    test.keep(&limit(&test.labels, config.test_limit, config.split_seed, Purpose::TestLimit));
    let mut excluded = Vec::new();
    let mut decode = |listing| {
        let cache = folders.decoded.as_deref();
        let (images, left_out) = cache::decoded(&root, listing, config.image_size, config.on_bad_file, cache)?;
        excluded.extend(left_out);
        file_list::check_digests(&images, &digests)?;
        Ok(images)
    };
    let (train, val, test) = (decode(train)?, val.map(&mut decode).transpose()?, decode(test)?);
    Ok(Source { classes, train, val, test, excluded })
}

/// Number of files in the training, validation and test split, before limits. The validation count is `None` if the folder has no
/// validation images of its own.
pub(super) fn counts(config: &DataConfig, folders: &Folders) -> Result<(usize, Option<usize>, usize)> {
    let root = root(config, folders)?;
    let Splits { train, val, test, .. } = list_splits(&root, config)?;
    Ok((train.labels.len(), val.map(|val| val.labels.len()), test.labels.len()))
}

/// The folder of a config.
///
/// # Errors
/// If it does not exist.
pub(super) fn root(config: &DataConfig, folders: &Folders) -> Result<PathBuf> {
    find(config.path.as_deref().unwrap_or(Path::new("")), &folders.data)
}

/// Finds the config's folder in the first data folder that contains it.
fn find(path: &Path, folders: &[PathBuf]) -> Result<PathBuf> {
    // An absolute path needs no data folder, so it must also work when there is none.
    let mut candidates: Vec<PathBuf> = folders.iter().map(|folder| folder.join(path)).collect();
    if path.is_absolute() {
        candidates = vec![path.to_path_buf()];
    }
    candidates.iter().find(|candidate| candidate.is_dir()).cloned().ok_or_else(|| {
        let problem = format!("folder `{}` does not exist; tried {}", path.display(), list(&candidates));
        Error::input("data.path", problem, "give a path relative to --data-dir, or an absolute path")
    })
}

/// The files of every split, and the classes that all splits share.
pub(super) struct Splits {
    pub(super) classes: Vec<String>,
    pub(super) train: Listing,
    pub(super) val: Option<Listing>,
    pub(super) test: Listing,
    /// Digests of files, by path relative to the folder, where a list gives them.
    pub(super) digests: HashMap<String, blake3::Hash>,
}

/// Lists the files of a folder: those of the config's list, or those of a folder in one of the supported layouts.
///
/// # Errors
/// Fails if the folder has none of these layouts, or if the list does not fit the folder.
pub(super) fn list_splits(root: &Path, config: &DataConfig) -> Result<Splits> {
    if let Some(list) = &config.files {
        return file_list::splits(root, list, config.val_fraction > 0.0);
    }
    let part = |name: &str| Some(root.join(name)).filter(|folder| folder.is_dir());
    for folder in ["train", "val", "test"].into_iter().filter_map(part) {
        check_link(root, &folder)?;
    }
    let Some(train_folder) = part("train") else {
        let (classes, all) = list_images(root, root)?;
        return split_off_test(classes, all, config);
    };
    let (classes, train) = list_images(root, &train_folder)?;
    let list_same = |folder: PathBuf| {
        let (others, listing) = list_images(root, &folder)?;
        if others == classes { Ok(listing) } else { Err(different_classes(&train_folder, &classes, &folder, &others)) }
    };
    match (part("test"), part("val")) {
        (None, None) => split_off_test(classes, train, config),
        (Some(only), None) | (None, Some(only)) => {
            let test = list_same(only)?;
            Ok(Splits { classes, train, val: None, test, digests: HashMap::new() })
        }
        (Some(test), Some(val)) => {
            let test = list_same(test)?;
            // A `val_fraction` of 0 turns validation off, even if there is a `val` folder.
            let val = if config.val_fraction > 0.0 { Some(list_same(val)?) } else { None };
            Ok(Splits { classes, train, val, test, digests: HashMap::new() })
        }
    }
}

fn split_off_test(classes: Vec<String>, mut train: Listing, config: &DataConfig) -> Result<Splits> {
    let (fraction, seed) = (config.test_fraction, config.split_seed);
    let parts = set_aside(&train.labels, fraction, "data.test_fraction", seed, Purpose::TestSplit)?;
    let mut test = train.clone();
    test.keep(&parts.aside);
    train.keep(&parts.rest);
    Ok(Splits { classes, train, val: None, test, digests: HashMap::new() })
}

fn different_classes(train: &Path, classes: &[String], other: &Path, others: &[String]) -> Error {
    let only_in = |a: &[String], b: &[String]| {
        let names: Vec<&str> = a.iter().filter(|name| !b.contains(name)).map(String::as_str).take(10).collect();
        if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
    };
    let problem = format!(
        "its classes differ from those of `{}`: only here {}, only there {}",
        train.display(),
        only_in(others, classes),
        only_in(classes, others)
    );
    Error::input(other.display(), problem, "give both folders the same classes")
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
