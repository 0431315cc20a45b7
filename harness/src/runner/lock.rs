//! The lock of a run: one process at a time works on it.

use std::fs::{File, OpenOptions, TryLockError};

use crate::error::{Error, Result};
use crate::results::RunFolder;

/// A run's lock, held until it is dropped or its process ends, however it ends. The file stays: deleting it would let two processes
/// hold locks on two files of one name.
#[derive(Debug)]
pub(super) struct RunLock(#[expect(dead_code, reason = "an open file is a held lock")] File);

impl RunLock {
    /// Takes the lock; `None` if another process has it.
    pub(super) fn take(folder: &RunFolder) -> Result<Option<Self>> {
        folder.create()?;
        let path = folder.path().join(".lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Error::io("lock", &path)(error)),
        }
    }
}
