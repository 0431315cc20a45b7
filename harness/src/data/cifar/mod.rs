//! Reads CIFAR-10 and CIFAR-100 in their official binary version, and checks every file against its known SHA-256.

mod classes;
mod version;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use layers::random::Purpose;
use rayon::prelude::*;

pub(super) use self::version::{CIFAR10, CIFAR100};
use self::version::{IMAGE_BYTES, SIZE};
pub(super) use self::version::{PinnedFile, Version};
use super::dataset::Source;
use super::folders::list;
use super::images::Images;
use super::resize::resize_all;
use super::split::limit;
use crate::config::data::DataConfig;
use crate::error::{Error, Result};
use crate::sha256;

/// Reads both splits from the first folder that has them, applies the limits, and resizes the images.
pub(super) fn load(version: &Version, config: &DataConfig, folders: &[PathBuf]) -> Result<Source> {
    let folder = find(version, folders)?;
    let split = |name, files, at_most, purpose| {
        let images = read_split(version, &folder, name, files)?;
        let kept = limit(images.labels(), at_most, config.split_seed, purpose);
        let images = images.select(&kept);
        resize_all(images, config.image_size)
    };
    Ok(Source {
        classes: version.classes.iter().map(|&class| class.to_owned()).collect(),
        train: split("train", version.train, config.train_limit, Purpose::TrainLimit)?,
        val: None,
        test: split("test", version.test, config.test_limit, Purpose::TestLimit)?,
        excluded: Vec::new(),
    })
}

/// Finds the first folder with any of the files, so that an incomplete copy is reported instead of skipped.
pub(super) fn find(version: &Version, folders: &[PathBuf]) -> Result<PathBuf> {
    let candidates: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| [folder.clone(), folder.join(version.subfolders[0]), folder.join(version.subfolders[1])])
        .collect();
    let has_any = |folder: &&PathBuf| version.files().any(|file| folder.join(file.name).is_file());
    candidates.iter().find(has_any).cloned().ok_or_else(|| {
        let problem = format!("the files of {} were not found in {}", version.name, list(&candidates));
        Error::input("data.dataset", problem, version.how_to_get())
    })
}

/// Reads the files of a split in parallel.
fn read_split(version: &Version, folder: &Path, split: &str, files: &[PinnedFile]) -> Result<Images> {
    let parts: Vec<(Vec<u32>, Vec<u8>)> =
        files.par_iter().map(|file| read_file(version, &folder.join(file.name), file)).collect::<Result<_>>()?;
    let (labels, pixels): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
    let labels = labels.concat();
    let names = (0..labels.len()).map(|index| format!("{split}/{index:05}")).collect();
    Ok(Images::new(SIZE, pixels.concat(), labels, names))
}

/// Reads the labels and the interleaved pixels of one file, after checking its length and its SHA-256.
fn read_file(version: &Version, path: &Path, file: &PinnedFile) -> Result<(Vec<u32>, Vec<u8>)> {
    let record_bytes = version.label_bytes + IMAGE_BYTES;
    let bytes = read_exactly(version, path, file.records * record_bytes)?;
    let digest = sha256::of(&bytes);
    if digest != file.sha256 {
        let problem =
            format!("SHA-256 is {digest}, expected {}: the file is damaged or not the official one", file.sha256);
        return Err(Error::damaged(path.display(), problem, version.how_to_get()));
    }
    let mut labels = Vec::with_capacity(file.records);
    let mut pixels = Vec::with_capacity(file.records * IMAGE_BYTES);
    for record in bytes.chunks_exact(record_bytes) {
        let (label, planes) = record.split_at(version.label_bytes);
        // The last label is the fine one. CIFAR-100 has a coarse one before it.
        labels.push(u32::from(label[version.label_bytes - 1]));
        let (red, rest) = planes.split_at(SIZE * SIZE);
        let (green, blue) = rest.split_at(SIZE * SIZE);
        pixels.extend(red.iter().zip(green).zip(blue).flat_map(|((&red, &green), &blue)| [red, green, blue]));
    }
    Ok((labels, pixels))
}

/// Reads a file of a known length, and never more than that.
fn read_exactly(version: &Version, path: &Path, expected: usize) -> Result<Vec<u8>> {
    if !path.is_file() {
        return Err(Error::input(path.display(), "the file is missing", version.how_to_get()));
    }
    let file = File::open(path).map_err(Error::io("open", path))?;
    let length = file.metadata().map_err(Error::io("read", path))?.len();
    let wrong_length = |found: u64| {
        let problem = format!("found {} bytes, expected {}", thousands(found), thousands(expected as u64));
        Error::damaged(path.display(), problem, version.how_to_get())
    };
    if length != expected as u64 {
        return Err(wrong_length(length));
    }
    let mut bytes = Vec::with_capacity(expected);
    file.take(expected as u64).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    // The file may have shrunk since its length was read.
    if bytes.len() == expected { Ok(bytes) } else { Err(wrong_length(bytes.len() as u64)) }
}

/// Formats a number with commas as thousands separators.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::{TINY, three_records};
