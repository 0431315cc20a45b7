//! Locks: one process at a time works on a run, and one times the models of a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::error::{Error, Result};
use crate::results::{ResultsFolder, RunFolder};

/// A lock, held until it is dropped or its process ends, however it ends. The file stays: deleting it would let two processes
/// hold locks on two files of one name.
#[derive(Debug)]
pub struct RunLock(#[expect(dead_code, reason = "an open file is a held lock")] File);

impl RunLock {
    /// Takes the lock; `None` if another process has it.
    pub(super) fn take(folder: &RunFolder) -> Result<Option<Self>> {
        folder.create()?;
        Self::of(&folder.path().join(".lock"))
    }

    /// Takes the lock of a folder's timing stage; `None` if another process has it.
    pub fn take_stage(folder: &ResultsFolder) -> Result<Option<Self>> {
        Self::of(&folder.path().join(".timing.lock"))
    }

    fn of(path: &Path) -> Result<Option<Self>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(Error::io("open", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", path)(error)),
        }
    }
}
