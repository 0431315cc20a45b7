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
    /// The file system said no.
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
    #[error("{failed} of {total} runs failed; the report says why. To try one again, delete its folder under `runs`")]
    RunsFailed {
        /// How many did.
        failed: usize,
        /// Of how many.
        total: usize,
    },
    /// Some tensors differ from PyTorch's; each is in the table.
    #[error("{out} of {total} tensors disagree with PyTorch")]
    Disagreement {
        /// How many do.
        out: usize,
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

    /// Turns an I/O error into one that names action and file, for `map_err`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// The process's exit code: 1 when runs failed or tensors disagree, 2 when what was asked for cannot be done, 3 when
    /// a file is damaged.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::RunsFailed { .. } | Self::Disagreement { .. } => 1,
            Self::Input { .. } | Self::Io { .. } => 2,
            Self::Damaged { .. } => 3,
        }
    }
}
