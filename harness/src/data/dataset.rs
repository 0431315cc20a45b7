//! What datasets are made of.

use serde::Serialize;

use super::images::Images;
use crate::config::data::DatasetName;

/// Images of one task, in three splits that share no image.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The dataset's name, as in the config.
    pub name: DatasetName,
    /// Names of the classes; a label is an index into them.
    pub classes: Vec<String>,
    /// Height and width of every image, in pixels.
    pub image_size: usize,
    /// The training split.
    pub train: Images,
    /// The validation split; empty if `val_fraction` is 0.
    pub val: Images,
    /// The test set.
    pub test: Images,
    /// Files that cannot be decoded and that the config says to leave out.
    pub excluded: Vec<BadFile>,
    /// BLAKE3 digest, in hex, of image size, classes, the labels and pixels of each split in order, and the files left out.
    pub fingerprint: String,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadFile {
    /// Its path within the dataset's folder, with slashes.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The images of a source, with limits applied, before validation images are split off `train`.
pub(super) struct Source {
    pub(super) classes: Vec<String>,
    pub(super) train: Images,
    /// The source's own validation images.
    pub(super) val: Option<Images>,
    pub(super) test: Images,
    /// What was left out.
    pub(super) excluded: Vec<BadFile>,
}
