//! Reads archives from outside as if they were hostile.
//!
//! Nothing is unpacked blindly. An archive's regular files are shown to a visitor one by one, under names that cannot leave a folder,
//! and the visitor decides which of them it writes, and where. Links, devices, absolute names, `..`, duplicate names and names
//! of unusual length are refused. So is more data than the limits allow. Both happen before memory or disk is used.

mod tar_gz;
mod zip_file;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;

use crate::error::{Error, Result};

pub(super) use tar_gz::visit_tar_gz;
pub(super) use zip_file::visit_zip;

/// The longest name of an entry, in bytes. Data sets stay far below it.
const MAX_NAME_BYTES: usize = 255;

/// Limits on the content of an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Entries, folders included.
    pub(super) entries: usize,
    /// Bytes of a single file, unpacked.
    pub(super) file_bytes: u64,
    /// Bytes of everything, unpacked.
    pub(super) bytes: u64,
}

/// A regular file of an archive.
pub(super) struct Entry<'a> {
    /// Its name in the archive: parts joined by slashes, none of them `.`, `..` or empty.
    pub(super) name: String,
    /// Its size as the archive states it. No more than that is read.
    pub(super) bytes: u64,
    reader: &'a mut dyn Read,
}

impl Entry<'_> {
    /// Copies the content to `target`, the file at `path`, and returns the number of bytes. `archive` is the archive of the entry.
    pub(super) fn copy(&mut self, archive: &Path, target: &mut dyn Write, path: &Path) -> Result<u64> {
        let mut buffer = vec![0; 1 << 16];
        let mut copied = 0;
        loop {
            let read = self.reader.read(&mut buffer).map_err(|error| self.broken(archive, &error))?;
            if read == 0 {
                break;
            }
            target.write_all(&buffer[..read]).map_err(Error::io("write", path))?;
            copied += read as u64;
        }
        if copied == self.bytes {
            return Ok(copied);
        }
        let problem = format!("has {copied} bytes where the archive says {}", self.bytes);
        Err(refused(archive, Some(&self.name), problem))
    }

    fn broken(&self, archive: &Path, error: &std::io::Error) -> Error {
        refused(archive, Some(&self.name), error)
    }
}

/// Handles each file of an archive.
pub(super) type Visitor<'a> = dyn FnMut(&mut Entry<'_>) -> Result<()> + 'a;

/// Checks the entries of an archive one by one.
struct Guard<'a> {
    archive: &'a Path,
    limits: Limits,
    /// In lower case, because on some systems names that differ only in case are the same file.
    names: HashSet<String>,
    entries: usize,
    bytes: u64,
}

impl<'a> Guard<'a> {
    fn new(archive: &'a Path, limits: Limits) -> Self {
        Self { archive, limits, names: HashSet::new(), entries: 0, bytes: 0 }
    }

    /// Counts an entry.
    fn count(&mut self) -> Result<()> {
        self.entries += 1;
        self.check_count(self.entries)
    }

    fn check_count(&self, entries: usize) -> Result<()> {
        if entries <= self.limits.entries {
            return Ok(());
        }
        Err(refused(self.archive, None, format!("has more than {} entries", self.limits.entries)))
    }

    /// The safe name of a file, or `None` for the archive's own folder (`.`).
    fn name(&mut self, raw: &[u8]) -> Result<Option<String>> {
        let name = safe_name(raw).map_err(|problem| refused(self.archive, Some(&printable(raw)), problem))?;
        if name.is_empty() {
            return Ok(None);
        }
        if !self.names.insert(name.to_lowercase()) {
            return Err(refused(self.archive, Some(&name), "is in the archive twice"));
        }
        Ok(Some(name))
    }

    /// Adds the bytes that a file claims to the total.
    fn admit(&mut self, name: &str, bytes: u64) -> Result<()> {
        let Limits { file_bytes, bytes: all, .. } = self.limits;
        if bytes > file_bytes {
            return Err(refused(self.archive, Some(name), format!("has {bytes} bytes, more than {file_bytes}")));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > all {
            return Err(refused(self.archive, None, format!("unpacks to more than {all} bytes")));
        }
        Ok(())
    }
}

/// The name without `.` and empty parts, if it is safe.
fn safe_name(raw: &[u8]) -> Result<String, &'static str> {
    if raw.len() > MAX_NAME_BYTES {
        return Err("has a name longer than 255 bytes");
    }
    let name = std::str::from_utf8(raw).map_err(|_| "has a name that is not UTF-8")?;
    if name.chars().any(char::is_control) {
        return Err("has a name with control characters");
    }
    if name.contains('\\') || name.get(1..2) == Some(":") {
        return Err("has a name that is a path of Windows");
    }
    if name.starts_with('/') {
        return Err("has an absolute name");
    }
    if name.split('/').any(|part| part == "..") {
        return Err("has a name that leads out of the folder (`..`)");
    }
    Ok(name.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"))
}

/// A name for an error message, whatever characters it contains.
fn printable(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(&raw[..raw.len().min(60)]).escape_debug().to_string();
    if raw.len() > 60 { format!("{text}...") } else { text }
}

fn refused(archive: &Path, entry: Option<&str>, problem: impl std::fmt::Display) -> Error {
    let problem = match entry {
        Some(entry) => format!("`{entry}` {problem}"),
        None => problem.to_string(),
    };
    let help = "the archive is damaged or not the expected one; nothing was kept, so fetch it again";
    Error::damaged(archive.display(), problem, help)
}

#[cfg(test)]
mod tests;
