//! How often the test set was read. Whoever reads it often, and keeps what came out best, has a test accuracy that is too good.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::folder::{ResultsFolder, RunFolder};
use crate::bounded;
use crate::error::{Error, Result};

/// A row of `test_reads.csv`: a run read the test set. Rows are only ever added, so the file remembers runs that were deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRead {
    /// When, RFC 3339.
    pub time: String,
    /// The run's name.
    #[serde(with = "super::cells")]
    pub run: String,
    /// Digest of the run's config without its seed.
    pub config_digest: String,
    /// How often: once at the end, and once for each epoch that was evaluated on the test set.
    pub reads: u32,
}

/// Largest length of the file, in bytes: of some 100,000 runs.
const MAX_BYTES: u64 = 16 << 20;

fn file(folder: &Path) -> PathBuf {
    folder.join("test_reads.csv")
}

impl RunFolder {
    /// Adds a row to `test_reads.csv` of the run's folder of results, before the test set is read for the last time.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn count_test_read(&self, config_digest: String, reads: u32) -> Result<()> {
        // `runs/RUN` is two levels below it.
        let Some(root) = self.path().parent().and_then(Path::parent) else { return Ok(()) };
        let path = file(root);
        let read = TestRead {
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            run: self.name(),
            config_digest,
            reads,
        };
        let text = super::files::csv_text(&[read]);
        let (header, row) = text.split_at(text.iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1);
        let add = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            // Other runs of the plan may end at the same moment.
            file.lock()?;
            if file.metadata()?.len() == 0 {
                file.write_all(header)?;
            }
            file.write_all(row)?;
            file.sync_all()
        };
        add().map_err(Error::io("write", &path))
    }
}

impl ResultsFolder {
    /// Reads `test_reads.csv`, if it is there. A last row that was cut off by a crash is left out.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_test_reads(&self) -> Result<Vec<TestRead>> {
        let path = file(self.path());
        let bytes = match bounded::read(&path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        super::files::parse_csv(&path, &bytes[..whole])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_added_and_a_torn_one_is_left_out() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = ResultsFolder::create_or_open(temporary.path()).unwrap();
        assert_eq!(folder.read_test_reads().unwrap(), []);
        for run in ["a-s0", "a-s1"] {
            let run = folder.run(run);
            run.create().unwrap();
            run.count_test_read("a1b2c3".to_owned(), 1).unwrap();
        }
        let reads = folder.read_test_reads().unwrap();
        assert_eq!((reads[0].run.as_str(), reads[1].run.as_str(), reads.len()), ("a-s0", "a-s1", 2));
        let path = file(temporary.path());
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.truncate(text.len() - 4);
        std::fs::write(&path, text).unwrap();
        assert_eq!(folder.read_test_reads().unwrap().len(), 1);
        std::fs::write(&path, "schema,time\n2,now\n").unwrap();
        assert!(folder.read_test_reads().unwrap_err().to_string().contains("test_reads.csv"));
    }
}
