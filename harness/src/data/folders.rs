//! Where datasets lie on this machine.

use std::path::{Path, PathBuf};

/// Folders of this machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Folders {
    /// In which datasets are looked for, in this order.
    pub(super) data: Vec<PathBuf>,
    /// In which decoded images are kept for the next time; nowhere if there is none.
    pub(super) decoded: Option<PathBuf>,
}

impl Folders {
    /// Datasets are looked for in the folder given, in `$VITBENCH_DATA`, and in `vitbench` in the user's cache, where decoded images
    /// are kept as well.
    pub(super) fn of_user(given: Option<&Path>) -> Self {
        let cache = cache_folder();
        let decoded = cache.as_ref().map(|cache| cache.join("decoded"));
        let data = [given.map(Path::to_path_buf), variable("VITBENCH_DATA"), cache].into_iter().flatten().collect();
        Self { data, decoded }
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `vitbench` in the user's cache folder.
pub(crate) fn cache_folder() -> Option<PathBuf> {
    // By the XDG specification a relative cache folder is to be ignored.
    let cache = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    cache.or_else(|| variable("HOME").map(|home| home.join(".cache"))).map(|cache| cache.join("vitbench"))
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
        assert_eq!(Folders::of_user(Some(Path::new("/given"))).data[0], Path::new("/given"));
        assert!(Folders::of_user(None).data.iter().all(|folder| folder != Path::new("/given")));
    }
}
