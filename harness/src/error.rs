//! The errors that a user meets. `main` prints them without a backtrace.

use std::path::{Path, PathBuf};

/// What can go wrong through no fault of the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something the user gave cannot be used.
    #[error("{place}: {problem}\n  help: {help}")]
    Input {
        /// Where it stands: file and key, option, or folder.
        place: String,
        /// What is wrong with it, with the value.
        problem: String,
        /// What would be right.
        help: String,
    },
    /// A file is not what it should be: cut off, changed, of another kind, or hostile.
    #[error("{place}: {problem}\n  help: {help}")]
    Damaged {
        /// Which file, and where in it.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        help: String,
    },
    /// The file system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "read", "write", "rename".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// Some runs of a plan did not end well; each has said why.
    #[error("{failed} of {total} runs failed; the report says why. `--retry failed` tries them again")]
    RunsFailed {
        /// How many did.
        failed: usize,
        /// Of how many.
        total: usize,
    },
    /// Other processes work on some runs, which have no record yet.
    #[error("other processes work on {busy} of the runs; issue the command again when they have ended")]
    RunsBusy {
        /// On how many.
        busy: usize,
    },
    /// The process of a run met an error of files: the run is neither done nor failed.
    #[error("run {run}: {words}")]
    RunNotRecorded {
        /// Its name.
        run: String,
        /// What its process said.
        words: String,
        /// The exit code of its process.
        code: u8,
    },
    /// The program was asked to stop, by the signal of this exit code.
    #[error("stopped; the same command resumes from the last checkpoint")]
    Interrupted {
        /// 128 and the signal's number.
        code: u8,
    },
    /// Some tensors differ from PyTorch's; each is in the table.
    #[error("{out} of {total} tensors disagree with PyTorch")]
    Disagreement {
        /// How many do.
        out: usize,
        /// Of how many.
        total: usize,
    },
    /// A comparison found what it was asked to fail on.
    #[error("worse than allowed by --fail-if {limits}")]
    Regressed {
        /// The limits that are broken.
        limits: String,
    },
}

/// A result whose error is for the user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Input`] from anything that prints.
    pub fn input(place: impl ToString, problem: impl ToString, help: impl ToString) -> Self {
        Self::Input { place: place.to_string(), problem: problem.to_string(), help: help.to_string() }
    }

    /// An [`Error::Damaged`] from anything that prints.
    pub fn damaged(place: impl ToString, problem: impl ToString, help: impl ToString) -> Self {
        Self::Damaged { place: place.to_string(), problem: problem.to_string(), help: help.to_string() }
    }

    /// An [`Error::Input`] with the file in front of its key.
    pub(crate) fn within(self, file: &str) -> Self {
        match self {
            Self::Input { place, problem, help } => Self::input(format!("{file}: {place}"), problem, help),
            other => other,
        }
    }

    /// Turns an I/O error into one that names action and file, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The process's exit code: 1 when runs failed, tensors disagree or a limit is broken, 2 when what was asked for cannot be done, 3 when
    /// a file is damaged, 130 or 143 when it was asked to stop.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::RunsFailed { .. } | Self::RunsBusy { .. } | Self::Disagreement { .. } | Self::Regressed { .. } => 1,
            Self::Input { .. } | Self::Io { .. } => 2,
            Self::RunNotRecorded { code, .. } | Self::Interrupted { code } => *code,
            Self::Damaged { .. } => 3,
        }
    }
}
