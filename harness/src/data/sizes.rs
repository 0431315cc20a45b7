//! Counts the images of a config's splits without reading any.

use std::path::Path;

use super::folders::Folders;
use super::{cifar, image_folder, shapes};
use crate::config::data::{DataConfig, DatasetName};
use crate::error::Result;

/// Number of images in each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitSizes {
    /// Training images, which is also the number of images per epoch.
    pub train: usize,
    /// Validation images.
    pub val: usize,
    /// Test images.
    pub test: usize,
}

/// The sizes of the splits that [`load`](super::load) would return. For an image folder they come from the list of its files. The
/// size of a held-out fraction may be off by one image per class.
///
/// # Errors
/// Fails if the config is invalid, or if the files of an image folder cannot be listed.
pub fn split_sizes(config: &DataConfig, data_dir: Option<&Path>) -> Result<SplitSizes> {
    config.check()?;
    let without_val = |[train, test]: [usize; 2]| (train, None, test);
    let (train, val, test) = match config.dataset {
        DatasetName::Shapes => without_val(shapes::counts(config)),
        DatasetName::Cifar10 => without_val(cifar::CIFAR10.counts()),
        DatasetName::Cifar100 => without_val(cifar::CIFAR100.counts()),
        DatasetName::ImageFolder => image_folder::counts(config, &Folders::of_user(data_dir))?,
    };
    let limited = |images: usize, limit: Option<usize>| limit.map_or(images, |limit| limit.min(images));
    let (train, test) = (limited(train, config.train_limit), limited(test, config.test_limit));
    let aside = |images: usize| (images as f64 * config.val_fraction).round() as usize;
    Ok(match val {
        Some(val) => SplitSizes { train, val, test },
        None => SplitSizes { train: train - aside(train), val: aside(train), test },
    })
}
