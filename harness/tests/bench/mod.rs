//! A folder for a test of the whole program, and the program in it.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

/// A folder of its own for every test, with the config in it.
pub(crate) struct Bench {
    dir: TempDir,
}

impl Bench {
    /// With this config as `plan.toml`.
    pub(crate) fn new(config: &str) -> Self {
        let bench = Self { dir: TempDir::new().unwrap() };
        fs::write(bench.path("plan.toml"), config).unwrap();
        bench
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `vitbench` in the folder, with no data to be found but what the arguments name.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vitbench"));
        command.current_dir(self.dir.path()).env_remove("VITBENCH_DATA").env("XDG_CACHE_HOME", self.path("cache"));
        command.args(arguments);
        command
    }

    /// Runs it to its end.
    pub(crate) fn vitbench(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// As [`vitbench`](Self::vitbench), and it has to end well.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.vitbench(arguments);
        assert!(output.status.success(), "{arguments:?}: {}\n{}", output.status, text(&output.stderr));
        text(&output.stdout)
    }

    /// The message of a command that has to be refused, with nothing written.
    pub(crate) fn refused(&self, arguments: &[&str]) -> String {
        let before = self.listing();
        let output = self.vitbench(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}\n{message}", output.status);
        assert!(message.starts_with("error: ") && message.contains("help: "), "{arguments:?}: {message}");
        assert!(!message.contains("panicked") && message.lines().count() < 24, "{arguments:?}: {message}");
        assert_eq!(before, self.listing(), "{arguments:?} left something behind");
        message
    }

    pub(crate) fn listing(&self) -> Vec<PathBuf> {
        let entries = walkdir::WalkDir::new(self.dir.path()).sort_by_file_name();
        entries.into_iter().map(|entry| entry.unwrap().into_path()).collect()
    }
}

/// What a program said.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
