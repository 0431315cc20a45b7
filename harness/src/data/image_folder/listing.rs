//! Lists the image files of a folder and their classes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Files and their labels, sorted by class, then by name.
#[derive(Debug, Clone, Default)]
pub(in crate::data) struct Listing {
    pub(in crate::data) paths: Vec<PathBuf>,
    pub(in crate::data) labels: Vec<u32>,
}

impl Listing {
    /// Keeps only the files at these indices, in this order.
    pub(super) fn keep(&mut self, indices: &[usize]) {
        self.paths = indices.iter().map(|&i| std::mem::take(&mut self.paths[i])).collect();
        self.labels = indices.iter().map(|&i| self.labels[i]).collect();
    }
}

/// Lists the sorted classes of a folder and its images. Subfolders are classes. If there are none, the file names tell the classes.
///
/// # Errors
/// Fails if a folder is a link to a place outside `root`, if there are fewer than two classes, if a class has no images, or if the
/// class of an image is unknown.
pub(super) fn list_images(root: &Path, folder: &Path) -> Result<(Vec<String>, Listing)> {
    let entries = Entries::read(root, folder)?;
    let (classes, listing) = if entries.folders.is_empty() {
        by_file_name(entries.images)?
    } else if let Some(stray) = entries.images.first() {
        let problem = "is next to class folders, but in none of them";
        return Err(Error::input(stray.display(), problem, "move it into the folder of its class, or remove it"));
    } else {
        by_folder(root, &entries.folders)?
    };
    if classes.len() < 2 {
        let problem = format!("found {} class(es), expected at least 2", classes.len());
        let help =
            "give every class a folder of its own (cat/1.jpg, dog/1.jpg), or name flat files cat.1.jpg, dog.1.jpg";
        return Err(Error::input(folder.display(), problem, help));
    }
    Ok((classes, listing))
}

fn by_folder(root: &Path, folders: &[PathBuf]) -> Result<(Vec<String>, Listing)> {
    let mut listing = Listing::default();
    let mut classes = Vec::with_capacity(folders.len());
    for (label, folder) in folders.iter().enumerate() {
        let entries = Entries::read(root, folder)?;
        if let Some(nested) = entries.folders.first() {
            let problem = "is a folder inside a class folder";
            return Err(Error::input(
                nested.display(),
                problem,
                "put the images directly into the folder of their class",
            ));
        }
        if entries.images.is_empty() {
            let problem = "this class folder contains no JPEG, PNG or WebP file";
            return Err(Error::input(folder.display(), problem, "add images to it, or remove it"));
        }
        listing.labels.extend(std::iter::repeat_n(label as u32, entries.images.len()));
        listing.paths.extend(entries.images);
        classes.push(name(folder));
    }
    Ok((classes, listing))
}

/// The class of `cat.0.jpg` is `cat`.
fn by_file_name(images: Vec<PathBuf>) -> Result<(Vec<String>, Listing)> {
    let mut labelled = Vec::with_capacity(images.len());
    for path in images {
        let name = name(&path);
        // A name needs at least three parts: the class, something that makes the name unique, and the extension.
        let class = name.split_once('.').filter(|(_, rest)| rest.contains('.')).map(|(class, _)| class.to_owned());
        let Some(class) = class else {
            let problem = "the file name does not say which class this is";
            let help = "name flat files CLASS.NUMBER.jpg, or put the images of each class into a folder of its own";
            return Err(Error::input(path.display(), problem, help));
        };
        labelled.push((class, path));
    }
    labelled.sort();
    let classes: Vec<String> =
        labelled.iter().map(|(class, _)| class.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    let label = |class: &String| classes.binary_search(class).expect("collected from the same list") as u32;
    let labels = labelled.iter().map(|(class, _)| label(class)).collect();
    Ok((classes, Listing { paths: labelled.into_iter().map(|(_, path)| path).collect(), labels }))
}

/// The subfolders and images of a folder that are not hidden, sorted by name.
struct Entries {
    folders: Vec<PathBuf>,
    images: Vec<PathBuf>,
}

impl Entries {
    fn read(root: &Path, folder: &Path) -> Result<Self> {
        let mut entries = Self { folders: Vec::new(), images: Vec::new() };
        for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let path = entry.map_err(Error::io("list", folder))?.path();
            if name(&path).starts_with('.') {
                continue;
            }
            if path.is_dir() {
                check_link(root, &path)?;
                entries.folders.push(path);
            } else if has_image_extension(&path) {
                entries.images.push(path);
            }
        }
        entries.folders.sort();
        entries.images.sort();
        Ok(entries)
    }
}

/// Returns an error if a folder is a link to a place outside `root`. Otherwise the dataset would change when its folder is copied or
/// moved.
pub(super) fn check_link(root: &Path, folder: &Path) -> Result<()> {
    if !folder.is_symlink() {
        return Ok(());
    }
    let real = |path: &Path| path.canonicalize().map_err(Error::io("follow", path));
    if real(folder)?.starts_with(real(root)?) {
        return Ok(());
    }
    let problem = format!("is a link to a folder outside `{}`", root.display());
    Err(Error::input(folder.display(), problem, "replace the link with a copy of the folder it points to"))
}

pub(in crate::data) fn has_image_extension(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    ["jpg", "jpeg", "png", "webp"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// The last part of a path.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
