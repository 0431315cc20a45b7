//! Reads and checks every file of a dataset, and lists the bad ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::cifar::{CIFAR10, CIFAR100, Version};
use super::dataset::BadFile;
use super::image_folder::decode::{decode, probe, read, relative};
use super::image_folder::listing::has_image_extension;
use crate::error::{Error, Result};
use crate::sha256;

/// Maximum depth of nested folders that are searched.
const MAX_DEPTH: usize = 8;

/// The result of verifying a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Number of files that were checked.
    pub files: usize,
    /// Number of good files of each kind: "JPEG, RGB", ...
    pub kinds: BTreeMap<String, usize>,
    /// The bad files, by name.
    pub bad: Vec<BadFile>,
}

/// The files of a folder that are to be verified.
#[derive(Debug)]
pub struct Candidates {
    root: PathBuf,
    files: Files,
}

#[derive(Debug)]
enum Files {
    /// The files of a CIFAR dataset, to be checked against their SHA-256.
    Pinned(&'static Version),
    /// Image files, to be decoded.
    Images(Vec<PathBuf>),
}

impl Candidates {
    /// Finds the CIFAR files in a folder or, if there are none, all files with an image extension in it and in its subfolders. Does
    /// not follow links to folders, and ignores hidden files.
    ///
    /// # Errors
    /// Fails if the folder does not exist or holds no such file.
    pub fn of(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::input(folder.display(), "no such folder", "give a folder of images"));
        }
        let pinned = [&CIFAR10, &CIFAR100];
        let is_there = |version: &&&'static Version| version.files().any(|file| folder.join(file.name).is_file());
        if let Some(version) = pinned.iter().find(is_there) {
            return Ok(Self { root: folder.to_owned(), files: Files::Pinned(version) });
        }
        let mut images = Vec::new();
        collect(folder, MAX_DEPTH, &mut images)?;
        if images.is_empty() {
            let problem = "contains no JPEG, PNG or WebP file and no CIFAR file";
            return Err(Error::input(folder.display(), problem, "give a folder of images"));
        }
        images.sort();
        Ok(Self { root: folder.to_owned(), files: Files::Images(images) })
    }

    /// Number of files.
    pub fn count(&self) -> usize {
        match &self.files {
            Files::Pinned(version) => version.files().count(),
            Files::Images(paths) => paths.len(),
        }
    }

    /// Checks all files in parallel and calls `on_file` after each.
    pub fn verify(&self, on_file: &(dyn Fn() + Sync)) -> Verdict {
        let outcomes: Vec<(String, Result<String, String>)> = match &self.files {
            Files::Pinned(version) => {
                let files: Vec<_> = version.files().collect();
                let check = |file: &&super::cifar::PinnedFile| {
                    let outcome = check_pinned(version, &self.root, file);
                    on_file();
                    (file.name.to_owned(), outcome)
                };
                files.par_iter().map(check).collect()
            }
            Files::Images(paths) => {
                let check = |path: &PathBuf| {
                    let outcome = check_image(path);
                    on_file();
                    (relative(&self.root, path), outcome)
                };
                paths.par_iter().map(check).collect()
            }
        };
        let mut verdict = Verdict { files: outcomes.len(), ..Verdict::default() };
        for (file, outcome) in outcomes {
            match outcome {
                Ok(kind) => *verdict.kinds.entry(kind).or_default() += 1,
                Err(reason) => verdict.bad.push(BadFile { file, reason }),
            }
        }
        verdict
    }
}

fn collect(folder: &Path, depth: usize, images: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let entry = entry.map_err(Error::io("list", folder))?;
        let kind = entry.file_type().map_err(Error::io("list", folder))?;
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, images)?;
        } else if !kind.is_dir() && has_image_extension(&entry.path()) && !entry.path().is_dir() {
            images.push(entry.path());
        }
    }
    Ok(())
}

fn check_image(path: &Path) -> Result<String, String> {
    let content = read(path)?;
    let about = probe(&content)?;
    decode(&content, |_, _| ())?;
    Ok(format!("{}, {}", about.format, about.mode))
}

fn check_pinned(version: &Version, root: &Path, file: &super::cifar::PinnedFile) -> Result<String, String> {
    let path = root.join(file.name);
    let length = std::fs::metadata(&path).map_err(|error| format!("cannot be read: {error}"))?.len();
    let expected = version.file_bytes(file);
    if length != expected {
        return Err(format!("has {length} bytes, expected {expected}"));
    }
    let digest = sha256::of_file(&path).map_err(|error| format!("cannot be read: {error}"))?;
    match digest == file.sha256 {
        true => Ok(format!("{}, checked by SHA-256", version.name)),
        false => Err(format!("SHA-256 is {digest}, expected {}", file.sha256)),
    }
}

/// Formats the list of bad files as CSV.
pub fn bad_files_csv(bad: &[BadFile]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for bad in bad {
        writer.serialize(bad).expect("rows are flat structs, written to memory");
    }
    writer.into_inner().expect("memory takes every byte")
}
