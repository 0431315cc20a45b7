//! The request, the progress events and the result of a fetch.

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

/// What to fetch, from where, and to where.
#[derive(Debug, Clone)]
pub struct Fetch<'a> {
    /// Which dataset.
    pub dataset: Fetchable,
    /// URL or path of an archive to use instead of the official one.
    pub from: Option<&'a str>,
    /// The data folder. The default is `$VITBENCH_DATA`, or `vitbench` in the user's cache folder.
    pub to: Option<&'a Path>,
}

/// The result of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The folder of the dataset.
    pub folder: PathBuf,
    /// Whether the complete dataset was already there.
    pub was_there: bool,
    /// What it holds, for example `60,000 images of 10 classes`.
    pub contents: String,
}

/// Progress of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchEvent {
    /// Another process is fetching the same dataset, and this one waits for it.
    Waiting,
    /// The download is under way.
    Downloading {
        /// Bytes on disk.
        done: u64,
        /// Total number of bytes, if known.
        total: Option<u64>,
    },
    /// The download failed for this reason and is about to be retried.
    Retrying(String),
    /// The archive is being unpacked. Amounts are in bytes for CIFAR and in photos for Dogs vs. Cats.
    Unpacking {
        /// Amount unpacked so far.
        done: u64,
        /// Total amount.
        total: u64,
    },
}

/// Callback that receives the progress events.
pub type OnFetchEvent<'a> = dyn FnMut(FetchEvent) + 'a;

/// Where an archive comes from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Origin<'a> {
    Url(&'a str),
    File(&'a Path),
}

impl<'a> Origin<'a> {
    /// Parses the value of `--from` as a URL or as the path of a file.
    pub(super) fn parse(from: &'a str) -> Result<Self> {
        match from.split_once("://") {
            Some(("https" | "http", _)) => Ok(Self::Url(from)),
            Some((scheme, _)) if !Path::new(from).exists() => {
                let problem = format!("the protocol `{scheme}` is not supported");
                Err(Error::input(format!("--from {from}"), problem, "use an https:// URL or the path of a file"))
            }
            _ if Path::new(from).is_file() => Ok(Self::File(Path::new(from))),
            _ => {
                Err(Error::input(format!("--from {from}"), "no such file", "use an https:// URL or the path of a file"))
            }
        }
    }
}
