//! Fetches CIFAR-10 and CIFAR-100 from their official archives.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use super::download::{Expected, download};
use super::place::Place;
use super::request::{FetchEvent, Fetched, OnFetchEvent, Origin};
use crate::data::archive::{Entry, Limits, visit_tar_gz};
use crate::data::cifar::{PinnedFile, Version, thousands};
use crate::error::{Error, Result};
use crate::sha256::{self, Hashing};

/// Maximum number of entries in the archive. The official ones have ten.
const MAX_ENTRIES: usize = 64;

/// Allowance for the other files in the archive: class names and a readme.
const OTHER_BYTES: u64 = 4 << 20;

/// Fetches one of the two datasets into its subfolder of the data folder.
pub(super) fn fetch(
    version: &'static Version,
    from: Option<&str>,
    folder: &Path,
    on_event: &mut OnFetchEvent<'_>,
) -> Result<Fetched> {
    let origin = from.map_or(Ok(Origin::Url(version.url)), Origin::parse)?;
    let name = version.subfolders[0];
    let there = |was_there| {
        let contents = format!("{} images of {} classes", thousands(version.records() as u64), version.classes.len());
        Ok(Fetched { folder: folder.join(name), was_there, contents })
    };
    if is_complete(version, &folder.join(name)) {
        return there(true);
    }
    let place = Place::hold(folder, name, on_event)?;
    // Another process may have fetched it while this one waited.
    if is_complete(version, &place.target()) {
        return there(true);
    }
    match origin {
        Origin::File(path) => unpack(version, path, &place, on_event)?,
        Origin::Url(url) => fetch_from(url, version, &place, on_event)?,
    }
    there(false)
}

/// Downloads and unpacks the archive. If a download that resumed an earlier attempt turns out damaged, it is retried once from the
/// start: the earlier part may have come from another archive.
fn fetch_from(url: &str, version: &'static Version, place: &Place, on_event: &mut OnFetchEvent<'_>) -> Result<()> {
    let part = place.download_path(url);
    let expected = match url == version.url {
        true => Expected { bytes: Some(version.archive_bytes), at_most: version.archive_bytes },
        false => Expected { bytes: None, at_most: version.bytes() + OTHER_BYTES },
    };
    loop {
        let began_before = part.exists();
        download(url, &part, expected, on_event)?;
        let checked = check_archive(url, version, &part).and_then(|()| unpack(version, &part, place, on_event));
        match checked {
            Err(Error::Damaged { problem, .. }) if began_before => {
                on_event(FetchEvent::Retrying(format!(
                    "{problem}; the download had been resumed, so it starts again from the beginning"
                )));
                remove(&part)?;
            }
            Err(Error::Damaged { problem, help, .. }) => {
                remove(&part)?;
                return Err(Error::damaged(url, problem, help));
            }
            Err(other) => return Err(other),
            Ok(()) => return remove(&part),
        }
    }
}

fn remove(part: &Path) -> Result<()> {
    fs::remove_file(part).map_err(Error::io("delete", part))
}

/// Checks the SHA-256 of the official archive. An archive from elsewhere is not checked here: only the files in it must match.
fn check_archive(url: &str, version: &Version, part: &Path) -> Result<()> {
    if url != version.url {
        return Ok(());
    }
    let digest = sha256::of_file(part).map_err(Error::io("read", part))?;
    if digest == version.archive_sha256 {
        return Ok(());
    }
    let problem = format!("SHA-256 is {digest}, expected {}", version.archive_sha256);
    Err(Error::damaged(
        url,
        problem,
        "try again; if it fails again, download the archive some other way and pass it with --from FILE",
    ))
}

/// Whether every file exists with the right length and SHA-256.
fn is_complete(version: &Version, folder: &Path) -> bool {
    version.files().all(|file| {
        let path = folder.join(file.name);
        let right_length =
            fs::metadata(&path).is_ok_and(|about| about.is_file() && about.len() == version.file_bytes(file));
        right_length && sha256::of_file(&path).is_ok_and(|digest| digest == file.sha256)
    })
}

/// Unpacks the image files of an archive, checks each one, and then puts all of them in place at once.
fn unpack(version: &'static Version, archive: &Path, place: &Place, on_event: &mut OnFetchEvent<'_>) -> Result<()> {
    let staging = place.staging()?;
    let source = BufReader::with_capacity(1 << 18, File::open(archive).map_err(Error::io("open", archive))?);
    let total = version.bytes();
    let largest = version.files().map(|file| version.file_bytes(file)).max().unwrap_or_default();
    let limits = Limits { entries: MAX_ENTRIES, file_bytes: largest, bytes: total + OTHER_BYTES };
    let (mut found, mut done) = (HashSet::new(), 0);
    on_event(FetchEvent::Unpacking { done, total });
    visit_tar_gz(source, archive, limits, &mut |entry| {
        let base = entry.name.rsplit('/').next().unwrap_or_default();
        let Some(file) = version.files().find(|file| file.name == base) else { return Ok(()) };
        if !found.insert(file.name) {
            return Err(Error::damaged(archive.display(), format!("contains `{base}` twice"), version.how_to_get()));
        }
        unpack_file(version, file, entry, archive, &staging.path().join(file.name))?;
        done += entry.bytes;
        on_event(FetchEvent::Unpacking { done, total });
        Ok(())
    })?;
    if let Some(missing) = version.files().find(|file| !found.contains(file.name)) {
        let problem = format!("`{}` is missing, so this is not the binary archive of {}", missing.name, version.name);
        return Err(Error::damaged(archive.display(), problem, format!("use the binary version, {}", version.url)));
    }
    place.publish(staging)
}

fn unpack_file(version: &Version, file: &PinnedFile, entry: &mut Entry<'_>, archive: &Path, path: &Path) -> Result<()> {
    let name = entry.name.clone();
    let wrong =
        |problem: String| Err(Error::damaged(archive.display(), format!("`{name}` {problem}"), version.how_to_get()));
    let expected = version.file_bytes(file);
    if entry.bytes != expected {
        return wrong(format!("has {} bytes, expected {}", thousands(entry.bytes), thousands(expected)));
    }
    let target = File::create_new(path).map_err(Error::io("create", path))?;
    let mut hashing = Hashing::new(&target);
    entry.copy(archive, &mut hashing, path)?;
    let digest = hashing.finish();
    if digest != file.sha256 {
        return wrong(format!("has the SHA-256 {digest}, expected {}", file.sha256));
    }
    target.sync_all().map_err(Error::io("write", path))
}
