//! The program of this crate does with its own architecture what vitbench does with those of the suite.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/mixer.toml");

/// Times next to nothing.
const QUICK: [&str; 8] = [
    "--set",
    "measure.min_seconds=0.0",
    "--set",
    "measure.min_samples=2",
    "--set",
    "measure.warmup_seconds=0.0",
    "--set",
    "measure.max_seconds=0.1",
];

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_own_architecture"));
    command.current_dir(folder).env_remove("VITBENCH_DATA").env("XDG_CACHE_HOME", folder.join("cache")).args(arguments);
    command
}

fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = program(folder, arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{error}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn runs(out: &Path) -> Vec<PathBuf> {
    let mut runs: Vec<_> = std::fs::read_dir(out.join("runs")).unwrap().map(|entry| entry.unwrap().path()).collect();
    runs.sort();
    runs
}

/// Predictions, training losses and weights of every run.
fn results(out: &Path) -> Vec<(Vec<u8>, Vec<String>, Vec<u8>)> {
    let read = |path: PathBuf| std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let result = |run: PathBuf| {
        let epochs = String::from_utf8(read(run.join("epochs.csv"))).unwrap();
        // Times differ: schema, epoch, lr and train_loss come first.
        let losses = epochs.lines().map(|line| line.split(',').take(4).collect()).collect();
        (read(run.join("predictions.csv")), losses, read(run.join("weights.safetensors")))
    };
    runs(out).into_iter().map(result).collect()
}

#[test]
fn a_summary_counts_the_parameters_of_the_paper() {
    let folder = TempDir::new().unwrap();
    // timm's mixer_s16_224 has 18,528,264.
    let text = succeed(folder.path(), &["summary", "mixer_s16"]);
    assert!(text.contains("18,528,264") && text.contains("token_mixing"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&succeed(folder.path(), &["summary", CONFIG, "--format", "json"])).unwrap();
    assert_eq!((&json[0]["architecture"], &json[1]["architecture"]), (&"mixer".into(), &"vit".into()));
}

#[test]
fn a_sweep_that_is_killed_ends_as_one_that_is_not() {
    let folder = TempDir::new().unwrap();
    let sweep = ["--set", "sweep.\"model.mixer.depth\"=[1, 2]", "--set", "seeds=[0]"];
    let arguments = |out: &'static str| [&["run", CONFIG, "--out", out], &sweep[..], &QUICK[..]].concat();
    succeed(folder.path(), &arguments("whole"));
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));

    let mut child =
        program(folder.path(), &arguments("killed")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    let finished = || killed.join("runs").is_dir() && runs(&killed).iter().any(|run| run.join("done.json").is_file());
    while !finished() && start.elapsed() < Duration::from_secs(300) {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    succeed(folder.path(), &arguments("killed"));

    // A ViT and two mixers.
    assert_eq!(runs(&whole).len(), 3);
    assert!(results(&whole) == results(&killed), "the killed sweep has other results");
    let report = std::fs::read_to_string(whole.join("report.md")).unwrap();
    assert!(
        report.contains("mixer depth=1") && report.contains("mixer depth=2") && report.contains("| vit |"),
        "{report}"
    );
    let models = std::fs::read_to_string(whole.join("models.csv")).unwrap();
    assert!(models.lines().next().unwrap().contains("macs_token_mixing"), "{models}");
    let again = whole.join("report.html");
    std::fs::remove_file(&again).unwrap();
    succeed(folder.path(), &["report", "whole"]);
    assert!(again.is_file());
}

#[test]
fn models_of_the_crate_are_timed_and_matched_in_size() {
    let folder = TempDir::new().unwrap();
    let table = succeed(folder.path(), &[&["time", CONFIG, "--format", "csv"], &QUICK[..]].concat());
    assert!(table.lines().any(|line| line.starts_with("mixer,train_step")), "{table}");
    let set = ["--set", "sweep.match=params", "--set", "sweep.target=20000"];
    let plan = succeed(folder.path(), &[&["plan", CONFIG, "--no-estimate", "--format", "csv"], &set[..]].concat());
    assert!(plan.lines().any(|line| line.contains("mixer")), "{plan}");
}
