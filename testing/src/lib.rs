//! How a test reports that it cannot run here.
//!
//! Cargo hides what a passing test prints, so a test that returns early looks like one that passed. [`skipped`] therefore also
//! writes to the file named by `VITBENCH_SKIPS`, from which `.ci/run` makes its closing list.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The environment variable that names the file to which skipped tests are appended.
const FILE: &str = "VITBENCH_SKIPS";

/// Reports that `what` was not tested, and why: `SKIPPED: WHAT (WHY)`, on standard error and in the file named by
/// `VITBENCH_SKIPS`, if it is set.
///
/// # Panics
/// If that file cannot be written: a skip that nobody hears of is worse than a failure.
pub fn skipped(what: impl Display, why: impl Display) {
    let line = line(&what.to_string(), &why.to_string());
    eprint!("{line}");
    if let Some(file) = std::env::var_os(FILE) {
        append(&PathBuf::from(file), &line);
    }
}

/// One line, whatever the two contain.
fn line(what: &str, why: &str) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("SKIPPED: {} ({})\n", words(what), words(why))
}

/// In a single write, because tests of several threads and processes append to the same file.
fn append(file: &Path, line: &str) {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.and_then(|mut file| file.write_all(line.as_bytes())).unwrap_or_else(|error| panic!("{FILE}: {error}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_single_lines_that_accumulate() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("skips");
        append(&file, &line("Slurm", "it does not start:\n  no munge\n"));
        append(&file, &line("CIFAR-10", "absent"));
        let text = std::fs::read_to_string(file).unwrap();
        assert_eq!(text, "SKIPPED: Slurm (it does not start: no munge)\nSKIPPED: CIFAR-10 (absent)\n");
    }
}
