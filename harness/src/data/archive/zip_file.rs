//! Reads zip archives.

use std::io::{Read, Seek};
use std::path::Path;

use zip::ZipReadOptions;
use zip::read::Config;
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;

use super::{Entry, Guard, Limits, Visitor, refused};
use crate::error::Result;

/// The file-type bits of a Unix mode, and their values for regular files and folders. Zip files from other systems have none.
const KIND: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// Passes the regular files of an archive to `visit` in the order of the zip directory. A file's checksum is verified when the
/// visitor has read it to its end.
///
/// # Errors
/// Errors of the visitor; [`Error::Damaged`](crate::error::Error::Damaged) if the archive is damaged, hostile or over the limits.
pub(in crate::data) fn visit_zip(
    source: impl Read + Seek,
    path: &Path,
    limits: Limits,
    visit: &mut Visitor<'_>,
) -> Result<()> {
    let broken = |error: ZipError| refused(path, None, format!("cannot be read: {error}"));
    // The directory is read entry by entry, so that one with millions of entries takes no memory.
    let mut archive = ZipIterable::try_new(source, Config::default()).map_err(broken)?;
    let mut guard = Guard::new(path, limits);
    guard.check_count(archive.len())?;
    let files = archive.files().map_err(broken)?;
    while let Some(entry) = files.next() {
        let entry = entry.map_err(broken)?;
        guard.count()?;
        let Some(name) = guard.name(entry.name_raw())? else { continue };
        let kind = entry.unix_mode().map_or(0, |mode| mode & KIND);
        if entry.is_symlink() || !matches!(kind, 0 | REGULAR | FOLDER) {
            return Err(refused(path, Some(&name), "is a link or a device, not a file"));
        }
        if entry.is_dir() {
            continue;
        }
        if entry.encrypted() {
            return Err(refused(path, Some(&name), "is encrypted"));
        }
        let bytes = entry.size();
        guard.admit(&name, bytes)?;
        let reader = entry.with_reader(files.reader_mut(), ZipReadOptions::new()).map_err(broken)?;
        // Reading one byte more than claimed is enough to detect a wrong claim.
        visit(&mut Entry { name, bytes, reader: &mut reader.take(bytes + 1) })?;
    }
    Ok(())
}
