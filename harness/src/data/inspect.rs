//! Describes the contents of a dataset without a config, for `vitbench data info` and `vitbench data list`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rayon::prelude::*;

use super::dataset::Dataset;
use super::folders::Folders;
use super::image_folder::decode::{About, probe, read, relative};
use super::image_folder::{Splits, list_splits};
use super::images::Images;
use super::load::load_from;
use crate::config::data::DataConfig;
use crate::error::{Error, Result};

/// A description of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Name of every split, and its number of images per class.
    pub splits: Vec<(String, Vec<usize>)>,
    /// Minimum, median and maximum of the width and of the height, in pixels.
    pub sizes: Option<[[u32; 3]; 2]>,
    /// Number of images of each kind: "JPEG, RGB", ...
    pub kinds: BTreeMap<String, usize>,
    /// Number of images whose EXIF orientation asks for a rotation or a reflection.
    pub turned: usize,
    /// Number of files whose header cannot be read.
    pub unreadable: usize,
    /// Number of duplicate images, not counting the first of each.
    pub copies: usize,
    /// Test images that are also in the training split: the name in the test split, and the name in the training split.
    pub leaks: Vec<(String, String)>,
    /// A digest that identifies the data.
    pub fingerprint: String,
}

/// What is known about an image without decoding it.
struct Item {
    split: usize,
    name: String,
    digest: blake3::Hash,
    about: Option<About>,
}

/// Describes a dataset, given by its name (`shapes`, `cifar10`, `cifar100`) or as a folder of images or of CIFAR files.
///
/// # Errors
/// Fails if the dataset is missing or damaged, or if the folder is not a dataset.
pub fn inspect(dataset: &str, data_dir: Option<&Path>) -> Result<Info> {
    if ["shapes", "cifar10", "cifar100"].contains(&dataset) {
        return inspect_loaded(&load_plain(dataset, &Folders::of_user(data_dir))?);
    }
    let path = Path::new(dataset);
    let named = Folders::of_user(data_dir).data.into_iter().map(|folder| folder.join(path)).find(|path| path.is_dir());
    let Some(folder) = Some(path.to_owned()).filter(|path| path.is_dir()).or(named) else {
        let help = "give a folder, or one of the datasets listed by `vitbench data list`";
        return Err(Error::input(dataset, "is neither a dataset nor a folder", help));
    };
    for name in ["cifar10", "cifar100"] {
        let version = if name == "cifar10" { &super::cifar::CIFAR10 } else { &super::cifar::CIFAR100 };
        if version.files().any(|file| folder.join(file.name).is_file()) {
            return inspect_loaded(&load_plain(name, &Folders { data: vec![folder], decoded: None })?);
        }
    }
    inspect_folder(&folder)
}

fn load_plain(name: &str, folders: &Folders) -> Result<Dataset> {
    let table = format!("dataset = '{name}'\nval_fraction = 0.0");
    load_from(&toml::from_str(&table).expect("the table is well-formed"), folders)
}

fn inspect_loaded(dataset: &Dataset) -> Result<Info> {
    let items = [&dataset.train, &dataset.test].into_iter().enumerate().flat_map(|(split, images)| {
        let side = images.size() as u32;
        let about = move || About { format: "raw", width: side, height: side, mode: "RGB", turned: false };
        let item = move |index: usize| Item {
            split,
            name: images.names()[index].clone(),
            digest: blake3::hash(images.pixels(index)),
            about: Some(about()),
        };
        (0..images.len()).map(item)
    });
    let count = |images: &Images| count_classes(images.labels(), dataset.classes.len());
    let splits = vec![("train".to_owned(), count(&dataset.train)), ("test".to_owned(), count(&dataset.test))];
    Ok(summary(dataset.classes.clone(), splits, items.collect(), dataset.fingerprint.clone()))
}

fn inspect_folder(folder: &Path) -> Result<Info> {
    let given_test = folder.join("train").is_dir() && ["test", "val"].iter().any(|name| folder.join(name).is_dir());
    let config: DataConfig = toml::from_str("dataset = 'image_folder'").expect("the table is well-formed");
    let Splits { classes, train, val, test, .. } = list_splits(folder, &config)?;
    // Without a test folder, the files held out for testing depend on the config, so all images are shown as one split.
    let listings = match given_test {
        true => [Some(("train", train)), val.map(|val| ("val", val)), Some(("test", test))],
        false => [Some(("all", train)), Some(("all", test)), None],
    };
    let listings: Vec<_> = listings.into_iter().flatten().collect();
    let mut splits: Vec<(String, Vec<usize>)> = Vec::new();
    let mut files = Vec::new();
    for (name, listing) in &listings {
        let counts = count_classes(&listing.labels, classes.len());
        match splits.iter().position(|(other, _)| other == name) {
            Some(at) => splits[at].1.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count),
            None => splits.push(((*name).to_owned(), counts)),
        }
        let split = splits.iter().position(|(other, _)| other == name).unwrap_or_default();
        files.extend(listing.paths.iter().map(|path| (split, path)));
    }
    let mut items: Vec<Item> = files
        .par_iter()
        .map(|(split, path)| {
            let content = read(path);
            let digest = content.as_ref().map_or(blake3::hash(b""), |content| blake3::hash(&content.bytes));
            let about = content.and_then(|content| probe(&content)).ok();
            Item { split: *split, name: relative(folder, path), digest, about }
        })
        .collect();
    items.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hasher = blake3::Hasher::new_derive_key("vitbench 2026 fingerprint of files 1");
    for item in &items {
        hasher
            .update(&(item.name.len() as u64).to_le_bytes())
            .update(item.name.as_bytes())
            .update(item.digest.as_bytes());
    }
    Ok(summary(classes, splits, items, hasher.finalize().to_hex().to_string()))
}

fn count_classes(labels: &[u32], classes: usize) -> Vec<usize> {
    let mut counts = vec![0; classes];
    labels.iter().for_each(|label| counts[*label as usize] += 1);
    counts
}

fn summary(classes: Vec<String>, splits: Vec<(String, Vec<usize>)>, items: Vec<Item>, fingerprint: String) -> Info {
    let mut kinds = BTreeMap::new();
    let (mut widths, mut heights) = (Vec::new(), Vec::new());
    for about in items.iter().filter_map(|item| item.about.as_ref()) {
        *kinds.entry(format!("{}, {}", about.format, about.mode)).or_default() += 1;
        widths.push(about.width);
        heights.push(about.height);
    }
    let mut by_digest: HashMap<blake3::Hash, Vec<&Item>> = HashMap::new();
    let readable = items.iter().filter(|item| item.about.is_some());
    readable.for_each(|item| by_digest.entry(item.digest).or_default().push(item));
    let name_of = |name: &str| splits.iter().position(|(split, _)| split == name);
    let (train, test) = (name_of("train"), name_of("test"));
    let mut leaks = Vec::new();
    for same in by_digest.values() {
        let in_train = same.iter().find(|item| train == Some(item.split));
        for item in same.iter().filter(|item| test == Some(item.split)) {
            leaks.extend(in_train.map(|first| (item.name.clone(), first.name.clone())));
        }
    }
    leaks.sort();
    Info {
        classes,
        sizes: least_median_greatest(widths).zip(least_median_greatest(heights)).map(|(width, height)| [width, height]),
        kinds,
        turned: items.iter().filter(|item| item.about.as_ref().is_some_and(|about| about.turned)).count(),
        unreadable: items.iter().filter(|item| item.about.is_none()).count(),
        copies: by_digest.values().map(|same| same.len() - 1).sum(),
        leaks,
        fingerprint,
        splits,
    }
}

fn least_median_greatest(mut values: Vec<u32>) -> Option<[u32; 3]> {
    values.sort_unstable();
    Some([*values.first()?, values[values.len() / 2], *values.last()?])
}

/// A dataset that a config can use, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// A short description.
    pub about: &'static str,
    /// Its folder, or the command that fetches it.
    pub place: String,
}

/// Lists the datasets that have a name or are in the data folders.
pub fn list(data_dir: Option<&Path>) -> Vec<Listed> {
    let folders = Folders::of_user(data_dir).data;
    let mut listed =
        vec![Listed { name: "shapes".into(), about: "10 classes of generated figures", place: "built in".into() }];
    for (name, about, version) in [
        ("cifar10", "60,000 photos of 10 classes, 32 x 32", &super::cifar::CIFAR10),
        ("cifar100", "60,000 photos of 100 classes, 32 x 32", &super::cifar::CIFAR100),
    ] {
        let place = super::cifar::find(version, &folders).map(|folder| folder.display().to_string());
        let place = place.unwrap_or_else(|_| format!("vitbench data fetch {name}"));
        listed.push(Listed { name: name.into(), about, place });
    }
    let mut names = vec!["cats-vs-dogs".to_owned()];
    for folder in &folders {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let subfolders = entries.filter(|entry| entry.path().is_dir());
        names.extend(subfolders.filter_map(|entry| entry.file_name().into_string().ok()));
    }
    names.sort();
    names.dedup();
    for name in names.into_iter().filter(|name| !name.starts_with('.')) {
        let folder = folders.iter().map(|folder| folder.join(&name)).find(|folder| looks_like_images(folder));
        match folder {
            Some(folder) => {
                listed.push(Listed { name, about: "image folder", place: folder.display().to_string() });
            }
            None if name == "cats-vs-dogs" => {
                let place = "vitbench data fetch cats-vs-dogs".into();
                listed.push(Listed { name, about: "25,000 photos of 2 classes", place });
            }
            None => {}
        }
    }
    listed
}

/// Whether a folder has the layout of an image folder. Opens no image.
fn looks_like_images(folder: &Path) -> bool {
    let config: DataConfig = toml::from_str("dataset = 'image_folder'").expect("the table is well-formed");
    folder.is_dir() && list_splits(folder, &config).is_ok()
}

#[cfg(test)]
mod tests;
