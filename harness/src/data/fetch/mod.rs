//! Fetches datasets: downloads an archive or takes a local one, checks its files, and puts the dataset in place as a whole or not
//! at all.
//!
//! Everything happens in a data folder, under a lock that other processes wait for. A download goes to a hidden file, which a later
//! attempt resumes. Unpacked files go to a hidden folder, which is renamed only when every file in it has been checked. So a process
//! that is killed leaves nothing that could be mistaken for a dataset.

mod cats_vs_dogs;
mod cifar;
mod download;
mod place;
mod request;

use std::path::{Path, PathBuf};

use super::cifar::{CIFAR10, CIFAR100};
use super::folders::Folders;
use crate::error::{Error, Result};
pub use request::{Fetch, FetchEvent, Fetchable, Fetched, OnFetchEvent};

/// Fetches a dataset, unless it is already there.
///
/// # Errors
/// [`Error::Input`] if the source is unusable or unreachable, [`Error::Damaged`] if the archive is not the expected one,
/// [`Error::Io`] if a file cannot be written. Nothing is left behind that could be mistaken for the dataset.
pub fn fetch(request: &Fetch<'_>, on_event: &mut OnFetchEvent<'_>) -> Result<Fetched> {
    let folder = data_folder(request.to)?;
    match request.dataset {
        Fetchable::Cifar10 => cifar::fetch(&CIFAR10, request.from, &folder, on_event),
        Fetchable::Cifar100 => cifar::fetch(&CIFAR100, request.from, &folder, on_event),
        Fetchable::CatsVsDogs => cats_vs_dogs::fetch(request.from, &folder, on_event),
    }
}

/// Where datasets are stored: the given folder, or the first folder that is searched for datasets.
fn data_folder(given: Option<&Path>) -> Result<PathBuf> {
    Folders::of_user(given).data.into_iter().next().ok_or_else(|| {
        Error::input(
            "--to",
            "no data folder is known: none of $VITBENCH_DATA, $XDG_CACHE_HOME and $HOME is set",
            "choose one with --to DIR",
        )
    })
}

#[cfg(test)]
mod tests;
