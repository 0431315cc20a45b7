//! The files behind the images of an image folder, so that anyone who has them can tell which were used, and how they were split.

use super::dataset::Dataset;

/// A file of an image folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Its path relative to the dataset's folder, with slashes.
    pub path: String,
    /// Its class.
    pub class: String,
    /// `train`, `val` or `test`.
    pub split: &'static str,
    /// BLAKE3 digest of its content, in hexadecimal.
    pub blake3: String,
}

/// The files of a dataset, split by split in the order of its images; none unless it is an image folder.
pub fn files(dataset: &Dataset) -> Vec<ImageFile> {
    let mut files = Vec::new();
    for (split, images) in [("train", &dataset.train), ("val", &dataset.val), ("test", &dataset.test)] {
        let rows = images.names().iter().zip(images.labels()).zip(images.digests());
        files.extend(rows.map(|((name, label), digest)| ImageFile {
            path: name.clone(),
            class: dataset.classes[*label as usize].clone(),
            split,
            blake3: digest.to_hex().to_string(),
        }));
    }
    files
}
