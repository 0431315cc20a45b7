//! The files behind the images of an image folder, so that anyone who has them can tell which were used, and how they were split.

use std::path::Path;

use rayon::prelude::*;

use super::dataset::Dataset;
use super::folders::Folders;
use super::image_folder::{self, decode};
use crate::config::data::{DataConfig, DatasetName};
use crate::error::{Error, Result};

/// A file of an image folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Its path relative to the dataset's folder, with slashes.
    pub path: String,
    /// Its class.
    pub class: String,
    /// `train`, `val` or `test`.
    pub split: &'static str,
    /// BLAKE3 digest of its content, in hexadecimal.
    pub blake3: String,
}

/// The files of a dataset that `config` loaded, split by split in the order of its images; none unless it is an image folder.
///
/// # Errors
/// If a file cannot be read any more.
pub fn files(dataset: &Dataset, config: &DataConfig, data_dir: Option<&Path>) -> Result<Vec<ImageFile>> {
    if dataset.name != DatasetName::ImageFolder {
        return Ok(Vec::new());
    }
    let root = image_folder::root(config, &Folders::of_user(data_dir))?;
    let mut files = Vec::new();
    for (split, images) in [("train", &dataset.train), ("val", &dataset.val), ("test", &dataset.test)] {
        let file = |(name, label): (&String, &u32)| {
            let path = root.join(name);
            let help = "restore the file, or start again with the files that are there";
            let content = decode::read(&path).map_err(|problem| Error::damaged(path.display(), problem, help))?;
            Ok(ImageFile {
                path: name.clone(),
                class: dataset.classes[*label as usize].clone(),
                split,
                blake3: blake3::hash(&content.bytes).to_hex().to_string(),
            })
        };
        files.extend(images.names().par_iter().zip(images.labels()).map(file).collect::<Result<Vec<_>>>()?);
    }
    Ok(files)
}
