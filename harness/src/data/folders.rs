//! The folders of this machine that hold datasets.

use std::path::{Path, PathBuf};

use crate::cache;

/// The folders for datasets and decoded images.
#[derive(Debug, Clone, Default)]
pub(super) struct Folders {
    /// The folders that are searched for datasets, in order.
    pub(super) data: Vec<PathBuf>,
    /// The folder that caches decoded images. With `None`, they are not cached.
    pub(super) decoded: Option<PathBuf>,
}

impl Folders {
    /// Datasets are searched for in the given folder, in `$VITBENCH_DATA`, and in `vitbench` in the user's cache folder. The last one
    /// also holds the decoded images.
    pub(super) fn of_user(given: Option<&Path>) -> Self {
        let cache = cache::folder();
        let decoded = cache.as_ref().map(|cache| cache.join("decoded"));
        let data =
            [given.map(Path::to_path_buf), cache::variable("VITBENCH_DATA"), cache].into_iter().flatten().collect();
        Self { data, decoded }
    }
}

/// Lists folders for use in a sentence.
pub(super) fn list<'a>(folders: impl IntoIterator<Item = &'a PathBuf>) -> String {
    folders.into_iter().map(|folder| format!("`{}`", folder.display())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_folder_comes_first() {
        assert_eq!(Folders::of_user(Some(Path::new("/given"))).data[0], Path::new("/given"));
        assert!(Folders::of_user(None).data.iter().all(|folder| folder != Path::new("/given")));
    }
}
