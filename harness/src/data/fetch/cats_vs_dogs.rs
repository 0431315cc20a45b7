//! Kaggle's Dogs vs. Cats. Downloading it needs an account, so the user supplies the zip file; its photos are unpacked into an
//! image folder.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use super::place::Place;
use super::request::{FetchEvent, Fetched, OnFetchEvent, Origin};
use crate::data::archive::{Entry, Limits, visit_zip};
use crate::data::cifar::thousands;
use crate::error::{Error, Result};

const NAME: &str = "cats-vs-dogs";
const CLASSES: [&str; 2] = ["cat", "dog"];

/// Number of photos of each class in the complete dataset.
const PHOTOS_OF_CLASS: u64 = 12_500;

/// The complete dataset has 25,000 labelled and 12,500 unlabelled photos, 0.8 GB in total. No photo is larger than half a megabyte.
const LIMITS: Limits = Limits { entries: 60_000, file_bytes: 32 << 20, bytes: 2 << 30 };

/// The limits of the outer archive, in which `train.zip` is a single file.
const OUTER_LIMITS: Limits = Limits { file_bytes: 2 << 30, ..LIMITS };

const HELP: &str = "get `dogs-vs-cats.zip` or `train.zip` from https://www.kaggle.com/c/dogs-vs-cats/data (this needs an account), or the same \
                    photos from https://www.microsoft.com/en-us/download/details.aspx?id=54765, then: \
                    vitbench data fetch cats-vs-dogs --from FILE";

/// Unpacks the photos to `cats-vs-dogs/cat/*.jpg` and `cats-vs-dogs/dog/*.jpg` in the data folder.
pub(super) fn fetch(from: Option<&str>, folder: &Path, on_event: &mut OnFetchEvent<'_>) -> Result<Fetched> {
    let there = |counts: [u64; 2], was_there| {
        let [cats, dogs] = counts.map(thousands);
        let less = counts.iter().any(|count| *count < PHOTOS_OF_CLASS);
        let note = if less {
            format!(" (the complete dataset has {} of each)", thousands(PHOTOS_OF_CLASS))
        } else {
            String::new()
        };
        Fetched { folder: folder.join(NAME), was_there, contents: format!("{cats} cats and {dogs} dogs{note}") }
    };
    if let Some(counts) = present(&folder.join(NAME))? {
        return Ok(there(counts, true));
    }
    let place_of_from = format!("--from {}", from.unwrap_or("FILE"));
    let archive = match from.map(Origin::parse).transpose()? {
        Some(Origin::File(path)) => path,
        Some(Origin::Url(_)) => {
            return Err(Error::input(place_of_from, "the photos cannot be downloaded without an account", HELP));
        }
        None => return Err(Error::input("cats-vs-dogs", "the photos cannot be downloaded without an account", HELP)),
    };
    let place = Place::hold(folder, NAME, on_event)?;
    if let Some(counts) = present(&place.target())? {
        return Ok(there(counts, true));
    }
    let staging = place.staging()?;
    let counts = lay_out(archive, staging.path(), on_event)?;
    place.publish(staging)?;
    Ok(there(counts, false))
}

/// Counts the photos of each class, or returns `None` if the folder does not exist. The folder was put in place as a whole, so it
/// holds everything that was in the zip file.
fn present(folder: &Path) -> Result<Option<[u64; 2]>> {
    if !folder.exists() {
        return Ok(None);
    }
    let mut counts = [0; 2];
    for (count, class) in counts.iter_mut().zip(CLASSES) {
        *count = fs::read_dir(folder.join(class)).map_or(0, |entries| entries.count() as u64);
    }
    if counts.contains(&0) {
        let problem = "exists, but has no folders `cat` and `dog` with photos in them";
        return Err(Error::input(folder.display(), problem, "use it as it is, or move it away and fetch again"));
    }
    Ok(Some(counts))
}

/// Unpacks the labelled photos of any of the known archives and returns the number of photos of each class.
fn lay_out(archive: &Path, folder: &Path, on_event: &mut OnFetchEvent<'_>) -> Result<[u64; 2]> {
    for class in CLASSES {
        let folder = folder.join(class);
        fs::create_dir(&folder).map_err(Error::io("create", &folder))?;
    }
    let mut photos = Photos { folder, counts: [0; 2], on_event };
    visit_zip(open(archive)?, archive, OUTER_LIMITS, &mut |entry| {
        if entry.name.rsplit('/').next() == Some("train.zip") {
            return photos.take_nested(archive, entry);
        }
        photos.take(archive, entry)
    })?;
    let counts = photos.counts;
    if counts.contains(&0) {
        let problem = format!("found {} photos of cats and {} of dogs, expected some of each", counts[0], counts[1]);
        return Err(Error::input(archive.display(), problem, HELP));
    }
    Ok(counts)
}

fn open(path: &Path) -> Result<BufReader<File>> {
    File::open(path).map(BufReader::new).map_err(Error::io("open", path))
}

/// Unpacks photos into the folder and counts them.
struct Photos<'a, 'b> {
    folder: &'a Path,
    counts: [u64; 2],
    on_event: &'a mut OnFetchEvent<'b>,
}

impl Photos<'_, '_> {
    /// Unpacks the photos of a zip file inside the zip file.
    fn take_nested(&mut self, archive: &Path, entry: &mut Entry<'_>) -> Result<()> {
        let path = self.folder.join(".train.zip");
        entry.copy(archive, &mut File::create_new(&path).map_err(Error::io("create", &path))?, &path)?;
        visit_zip(open(&path)?, archive, LIMITS, &mut |entry| self.take(archive, entry))?;
        fs::remove_file(&path).map_err(Error::io("delete", &path))
    }

    /// Unpacks a photo if its name tells its class, and skips any other file.
    fn take(&mut self, archive: &Path, entry: &mut Entry<'_>) -> Result<()> {
        let Some((class, name)) = target_of(&entry.name) else { return Ok(()) };
        if entry.bytes > LIMITS.file_bytes {
            let problem = format!("`{}` has {} bytes, which is too large for a photo", entry.name, entry.bytes);
            return Err(Error::damaged(archive.display(), problem, HELP));
        }
        let path = self.folder.join(CLASSES[class]).join(name);
        let mut file = File::create_new(&path).map_err(Error::io("create", &path))?;
        entry.copy(archive, &mut file, &path)?;
        self.counts[class] += 1;
        let done = self.counts.iter().sum();
        (self.on_event)(FetchEvent::Unpacking { done, total: (2 * PHOTOS_OF_CLASS).max(done) });
        Ok(())
    }
}

/// Returns the class and the file name of a photo. Kaggle names photos `train/cat.0.jpg`, Microsoft `PetImages/Cat/0.jpg`.
fn target_of(entry: &str) -> Option<(usize, String)> {
    let (folders, name) = entry.rsplit_once('/').unwrap_or(("", entry));
    let number = name.strip_suffix(".jpg")?;
    let class_of = |word: &str| CLASSES.iter().position(|class| word.eq_ignore_ascii_case(class));
    let (class, number) = match number.split_once('.') {
        Some((class, number)) => (class_of(class)?, number),
        None => (class_of(folders.rsplit('/').next()?)?, number),
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| (class, format!("{}.{number}.jpg", CLASSES[class])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn photos_are_known_by_their_names() {
        for (entry, target) in [
            ("train/cat.0.jpg", Some((0, "cat.0.jpg"))),
            ("dog.12499.jpg", Some((1, "dog.12499.jpg"))),
            ("PetImages/Dog/666.jpg", Some((1, "dog.666.jpg"))),
            ("PetImages/Cat/Thumbs.db", None),
            ("test1/17.jpg", None),
            ("17.jpg", None),
            ("cat.jpg", None),
            ("cat..jpg", None),
            ("train/cat.1.2.jpg", None),
            ("sampleSubmission.csv", None),
        ] {
            assert_eq!(target_of(entry), target.map(|(class, name)| (class, name.to_owned())), "{entry}");
        }
    }
}
