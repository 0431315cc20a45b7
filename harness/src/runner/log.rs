//! A run's log: the output of its worker, with the time.

use std::fs::{File, OpenOptions};
use std::io::Write;

use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::results::RunFolder;

/// `run.log`, which grows over all attempts.
#[derive(Debug)]
pub(super) struct RunLog(File);

impl RunLog {
    /// The log of a run.
    pub(super) fn open(folder: &RunFolder) -> Result<Self> {
        let path = folder.log_path();
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
        Ok(Self(file))
    }

    /// Adds a line. A log that cannot be written does not end a run.
    pub(super) fn line(&mut self, text: &str) {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let _ = self.0.write_all(format!("{now} {text}\n").as_bytes());
    }
}
