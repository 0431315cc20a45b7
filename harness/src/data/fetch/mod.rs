//! Gets datasets: downloads or takes an archive, checks it byte by byte, and puts it in place whole or not at all.
//!
//! Everything happens in a data folder, under a lock that other processes wait for. What is downloaded grows in a hidden file there, which
//! a later attempt continues; what is unpacked grows in a hidden folder there, which takes its name only when every file in it was
//! checked. So a process that is killed leaves nothing that a reader would take for a dataset.

mod cats_vs_dogs;
mod cifar;
mod download;
mod place;

use std::path::{Path, PathBuf};

use super::cifar::{CIFAR10, CIFAR100};
use super::folders::Folders;
use crate::error::{Error, Result};

/// A dataset that can be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Fetchable {
    /// CIFAR-10, official binary version, 170 MB
    Cifar10,
    /// CIFAR-100, official binary version, 169 MB
    Cifar100,
    /// Kaggle's Dogs vs. Cats, from a zip file that you have (--from)
    CatsVsDogs,
}

/// What is to be fetched.
#[derive(Debug, Clone)]
pub struct Fetch<'a> {
    /// Which dataset.
    pub dataset: Fetchable,
    /// An archive, by URL or file, instead of the official one.
    pub from: Option<&'a str>,
    /// The data folder; otherwise `$VITBENCH_DATA`, or `vitbench` in the user's cache folder.
    pub to: Option<&'a Path>,
}

/// How a fetch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where the dataset lies.
    pub folder: PathBuf,
    /// Whether it lay there before, whole.
    pub was_there: bool,
    /// Number and kind of what it holds.
    pub contents: String,
}

/// What a fetch tells while it is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchEvent {
    /// Another process fetches the same; this one waits for it.
    Waiting,
    /// So many bytes are there, of so many.
    Downloading {
        /// Bytes on disk.
        done: u64,
        /// Bytes in all, if they are known.
        total: Option<u64>,
    },
    /// The connection failed, for this reason; the download goes on where it ended.
    Retrying(String),
    /// Bytes that were checked and unpacked, of so many.
    Unpacking {
        /// Bytes unpacked.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// Who is told.
pub type OnFetchEvent<'a> = dyn FnMut(FetchEvent) + 'a;

/// Fetches a dataset, unless it is there already.
///
/// # Errors
/// [`Error::Input`] if it cannot be had from there, [`Error::Damaged`] if what came is not what it should be, [`Error::Io`] if the
/// disk is full. In no case anything is left that could be taken for the dataset.
pub fn fetch(request: &Fetch<'_>, on_event: &mut OnFetchEvent<'_>) -> Result<Fetched> {
    let folder = data_folder(request.to)?;
    match request.dataset {
        Fetchable::Cifar10 => cifar::fetch(&CIFAR10, request.from, &folder, on_event),
        Fetchable::Cifar100 => cifar::fetch(&CIFAR100, request.from, &folder, on_event),
        Fetchable::CatsVsDogs => cats_vs_dogs::fetch(request.from, &folder, on_event),
    }
}

/// Where datasets are put: the folder given, or the first of those in which they are looked for.
fn data_folder(given: Option<&Path>) -> Result<PathBuf> {
    Folders::of_user(given).data.into_iter().next().ok_or_else(|| {
        Error::input(
            "--to",
            "neither $VITBENCH_DATA nor $XDG_CACHE_HOME nor $HOME names a folder",
            "name one with --to DIR",
        )
    })
}

/// Where an archive comes from.
#[derive(Debug, PartialEq, Eq)]
enum Origin<'a> {
    Url(&'a str),
    File(&'a Path),
}

impl<'a> Origin<'a> {
    /// Tells a URL from a file.
    fn parse(from: &'a str) -> Result<Self> {
        match from.split_once("://") {
            Some(("https" | "http", _)) => Ok(Self::Url(from)),
            Some((scheme, _)) if !Path::new(from).exists() => {
                let problem = format!("`{scheme}` is no protocol that can be fetched from");
                Err(Error::input(format!("--from {from}"), problem, "give an https:// URL, or the path of a file"))
            }
            _ if Path::new(from).is_file() => Ok(Self::File(Path::new(from))),
            _ => Err(Error::input(
                format!("--from {from}"),
                "there is no such file",
                "give an https:// URL, or the path of a file",
            )),
        }
    }
}

#[cfg(test)]
mod tests;
