//! Loads the images that a `[data]` table describes.

use std::path::Path;

use layers::random::Purpose;

use super::dataset::{Dataset, Source};
use super::folders::Folders;
use super::images::Images;
use super::split;
use super::{cifar, fingerprint, image_folder, shapes};
use crate::config::data::{DataConfig, DatasetName};
use crate::error::Result;

/// Reads or generates the images that `config` describes.
///
/// Files are searched for in `data_dir`, in `$VITBENCH_DATA`, and in `vitbench` in the user's cache folder, in this order.
///
/// # Errors
///
/// [`Error::Input`](crate::error::Error::Input) for an invalid value or a missing file;
/// [`Error::Damaged`](crate::error::Error::Damaged) for a damaged file; [`Error::Io`](crate::error::Error::Io) if a file cannot be
/// read.
pub fn load(config: &DataConfig, data_dir: Option<&Path>) -> Result<Dataset> {
    load_from(config, &Folders::of_user(data_dir))
}

/// Like [`load`], with the folders to search.
pub(super) fn load_from(config: &DataConfig, folders: &Folders) -> Result<Dataset> {
    config.check()?;
    let source = match config.dataset {
        DatasetName::Shapes => shapes::generate(config)?,
        DatasetName::Cifar10 => cifar::load(&cifar::CIFAR10, config, &folders.data)?,
        DatasetName::Cifar100 => cifar::load(&cifar::CIFAR100, config, &folders.data)?,
        DatasetName::ImageFolder => image_folder::load(config, folders)?,
    };
    let Source { classes, mut train, val, test, excluded } = source;
    let val = match val {
        Some(val) => val,
        None if config.val_fraction == 0.0 => Images::empty(config.image_size),
        None => carve_val(&mut train, config)?,
    };
    let fingerprint = fingerprint::fingerprint(&classes, [&train, &val, &test], &excluded);
    Ok(Dataset {
        name: config.dataset,
        classes,
        image_size: config.image_size,
        train,
        val,
        test,
        excluded,
        fingerprint,
    })
}

fn carve_val(train: &mut Images, config: &DataConfig) -> Result<Images> {
    let (fraction, seed) = (config.val_fraction, config.split_seed);
    let parts = split::set_aside(train.labels(), fraction, "data.val_fraction", seed, Purpose::ValSplit)?;
    let val = train.select(&parts.aside);
    *train = train.select(&parts.rest);
    Ok(val)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes(more: &str) -> Dataset {
        let table = format!("dataset = 'shapes'\ntrain_limit = 100\ntest_limit = 20\n{more}");
        load_from(&toml::from_str(&table).unwrap(), &Folders::default()).unwrap()
    }

    #[test]
    fn validation_images_are_carved_out_of_the_training_images() {
        let data = shapes("val_fraction = 0.2");
        assert_eq!([data.train.len(), data.val.len(), data.test.len()], [80, 20, 20]);
        for class in 0..10 {
            assert_eq!(data.val.labels().iter().filter(|&&label| label == class).count(), 2);
        }
        let mut names = [data.train.names(), data.val.names()].concat();
        names.sort();
        assert_eq!(names, shapes("val_fraction = 0.0").train.names());
        assert!(shapes("val_fraction = 0.0").val.is_empty());
    }

    #[test]
    fn the_fingerprint_tells_what_was_loaded() {
        let reference = shapes("").fingerprint;
        assert_eq!(reference, shapes("").fingerprint);
        for change in ["val_fraction = 0.2", "image_size = 40", "split_seed = 1"] {
            assert_ne!(reference, shapes(change).fingerprint, "{change}");
        }
        let augmented = shapes("augment.horizontal_flip = true").fingerprint;
        assert_eq!(reference, augmented, "augmentation does not change the images");
    }

    #[test]
    fn threads_do_not_change_the_fingerprint() {
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| shapes("image_size = 33").fingerprint)
        };
        assert_eq!(with(1), with(5));
    }
}
