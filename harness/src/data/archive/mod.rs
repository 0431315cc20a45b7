//! Reads archives from untrusted sources as if they were hostile.
//!
//! Nothing is unpacked blindly. A visitor receives the regular files of an archive one by one, under names that cannot escape a
//! folder, and decides which of them to write and where. Links, devices, absolute names, `..`, duplicate names, very long names and
//! anything beyond the limits are refused before they cost memory or disk space.

mod tar_gz;
mod zip_file;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;

use crate::error::{Error, Result};

pub(super) use tar_gz::visit_tar_gz;
pub(super) use zip_file::visit_zip;

/// Maximum length of an entry's name, in bytes. Real datasets stay far below it.
const MAX_NAME_BYTES: usize = 255;

/// The maximum size of an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Number of entries, folders included.
    pub(super) entries: usize,
    /// Unpacked bytes of a single file.
    pub(super) file_bytes: u64,
    /// Unpacked bytes of all files together.
    pub(super) bytes: u64,
}

/// A regular file in an archive.
pub(super) struct Entry<'a> {
    /// Its name in the archive: parts separated by slashes, none of them `.`, `..` or empty.
    pub(super) name: String,
    /// Its size according to the archive.
    pub(super) bytes: u64,
    reader: &'a mut dyn Read,
}

impl Entry<'_> {
    /// Copies the content to `target` and returns the number of bytes. `path`, the path of `target`, and `archive` are for error
    /// messages.
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
        let problem = format!("has {copied} bytes, but the archive claims {}", self.bytes);
        Err(refused(archive, Some(&self.name), problem))
    }

    fn broken(&self, archive: &Path, error: &std::io::Error) -> Error {
        refused(archive, Some(&self.name), error)
    }
}

/// Callback that receives each regular file of an archive.
pub(super) type Visitor<'a> = dyn FnMut(&mut Entry<'_>) -> Result<()> + 'a;

/// Checks the names, the number and the sizes of an archive's entries as they are read.
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

    /// Counts an entry. Fails if there are too many.
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

    /// Returns the safe form of a name, or `None` for the archive's root folder (`.`). Fails if the name is unsafe or a duplicate.
    fn name(&mut self, raw: &[u8]) -> Result<Option<String>> {
        let name = safe_name(raw).map_err(|problem| refused(self.archive, Some(&printable(raw)), problem))?;
        if name.is_empty() {
            return Ok(None);
        }
        if !self.names.insert(name.to_lowercase()) {
            return Err(refused(self.archive, Some(&name), "appears twice in the archive"));
        }
        Ok(Some(name))
    }

    /// Counts the bytes that a file claims to have. Fails if they exceed the limits.
    fn admit(&mut self, name: &str, bytes: u64) -> Result<()> {
        let Limits { file_bytes, bytes: all, .. } = self.limits;
        if bytes > file_bytes {
            return Err(refused(self.archive, Some(name), format!("has {bytes} bytes, expected at most {file_bytes}")));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > all {
            return Err(refused(self.archive, None, format!("unpacks to more than {all} bytes")));
        }
        Ok(())
    }
}

/// Returns the name without `.` and empty parts, or says why the name is unsafe.
fn safe_name(raw: &[u8]) -> Result<String, &'static str> {
    if raw.len() > MAX_NAME_BYTES {
        return Err("has a name longer than 255 bytes");
    }
    let name = std::str::from_utf8(raw).map_err(|_| "has a name that is not UTF-8")?;
    if name.chars().any(char::is_control) {
        return Err("has a name with control characters");
    }
    if name.contains('\\') || name.get(1..2) == Some(":") {
        return Err("has a name that is a Windows path");
    }
    if name.starts_with('/') {
        return Err("has an absolute name");
    }
    if name.split('/').any(|part| part == "..") {
        return Err("has a name that escapes the folder (`..`)");
    }
    Ok(name.split('/').filter(|part| !matches!(*part, "" | ".")).collect::<Vec<_>>().join("/"))
}

/// Escapes and shortens a name for an error message.
fn printable(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(&raw[..raw.len().min(60)]).escape_debug().to_string();
    if raw.len() > 60 { format!("{text}...") } else { text }
}

fn refused(archive: &Path, entry: Option<&str>, problem: impl std::fmt::Display) -> Error {
    let problem = match entry {
        Some(entry) => format!("`{entry}` {problem}"),
        None => problem.to_string(),
    };
    let help = "the archive is damaged or not the expected one; nothing from it was kept, so download it again";
    Error::damaged(archive.display(), problem, help)
}

#[cfg(test)]
mod tests;
