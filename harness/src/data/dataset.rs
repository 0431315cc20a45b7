//! The types that make up a dataset.

use serde::Serialize;

use super::images::Images;
use crate::config::data::DatasetName;

/// The images of one task, in three disjoint splits.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The dataset's name, as in the config.
    pub name: DatasetName,
    /// Names of the classes. A label is an index into them.
    pub classes: Vec<String>,
    /// Height and width of every image, in pixels.
    pub image_size: usize,
    /// The images that models are trained on.
    pub train: Images,
    /// The validation images, used to monitor training. Empty if `val_fraction` is 0.
    pub val: Images,
    /// The held-out images that models are evaluated on.
    pub test: Images,
    /// Files that cannot be decoded and that were left out because the config says so.
    pub excluded: Vec<BadFile>,
    /// BLAKE3 digest, in hex, of the image size, the classes, the labels and pixels of each split in order, and the names of the
    /// files that were left out.
    pub fingerprint: String,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadFile {
    /// Its path relative to the dataset's folder, with slashes.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The images of a source. The limits are already applied, but validation images are not yet split off from `train`.
pub(super) struct Source {
    pub(super) classes: Vec<String>,
    pub(super) train: Images,
    /// The source's own validation images, if it has any.
    pub(super) val: Option<Images>,
    pub(super) test: Images,
    /// The files that were left out.
    pub(super) excluded: Vec<BadFile>,
}
