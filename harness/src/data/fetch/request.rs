//! The request for a dataset, and the progress of fetching it.

use std::path::{Path, PathBuf};

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

/// A request.
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

/// Progress of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchEvent {
    /// Another process is fetching the same dataset. This one waits and shares its download.
    Waiting,
    /// Bytes downloaded so far.
    Downloading {
        /// Bytes on disk.
        done: u64,
        /// Bytes in all, if they are known.
        total: Option<u64>,
    },
    /// The connection failed for this reason. The download resumes where it ended.
    Retrying(String),
    /// Bytes checked and unpacked so far.
    Unpacking {
        /// Bytes unpacked.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
}

/// Receives the progress.
pub type OnFetchEvent<'a> = dyn FnMut(FetchEvent) + 'a;

/// Where an archive comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    Url(&'a str),
    File(&'a Path),
}

impl<'a> Origin<'a> {
    /// Distinguishes a URL from a file.
    pub(super) fn parse(from: &'a str) -> Result<Self> {
        match from.split_once("://") {
            Some(("https" | "http", _)) => Ok(Self::Url(from)),
            Some((scheme, _)) if !Path::new(from).exists() => {
                let problem = format!("`{scheme}` is not a supported protocol");
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
