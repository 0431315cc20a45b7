//! Gets datasets: downloads or takes an archive, checks it byte by byte, and puts it in place whole or not at all.
//!
//! Everything happens in a data folder, under a lock that other processes wait for. What is downloaded grows in a hidden file there, which
//! a later attempt continues; what is unpacked grows in a hidden folder there, which takes its name only when every file in it was
//! checked. A killed process therefore leaves nothing that could be mistaken for a dataset.

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

/// Fetches a dataset, unless it is there already.
///
/// # Errors
/// [`Error::Input`] if it cannot be had from there, [`Error::Damaged`] if what came is not what it should be, [`Error::Io`] if the
/// disk is full. Nothing that could be mistaken for the dataset is left behind.
pub fn fetch(request: &Fetch<'_>, on_event: &mut OnFetchEvent<'_>) -> Result<Fetched> {
    let folder = data_folder(request.to)?;
    match request.dataset {
        Fetchable::Cifar10 => cifar::fetch(&CIFAR10, request.from, &folder, on_event),
        Fetchable::Cifar100 => cifar::fetch(&CIFAR100, request.from, &folder, on_event),
        Fetchable::CatsVsDogs => cats_vs_dogs::fetch(request.from, &folder, on_event),
    }
}

/// The folder for datasets: the given one, or the first that is searched for datasets.
fn data_folder(given: Option<&Path>) -> Result<PathBuf> {
    Folders::of_user(given).data.into_iter().next().ok_or_else(|| {
        Error::input(
            "--to",
            "neither $VITBENCH_DATA nor $XDG_CACHE_HOME nor $HOME names a folder",
            "name one with --to DIR",
        )
    })
}

#[cfg(test)]
mod tests;
