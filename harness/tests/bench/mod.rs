//! A folder for a test of the whole program, and the program in it.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Two tiny models on few generated images; a run takes about a second.
pub(crate) const CONFIG: &str = r#"
seeds = [0]

[data]
dataset = "shapes"
image_size = 16
train_limit = 60
test_limit = 20

[data.augment]
random_resized_crop = { scale = [0.8, 1.0] }
horizontal_flip = true

[train]
epochs = 2
batch_size = 16
optimizer = { kind = "adamw" }
lr = 0.001
clip_norm = 1.0

[measure]
warmup_seconds = 0.0
min_samples = 3
min_seconds = 0.0
max_seconds = 0.0

[[model]]
name = "vit"
architecture = "vit"
patch_size = 4
d_model = 16
depth = 1
heads = 2
d_ff = 32

[[model]]
name = "conv"
architecture = "conv_vit"
patch_size = 4
d_model = 16
depth = 1
head_channels = 8
d_ff = 32
"#;

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

/// The folder of a model's only run.
pub(crate) fn only_run(folder: &Path, model: &str) -> PathBuf {
    let runs = fs::read_dir(folder.join("runs")).unwrap().map(|entry| entry.unwrap().path());
    let mut runs = runs.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(model));
    let run = runs.next().unwrap();
    assert_eq!(runs.next(), None);
    run
}
