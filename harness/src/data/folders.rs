//! Where datasets lie on this machine.

use std::path::{Path, PathBuf};

/// The folders in which datasets are looked for, in order: the one given, `$VITBENCH_DATA`, `vitbench` in the user's cache.
pub(super) fn data_folders(given: Option<&Path>) -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // By the XDG specification a relative cache folder is to be ignored.
    let cache = variable("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("vitbench"));
    [given.map(Path::to_path_buf), variable("VITBENCH_DATA"), cache].into_iter().flatten().collect()
}

/// Folders as a sentence lists them.
pub(super) fn list<'a>(folders: impl IntoIterator<Item = &'a PathBuf>) -> String {
    folders.into_iter().map(|folder| format!("`{}`", folder.display())).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_given_folder_comes_first() {
        assert_eq!(data_folders(Some(Path::new("/given")))[0], Path::new("/given"));
        assert!(data_folders(None).iter().all(|folder| folder != Path::new("/given")));
    }
}
