//! The folder in which the program keeps files between commands: downloaded datasets, decoded images, measured A/A variation.

use std::path::PathBuf;

/// `vitbench` in the user's cache folder; `None` if neither `$XDG_CACHE_HOME` nor `$HOME` names one.
pub(crate) fn folder() -> Option<PathBuf> {
    // The XDG specification says to ignore a relative path.
    let cache = variable("XDG_CACHE_HOME").filter(|path| path.is_absolute());
    cache.or_else(|| variable("HOME").map(|home| home.join(".cache"))).map(|cache| cache.join("vitbench"))
}

/// A folder from an environment variable, unless it is unset or empty.
pub(crate) fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
