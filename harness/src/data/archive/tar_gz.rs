//! Archives of `tar`, compressed with gzip.

use std::io::{self, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use tar::{Archive, EntryType};

use super::{Entry, Guard, Limits, Visitor, refused};
use crate::error::Result;

/// Largest overhead of the format itself, in bytes: headers, padding, the end.
const FORMAT_BYTES: u64 = 4 << 20;

/// Largest size of an extended header, in bytes. Common writers need some hundred.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;

/// Passes the regular files of an archive to `visit`, in their order, and reads the archive to its end, so that the checksum of the
/// compression has been verified when this returns.
///
/// # Errors
/// Errors of the visitor, and [`Error::Damaged`](crate::error::Error::Damaged) for an archive that is damaged, hostile, or beyond the
/// limits.
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
    // Raw: extended headers come as entries. The library would otherwise take the long names among them into memory, whatever they
    // claim to be.
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
    // The end of the archive is followed by padding and the checksum.
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

/// Returns an error instead of more bytes than the limit.
struct Capped<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| io::Error::other("it unpacks to more than it should"))?;
        Ok(read)
    }
}
