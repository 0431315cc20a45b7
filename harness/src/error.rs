//! Errors for users. `main` prints them without a backtrace.

use std::path::{Path, PathBuf};

/// A failure that is not a fault of the program.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something the user gave cannot be used.
    #[error("{place}: {problem}\n  help: {help}")]
    Input {
        /// Where it is: file and key, option, or folder.
        place: String,
        /// What is wrong with it, with the value.
        problem: String,
        /// What would be right.
        help: String,
    },
    /// A file is damaged: truncated, changed, of another kind, or hostile.
    #[error("{place}: {problem}\n  help: {help}")]
    Damaged {
        /// Which file, and where in it.
        place: String,
        /// What is wrong with it.
        problem: String,
        /// What would be right.
        help: String,
    },
    /// An I/O error.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The action, as a verb: "read", "write", "rename".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Some runs of a plan failed. Each has a record of why.
    #[error("{failed} of {total} runs failed; the report says why. `--retry failed` tries them again")]
    RunsFailed {
        /// Number of failed runs.
        failed: usize,
        /// Of how many.
        total: usize,
    },
    /// Some runs have no record yet, because other processes work on them.
    #[error("other processes work on {busy} of the runs; issue the command again when they have ended")]
    RunsBusy {
        /// Number of such runs.
        busy: usize,
    },
    /// A run's process met an I/O error: the run is neither done nor failed.
    #[error("run {run}: {words}")]
    RunNotRecorded {
        /// Its name.
        run: String,
        /// The process's message.
        words: String,
        /// The exit code of its process.
        code: u8,
    },
    /// The program was stopped by a signal.
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
    /// A comparison exceeded a limit of `--fail-if`.
    #[error("worse than allowed by --fail-if {limits}")]
    Regressed {
        /// The limits that are broken.
        limits: String,
    },
    /// A repeated plan came out differently.
    #[error("{different} of {total} repeated runs have a test accuracy outside their model's 95 % interval")]
    NotReproduced {
        /// Number of such runs.
        different: usize,
        /// Of how many.
        total: usize,
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
            Self::RunsFailed { .. }
            | Self::RunsBusy { .. }
            | Self::Disagreement { .. }
            | Self::Regressed { .. }
            | Self::NotReproduced { .. } => 1,
            Self::Input { .. } | Self::Io { .. } => 2,
            Self::RunNotRecorded { code, .. } | Self::Interrupted { code } => *code,
            Self::Damaged { .. } => 3,
        }
    }
}
