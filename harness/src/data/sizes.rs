//! How many images a config's splits have, without reading any.

use std::path::Path;

use super::folders::Folders;
use super::{cifar, image_folder, shapes};
use crate::config::data::{DataConfig, DatasetName};
use crate::error::Result;

/// Numbers of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitSizes {
    /// Of an epoch.
    pub train: usize,
    /// Of the validation split.
    pub val: usize,
    /// Of the test set.
    pub test: usize,
}

/// The sizes of the splits that [`load`](super::load) would give, for an image folder from the list of its files. A held-out split may
/// have one image more or less per class.
///
/// # Errors
/// As [`load`](super::load), as far as files are listed.
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
