//! The `[data]` table: which images, how split, how augmented.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::results::FILES_CSV;

/// A source of labelled images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetName {
    /// Geometric figures, generated; needs no files.
    Shapes,
    /// CIFAR-10, official binary version.
    Cifar10,
    /// CIFAR-100, official binary version, fine labels.
    Cifar100,
    /// JPEG, PNG and WebP files in folders.
    ImageFolder,
}

impl DatasetName {
    /// Number of classes, if it is known without reading files.
    pub fn classes(self) -> Option<usize> {
        match self {
            Self::Shapes | Self::Cifar10 => Some(10),
            Self::Cifar100 => Some(100),
            Self::ImageFolder => None,
        }
    }
}

/// How to treat a file that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBadFile {
    /// An error names the first ten and their number, and nothing is computed.
    #[default]
    Error,
    /// It is excluded. The list of excluded files is recorded with the run and is part of the data's fingerprint.
    Exclude,
}

impl OnBadFile {
    /// Left out of resolved configs, so that runs keep the names that they have always had.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The `[data]` table of a config.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Which images.
    pub dataset: DatasetName,
    /// The folder of an `image_folder`, relative to the data folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// A CSV file that lists the images of an `image_folder`, with their classes and splits, in place of the folder's layout: the columns
    /// `path`, `class` and `split`, and `blake3` if their contents are to be checked. A run's `files.csv` is such a list. The path is relative
    /// to the config. A results folder keeps a copy, and a run's identity contains the images rather than the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<PathBuf>,
    /// What happens if files of an `image_folder` cannot be decoded.
    #[serde(default, skip_serializing_if = "OnBadFile::is_default")]
    pub on_bad_file: OnBadFile,
    /// Height and width to which every image is resized, in pixels.
    #[serde(default = "default_image_size")]
    pub image_size: usize,
    /// Maximum number of training images, a stratified sample, before the validation split is held out. For `shapes`, the number that
    /// is generated (default 5,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_limit: Option<usize>,
    /// The same for test images (`shapes`: default 1,000).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_limit: Option<usize>,
    /// Fraction of the training images held out for validation, stratified. 0 needs `train.evaluate_on = "test"`: every epoch is then
    /// evaluated on the test set, as in many published runs, and the report says so. An image folder with `train`, `val` and `test`
    /// has its own validation images, and no others are held out.
    #[serde(default = "default_val_fraction")]
    pub val_fraction: f64,
    /// Fraction of an `image_folder` held out for testing if it has no `test` or `val` folder, stratified.
    #[serde(default = "default_test_fraction")]
    pub test_fraction: f64,
    /// Seed of limits and splits. It is separate from a run's seed, because all runs of a plan share their images.
    #[serde(default)]
    pub split_seed: u64,
    /// Random augmentation of training images.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// Mean of each channel, subtracted from values in 0..1.
    #[serde(default = "default_mean")]
    pub mean: [f32; 3],
    /// Standard deviation of each channel, divided by.
    #[serde(default = "default_std")]
    pub std: [f32; 3],
    /// Whether a run keeps small pictures of its most confident wrong predictions, which its report then shows.
    /// By default it does for `shapes` and CIFAR, whose images may be shared, and not for an image folder, whose licence is not
    /// known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_images: Option<bool>,
}

impl DataConfig {
    /// Whether runs keep pictures of test images.
    pub fn keeps_images(&self) -> bool {
        self.keep_images.unwrap_or(self.dataset != DatasetName::ImageFolder)
    }
}

impl DataConfig {
    /// The table as a results folder keeps it, with the copy of the list of files there.
    pub fn kept(&self) -> Self {
        Self { files: self.files.as_ref().map(|_| PathBuf::from(FILES_CSV)), ..self.clone() }
    }

    /// Takes the list of files, if there is one, to be in this folder.
    pub(super) fn find_files_in(&mut self, folder: &Path) {
        if let Some(files) = &mut self.files {
            *files = folder.join(&files);
        }
    }

    /// The same images without augmentation and normalisation.
    pub fn without_augmentation(&self) -> Self {
        Self { augment: AugmentConfig::default(), mean: default_mean(), std: default_std(), ..self.clone() }
    }
}

/// The `[data.augment]` table. Only the changes that it names are made.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentConfig {
    /// Crop of random area and aspect ratio, resized to `image_size`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_resized_crop: Option<RandomResizedCropConfig>,
    /// Crop of the original size out of the image with black pixels around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad_and_crop: Option<PadAndCropConfig>,
    /// Mirror every second image, on average.
    #[serde(default)]
    pub horizontal_flip: bool,
    /// Random operations of one strength.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rand_augment: Option<RandAugmentConfig>,
    /// Random changes of brightness, contrast, saturation and hue, in random order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color_jitter: Option<ColorJitterConfig>,
    /// A random rectangle of the normalised image set to zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_erasing: Option<RandomErasingConfig>,
    /// Weighted means of images and of their labels. With `cutmix` as well, each batch gets one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mixup: Option<MixConfig>,
    /// A patch of another image, with the corresponding weight of its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cutmix: Option<MixConfig>,
}

/// As torchvision's `MixUp` and `CutMix`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixConfig {
    /// Parameter of the distribution Beta(alpha, alpha) of the weights.
    pub alpha: f32,
}

/// As torchvision's `RandomCrop` with padding.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PadAndCropConfig {
    /// Black pixels on each side.
    pub padding: usize,
}

/// As torchvision's `RandAugment`, with its operations.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandAugmentConfig {
    /// Operations, one after the other.
    pub operations: u32,
    /// Their strength, from 0 to 30.
    pub magnitude: u32,
}

/// As torchvision's `ColorJitter`: factors from one minus to one plus these numbers, and a rotation of the hue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitterConfig {
    /// Of brightness.
    #[serde(default)]
    pub brightness: f32,
    /// Of contrast.
    #[serde(default)]
    pub contrast: f32,
    /// Of saturation.
    #[serde(default)]
    pub saturation: f32,
    /// Largest rotation of the hue in either direction, as a fraction of the hue circle: from 0 to 0.5.
    #[serde(default, skip_serializing_if = "super::is_zero")]
    pub hue: f32,
}

/// As torchvision's `RandomErasing`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomErasingConfig {
    /// Probability of erasing a rectangle.
    pub probability: f32,
    /// Smallest and largest fraction of the image's area.
    #[serde(default = "default_erasing_scale")]
    pub scale: [f32; 2],
    /// Smallest and largest ratio of height to width.
    #[serde(default = "default_erasing_ratio")]
    pub ratio: [f32; 2],
}

fn default_erasing_scale() -> [f32; 2] {
    [0.02, 0.33]
}

fn default_erasing_ratio() -> [f32; 2] {
    [0.3, 3.3]
}

/// Bounds of a random resized crop, as torchvision's `RandomResizedCrop`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCropConfig {
    /// Smallest and largest fraction of the image's area.
    pub scale: [f32; 2],
    /// Smallest and largest ratio of width to height.
    #[serde(default = "default_ratio")]
    pub ratio: [f32; 2],
    /// How the crop is enlarged.
    #[serde(default, skip_serializing_if = "Interpolation::is_bilinear")]
    pub interpolation: Interpolation,
}

/// Interpolation, as in torchvision's transforms with antialiasing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// A weighted mean of the two nearest pixels in each direction.
    #[default]
    Bilinear,
    /// A cubic through the four nearest pixels in each direction.
    Bicubic,
}

impl Interpolation {
    fn is_bilinear(&self) -> bool {
        *self == Self::Bilinear
    }
}

fn default_image_size() -> usize {
    32
}

fn default_val_fraction() -> f64 {
    0.1
}

fn default_test_fraction() -> f64 {
    0.2
}

fn default_mean() -> [f32; 3] {
    [0.5; 3]
}

fn default_std() -> [f32; 3] {
    [0.25; 3]
}

fn default_ratio() -> [f32; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table as it is serialised, which is part of a run's identity.
    fn written(table: &str) -> String {
        toml::to_string(&toml::from_str::<AugmentConfig>(table).unwrap()).unwrap()
    }

    #[test]
    fn keys_that_came_later_are_not_written_where_they_change_nothing() {
        let crop = "horizontal_flip = false\n\n[random_resized_crop]\nscale = [0.5, 1.0]\nratio = [1.0, 1.0]\n";
        assert_eq!(written(crop), crop);
        assert_eq!(written(&format!("{crop}interpolation = \"bilinear\"\n")), crop);
        let bicubic = format!("{crop}interpolation = \"bicubic\"\n");
        assert_eq!(written(&bicubic), bicubic);
        let jitter = "horizontal_flip = false\n\n[color_jitter]\nbrightness = 0.5\ncontrast = 0.0\nsaturation = 0.0\n";
        assert_eq!(written(jitter), jitter);
        assert_eq!(written(&format!("{jitter}hue = 0.0\n")), jitter);
        let hue = format!("{jitter}hue = 0.25\n");
        assert_eq!(written(&hue), hue);
    }
}
