//! Where a fetched dataset is assembled, and how it is moved to its final place.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::request::{FetchEvent, OnFetchEvent};
use crate::error::{Error, Result};

/// A data folder in which this process holds the lock of one dataset.
pub(super) struct Place {
    folder: PathBuf,
    /// The name of the dataset and of its subfolder.
    name: &'static str,
    /// Locked until dropped. The file itself stays: if it were deleted, two processes could lock two different files of that name.
    _lock: File,
}

impl Place {
    /// Creates the folder if it does not exist, waits until no other process is fetching the same dataset, and deletes what a killed
    /// process left unfinished.
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

    /// The final folder of the dataset.
    pub(super) fn target(&self) -> PathBuf {
        self.folder.join(self.name)
    }

    /// The file that holds a partial download of this URL. It depends on the URL alone, so that a later attempt finds it.
    pub(super) fn download_path(&self, url: &str) -> PathBuf {
        let of_url = &blake3::hash(url.as_bytes()).to_hex()[..8];
        self.folder.join(format!(".{}-{of_url}.part", self.name))
    }

    /// Creates a hidden folder next to the target. It is deleted when dropped, unless it is [published](Self::publish).
    pub(super) fn staging(&self) -> Result<TempDir> {
        let mut builder = tempfile::Builder::new();
        let prefix = self.staging_prefix();
        builder.prefix(&prefix);
        // Temporary folders are private to their owner by default. Datasets may be shared, so only the umask restricts access.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        builder.tempdir_in(&self.folder).map_err(Error::io("create a folder in", &self.folder))
    }

    /// Renames the folder to the target. If the target already exists because it holds a damaged copy, the new files replace the old
    /// ones one by one, and any other files there stay.
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
        // The new names are on disk only after the folder is synced. Some file systems cannot sync folders; the files are complete
        // either way.
        if let Ok(folder) = File::open(&self.folder) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}
