//! Where a fetched dataset grows, and how it takes its place.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::request::{FetchEvent, OnFetchEvent};
use crate::error::{Error, Result};

/// A data folder, locked by this process for one dataset.
pub(super) struct Place {
    folder: PathBuf,
    /// The dataset's name, which is its subfolder's.
    name: &'static str,
    /// Locked until it is dropped. The file itself stays: deleting it would let two processes hold locks on two files of one name.
    _lock: File,
}

impl Place {
    /// Makes the folder if it is not there, waits until no other process works on the same dataset, and clears away what one that
    /// was killed left unfinished.
    pub(super) fn hold(folder: &Path, name: &'static str, on_event: &mut OnFetchEvent<'_>) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let path = folder.join(format!(".{name}.lock"));
        let lock = File::create(&path).map_err(Error::io("create", &path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                on_event(FetchEvent::Waiting);
                lock.lock().map_err(Error::io("lock", &path))?;
            }
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        let place = Self { folder: folder.to_owned(), name, _lock: lock };
        place.clear_leftovers()?;
        Ok(place)
    }

    fn staging_prefix(&self) -> String {
        format!(".{}.unpacking-", self.name)
    }

    fn clear_leftovers(&self) -> Result<()> {
        let prefix = self.staging_prefix();
        for entry in fs::read_dir(&self.folder).map_err(Error::io("list", &self.folder))? {
            let entry = entry.map_err(Error::io("list", &self.folder))?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                fs::remove_dir_all(entry.path()).map_err(Error::io("delete", &entry.path()))?;
            }
        }
        Ok(())
    }

    /// Where the dataset will lie.
    pub(super) fn target(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// Where a download of this URL grows, so that a later attempt finds its beginning.
    pub(super) fn download_path(&self, url: &str) -> PathBuf {
        let of_url = &blake3::hash(url.as_bytes()).to_hex()[..8];
        self.folder.join(format!(".{}-{of_url}.part", self.name))
    }

    /// A hidden folder beside the target, which goes away unless it is [published](Self::publish).
    pub(super) fn staging(&self) -> Result<TempDir> {
        let mut builder = tempfile::Builder::new();
        let prefix = self.staging_prefix();
        builder.prefix(&prefix);
        // Temporary folders are their owner's alone unless told otherwise; datasets are for sharing, within the umask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        builder.tempdir_in(&self.folder).map_err(Error::io("create a folder in", &self.folder))
    }

    /// Gives the folder its name. If the name is taken, by a copy that is damaged, its files take the places of those there one by one,
    /// and whatever else lies there stays.
    pub(super) fn publish(&self, staging: TempDir) -> Result<()> {
        let target = self.target();
        if fs::symlink_metadata(&target).is_err() {
            let staged = staging.keep();
            fs::rename(&staged, &target).map_err(Error::io("rename", &staged))?;
        } else {
            for entry in fs::read_dir(staging.path()).map_err(Error::io("list", staging.path()))? {
                let entry = entry.map_err(Error::io("list", staging.path()))?;
                fs::rename(entry.path(), target.join(entry.file_name())).map_err(Error::io("rename", &entry.path()))?;
            }
        }
        // The names are on disk only once the folder is. Not every file system can do that; the files are whole either way.
        if let Ok(folder) = File::open(&self.folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}
