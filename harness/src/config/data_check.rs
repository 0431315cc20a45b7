//! Refuses a `[data]` table that makes no sense, before any file is touched.

use super::data::{AugmentConfig, ColorJitterConfig, DataConfig, DatasetName, OnBadFile, RandomErasingConfig};
use crate::error::{Error, Result};

/// Greatest accepted height and width, in pixels: beyond it is a typing error rather than a wish.
const MAX_IMAGE_SIZE: usize = 4096;

/// Least size at which the figures of `shapes` can be told apart.
const MIN_SHAPES_SIZE: usize = 16;

impl DataConfig {
    /// Checks every value of the table on its own.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] that names key, value and what would be right.
    pub(crate) fn check(&self) -> Result<()> {
        check_size(self)?;
        check_path(self)?;
        check_files(self)?;
        if self.on_bad_file == OnBadFile::Exclude && self.dataset != DatasetName::ImageFolder {
            let problem = "is `exclude`, but only dataset = \"image_folder\" can exclude single files";
            return refuse("on_bad_file", problem, "remove it; the other datasets are used as a whole");
        }
        for (key, limit) in [("train_limit", self.train_limit), ("test_limit", self.test_limit)] {
            if limit == Some(0) {
                return refuse(
                    key,
                    "must be at least 1, got 0",
                    "set it to 1 or more, or remove the key to use all images",
                );
            }
        }
        if !(0.0..1.0).contains(&self.val_fraction) {
            return refuse(
                "val_fraction",
                format!("must be in [0, 1), got {}", self.val_fraction),
                "set it to a fraction such as 0.1",
            );
        }
        if !(self.test_fraction > 0.0 && self.test_fraction < 1.0) {
            return refuse(
                "test_fraction",
                format!("must be in (0, 1), got {}", self.test_fraction),
                "set it to a fraction such as 0.2",
            );
        }
        if self.mean.iter().any(|mean| !mean.is_finite()) {
            return refuse(
                "mean",
                format!("must be one number per channel, got {:?}", self.mean),
                "write it as in mean = [0.5, 0.5, 0.5]",
            );
        }
        if !self.std.iter().all(|&std| std > 0.0 && std.is_finite()) {
            return refuse(
                "std",
                format!("must be one number above 0 per channel, got {:?}", self.std),
                "write it as in std = [0.25, 0.25, 0.25]",
            );
        }
        check_augment(&self.augment, self.image_size)
    }
}

fn check_augment(augment: &AugmentConfig, image_size: usize) -> Result<()> {
    if let Some(crop) = augment.random_resized_crop {
        check_bounds("augment.random_resized_crop", crop.scale, crop.ratio)?;
    }
    if let Some(padding) = augment.pad_and_crop.map(|crop| crop.padding).filter(|padding| *padding >= image_size) {
        let help = format!("set it below the image's {image_size} pixels, such as padding = 4");
        return refuse("augment.pad_and_crop.padding", format!("is {padding}"), help);
    }
    if let Some(rand_augment) = augment.rand_augment.filter(|config| config.magnitude > 30) {
        let help = "set it to a number from 0 to 30, such as 9";
        return refuse("augment.rand_augment.magnitude", format!("is {}", rand_augment.magnitude), help);
    }
    if let Some(rand_augment) = augment.rand_augment.filter(|config| !(1..=14).contains(&config.operations)) {
        let help = "set it to a number from 1 to 14, such as 2";
        return refuse("augment.rand_augment.operations", format!("is {}", rand_augment.operations), help);
    }
    for (key, mix) in [("mixup", augment.mixup), ("cutmix", augment.cutmix)] {
        if let Some(alpha) = mix.map(|mix| mix.alpha).filter(|alpha| !(*alpha > 0.0 && alpha.is_finite())) {
            return refuse(
                &format!("augment.{key}.alpha"),
                format!("is {alpha}"),
                "set it to a number above 0, such as 0.2",
            );
        }
    }
    augment.color_jitter.as_ref().map_or(Ok(()), check_jitter)?;
    augment.random_erasing.as_ref().map_or(Ok(()), check_erasing)
}

fn check_jitter(jitter: &ColorJitterConfig) -> Result<()> {
    for (key, range) in
        [("brightness", jitter.brightness), ("contrast", jitter.contrast), ("saturation", jitter.saturation)]
    {
        if !(range >= 0.0 && range.is_finite()) {
            let key = format!("augment.color_jitter.{key}");
            return refuse(&key, format!("is {range}"), "set it to a number of at least 0, such as 0.1");
        }
    }
    if !(0.0..=0.5).contains(&jitter.hue) {
        let help = "set it to a fraction of the hue circle from 0 to 0.5, such as 0.1";
        return refuse("augment.color_jitter.hue", format!("is {}", jitter.hue), help);
    }
    Ok(())
}

fn check_erasing(erasing: &RandomErasingConfig) -> Result<()> {
    if !(0.0..=1.0).contains(&erasing.probability) {
        let problem = format!("is {}", erasing.probability);
        return refuse("augment.random_erasing.probability", problem, "set it to a number from 0 to 1, such as 0.25");
    }
    check_bounds("augment.random_erasing", erasing.scale, erasing.ratio)
}

fn check_size(config: &DataConfig) -> Result<()> {
    let least = if config.dataset == DatasetName::Shapes { MIN_SHAPES_SIZE } else { 1 };
    if (least..=MAX_IMAGE_SIZE).contains(&config.image_size) {
        return Ok(());
    }
    refuse("image_size", format!("is {}", config.image_size), format!("give {least} to {MAX_IMAGE_SIZE} pixels"))
}

fn check_path(config: &DataConfig) -> Result<()> {
    match (config.dataset, &config.path) {
        (DatasetName::ImageFolder, None) => {
            refuse("path", "is missing", "set it to the folder of images: path = \"my-images\"")
        }
        (DatasetName::ImageFolder, Some(_)) | (_, None) => Ok(()),
        (_, Some(path)) => refuse(
            "path",
            format!("is `{}`, but only dataset = \"image_folder\" has a path", path.display()),
            "remove it; use --data-dir for the folder of the CIFAR datasets",
        ),
    }
}

fn check_files(config: &DataConfig) -> Result<()> {
    if config.files.is_none() {
        return Ok(());
    }
    if config.dataset != DatasetName::ImageFolder {
        let problem = "is set, but only dataset = \"image_folder\" has a list of files";
        return refuse("files", problem, "remove it, or set dataset = \"image_folder\" and path");
    }
    for (key, limit) in [("train_limit", config.train_limit), ("test_limit", config.test_limit)] {
        if let Some(limit) = limit {
            let problem = format!("is {limit}, but data.files says which images are used");
            return refuse(key, problem, "remove it, or shorten the list");
        }
    }
    Ok(())
}

/// Bounds of areas and aspect ratios.
fn check_bounds(key: &str, scale: [f32; 2], ratio: [f32; 2]) -> Result<()> {
    let [least, greatest] = scale;
    if !(0.0 < least && least <= greatest && greatest <= 1.0) {
        let help =
            "set it to the smallest and largest fraction of the area, above 0 and at most 1: scale = [0.08, 1.0]";
        return refuse(&format!("{key}.scale"), format!("is {scale:?}"), help);
    }
    let [least, greatest] = ratio;
    if !(0.0 < least && least <= greatest && greatest.is_finite()) {
        let help = "set it to the smallest and largest aspect ratio, above 0: ratio = [0.75, 1.3333]";
        return refuse(&format!("{key}.ratio"), format!("is {ratio:?}"), help);
    }
    Ok(())
}

fn refuse(key: &str, problem: impl ToString, help: impl ToString) -> Result<()> {
    Err(Error::input(format!("data.{key}"), problem, help))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(toml: &str) -> String {
        let config: DataConfig = toml::from_str(toml).unwrap();
        config.check().map_or_else(|error| error.to_string(), |()| "ok".into())
    }

    #[test]
    fn sensible_tables_pass() {
        for table in [
            "dataset = 'shapes'",
            "dataset = 'cifar10'\nimage_size = 224\nval_fraction = 0.0\ntrain_limit = 1",
            "dataset = 'image_folder'\npath = 'pets'\ntest_fraction = 0.5",
            "dataset = 'image_folder'\npath = 'pets'\nfiles = 'list.csv'",
            "dataset = 'shapes'\naugment.random_resized_crop = { scale = [0.5, 1.0] }",
            "dataset = 'shapes'\naugment.random_resized_crop = { scale = [1.0, 1.0], ratio = [2.0, 2.0] }",
            "dataset = 'shapes'\naugment.color_jitter = { hue = 0.5 }",
        ] {
            assert_eq!(answer(table), "ok", "{table}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_key_and_value() {
        for (line, start) in [
            ("train_limit = 0", "data.train_limit: must be at least 1, got 0\n"),
            ("test_limit = 0", "data.test_limit: must be at least 1, got 0\n"),
            ("val_fraction = 1.0", "data.val_fraction: must be in [0, 1), got 1\n"),
            ("val_fraction = nan", "data.val_fraction: must be in [0, 1), got NaN\n"),
            ("val_fraction = -0.1", "data.val_fraction: must be in [0, 1), got -0.1\n"),
            ("test_fraction = 0.0", "data.test_fraction: must be in (0, 1), got 0\n"),
            ("image_size = 15", "data.image_size: is 15\n  help: give 16 to 4096 pixels"),
            ("image_size = 1000000000", "data.image_size: is 1000000000\n"),
            ("on_bad_file = 'exclude'", "data.on_bad_file: is `exclude`, but only"),
            ("path = 'pets'", "data.path: is `pets`, but only"),
            ("std = [0.2, 0.0, 0.2]", "data.std: must be one number above 0 per channel, got [0.2, 0.0, 0.2]\n"),
            ("mean = [0.2, inf, 0.2]", "data.mean: must be one number per channel, got [0.2, inf, 0.2]\n"),
            ("augment.random_resized_crop = { scale = [0.0, 1.0] }", "data.augment.random_resized_crop.scale: is [0.0"),
            ("augment.random_resized_crop = { scale = [0.9, 0.1] }", "data.augment.random_resized_crop.scale: is [0.9"),
            (
                "augment.random_resized_crop = { scale = [0.5, 1.0], ratio = [0.0, 1.0] }",
                "data.augment.random_resized_crop.ratio: is [0.0",
            ),
            ("augment.pad_and_crop = { padding = 32 }", "data.augment.pad_and_crop.padding: is 32\n"),
            (
                "augment.rand_augment = { operations = 1, magnitude = 31 }",
                "data.augment.rand_augment.magnitude: is 31\n",
            ),
            (
                "augment.rand_augment = { operations = 0, magnitude = 9 }",
                "data.augment.rand_augment.operations: is 0\n",
            ),
            ("augment.color_jitter = { contrast = -0.1 }", "data.augment.color_jitter.contrast: is -0.1\n"),
            ("augment.color_jitter = { hue = 0.6 }", "data.augment.color_jitter.hue: is 0.6\n"),
            ("augment.color_jitter = { hue = -0.1 }", "data.augment.color_jitter.hue: is -0.1\n"),
            ("augment.color_jitter = { hue = nan }", "data.augment.color_jitter.hue: is NaN\n"),
            ("augment.mixup = { alpha = 0.0 }", "data.augment.mixup.alpha: is 0\n"),
            ("augment.random_erasing = { probability = 1.5 }", "data.augment.random_erasing.probability: is 1.5\n"),
            (
                "augment.random_erasing = { probability = 0.5, scale = [0.0, 2.0] }",
                "data.augment.random_erasing.scale: is [0.0, 2.0]\n",
            ),
        ] {
            let answer = answer(&format!("dataset = 'shapes'\n{line}"));
            assert!(answer.starts_with(start), "{line}: {answer}");
        }
        assert!(answer("dataset = 'image_folder'").starts_with("data.path: is missing"));
        assert!(answer("dataset = 'shapes'\nfiles = 'list.csv'").starts_with("data.files: is set, but only"));
        let limited = answer("dataset = 'image_folder'\npath = 'pets'\nfiles = 'list.csv'\ntest_limit = 10");
        assert!(limited.starts_with("data.test_limit: is 10, but data.files says"), "{limited}");
    }
}
