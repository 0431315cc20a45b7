//! Reads gzip-compressed tar archives.

use std::io::{self, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::{Entry, Guard, Limits, Visitor, refused};
use crate::error::Result;

/// Maximum overhead of the format in bytes: headers, padding and the end marker.
const FORMAT_BYTES: u64 = 4 << 20;

/// Maximum size of an extended header in bytes. The usual writers need a few hundred.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;

/// Passes the regular files of an archive to `visit` in order. Reads the archive to its end, so that the gzip checksum has been
/// verified when this returns.
///
/// # Errors
/// Errors of the visitor; [`Error::Damaged`](crate::error::Error::Damaged) if the archive is damaged, hostile or over the limits.
pub(in crate::data) fn visit_tar_gz(
    source: impl io::BufRead,
    path: &Path,
    limits: Limits,
    visit: &mut Visitor<'_>,
) -> Result<()> {
    let left = limits.bytes.saturating_add(FORMAT_BYTES);
    let mut archive = Archive::new(Capped { inner: MultiGzDecoder::new(source), left });
    let broken = |error: io::Error| refused(path, None, format!("cannot be read: {error}"));
    let mut guard = Guard::new(path, limits);
    // With `raw`, extended headers appear as entries. Otherwise the library would read the long names in them into memory, whatever
    // size they claim.
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        guard.count()?;
        let bytes = entry.size();
        match entry.header().entry_type() {
            EntryType::XHeader | EntryType::XGlobalHeader if bytes <= MAX_EXTENSION_BYTES => continue,
            EntryType::XHeader | EntryType::XGlobalHeader | EntryType::GNULongName | EntryType::GNULongLink => {
                return Err(refused(path, None, "has an entry with a very long name"));
            }
            EntryType::Directory => {
                guard.name(&entry.path_bytes())?;
            }
            EntryType::Regular | EntryType::Continuous => {
                let Some(name) = guard.name(&entry.path_bytes())? else { continue };
                guard.admit(&name, bytes)?;
                visit(&mut Entry { name, bytes, reader: &mut entry })?;
            }
            other => {
                let name = super::printable(&entry.path_bytes());
                return Err(refused(path, Some(&name), format!("is {}, not a file", kind(other))));
            }
        }
    }
    // The padding and the checksum come after the end of the archive.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(broken).map(drop)
}

fn kind(entry: EntryType) -> &'static str {
    match entry {
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Fifo => "a pipe",
        EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown kind",
    }
}

/// A reader that fails once the limit on the number of bytes is exceeded.
struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| io::Error::other("it unpacks to more bytes than allowed"))?;
        Ok(read)
    }
}
