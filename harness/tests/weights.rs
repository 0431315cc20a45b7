//! Weights in and out of runs: what training leaves can be exported, and can be started from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use vitbench::weights::WeightsFile;

const CONFIG: &str = r#"
[data]
dataset = "shapes"
image_size = 16
train_limit = 40
test_limit = 20

[train]
epochs = 1
batch_size = 16
optimizer = { kind = "adamw" }
lr = 0.001

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
"#;

struct Bench(TempDir);

impl Bench {
    fn new(config: &str) -> Self {
        let bench = Self(TempDir::new().unwrap());
        fs::write(bench.path("plan.toml"), config).unwrap();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn vitbench(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_vitbench")).current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.vitbench(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {}\n{text}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn refused(&self, arguments: &[&str]) -> String {
        self.refused_with(2, arguments)
    }

    fn refused_with(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.vitbench(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.starts_with("error: ") && text.contains("help: ") && !text.contains("panicked"), "{text}");
        text
    }

    /// The folder of the only run in a folder of results, from the working directory.
    fn run(&self, results: &str) -> String {
        let runs: Vec<_> = fs::read_dir(self.path(results).join("runs")).unwrap().map(|run| run.unwrap()).collect();
        let [run] = &runs[..] else { panic!("{runs:?}") };
        format!("{results}/runs/{}", run.file_name().display())
    }
}

fn tensors(path: &Path) -> Vec<(String, Vec<f32>)> {
    let file = WeightsFile::open(path).unwrap();
    file.names().map(|name| (name.to_owned(), file.read(name).unwrap().data)).collect()
}

#[test]
fn trained_weights_are_exported_and_started_from() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "first"]);
    let run = bench.run("first");

    let said = bench.succeed(&["export", &run, "--layout", "huggingface", "--to", "hf.safetensors"]);
    assert_eq!(said, "24 tensors written to hf.safetensors\n");
    let exported = tensors(&bench.path("hf.safetensors"));
    assert_eq!(exported.len(), 24);
    assert!(exported.iter().any(|(name, _)| name == "vit.encoder.layer.0.attention.attention.query.weight"));
    bench.succeed(&["export", &run, "--layout", "ours"]);
    let own = bench.path(&run).join("weights-ours.safetensors");
    assert_eq!(fs::read(own).unwrap(), fs::read(bench.path(&run).join("weights.safetensors")).unwrap());

    // Earlier versions kept the weights elsewhere; published folders have none.
    fs::create_dir(bench.path(&run).join("checkpoint")).unwrap();
    let older = bench.path(&run).join("checkpoint/model.safetensors");
    fs::rename(bench.path(&run).join("weights.safetensors"), &older).unwrap();
    bench.succeed(&["export", &run, "--layout", "huggingface", "--to", "older.safetensors"]);
    assert_eq!(tensors(&bench.path("older.safetensors")), exported);
    fs::remove_file(older).unwrap();
    let said = bench.refused(&["export", &run]);
    assert!(said.contains("the run has no `weights.safetensors`") && said.contains("vitbench run PLAN"), "{said}");

    // With a learning rate of almost nothing, weights end where they start.
    fs::create_dir(bench.path("configs")).unwrap();
    fs::write(bench.path("configs/second.toml"), format!("{CONFIG}init = '../hf.safetensors'\n")).unwrap();
    let second = ["run", "configs/second.toml", "--out", "second", "--set", "train.lr=1e-30"];
    let said = bench.succeed(&second);
    assert!(said.contains("vit: starts from configs/../hf.safetensors"), "{said}");
    let again = bench.run("second");
    bench.succeed(&["export", &again, "--to", "again.safetensors"]);
    assert_eq!(tensors(&bench.path("again.safetensors")), exported);

    // The same weights elsewhere are the same run; other weights in their place are not.
    fs::rename(bench.path("hf.safetensors"), bench.path("moved.safetensors")).unwrap();
    fs::write(bench.path("moved.toml"), format!("{CONFIG}init = 'moved.safetensors'\n")).unwrap();
    bench.succeed(&["run", "moved.toml", "--out", "third", "--set", "train.lr=1e-30"]);
    assert_eq!(bench.run("third").replace("third", "second"), again);
    fs::copy(bench.path(&again).join("weights.safetensors"), bench.path("moved.safetensors")).unwrap();
    let said = bench.refused(&["run", "moved.toml", "--out", "third", "--set", "train.lr=1e-30"]);
    assert!(said.contains("different config: model.0.init_blake3 is "), "{said}");
    let said = bench.refused(&["run", "third/plan.toml", "--out", "third"]);
    assert!(said.contains("moved.safetensors is another file than before"), "{said}");
}

#[test]
fn several_runs_find_the_weights_from_processes_of_their_own() {
    let bench = Bench::new(CONFIG);
    bench.succeed(&["run", "plan.toml", "--out", "first"]);
    bench.succeed(&["export", &bench.run("first"), "--to", "w.safetensors"]);
    let config = format!("seeds = [0, 1]\n{CONFIG}init = 'w.safetensors'\n");
    fs::write(bench.path("second.toml"), config).unwrap();
    let said = bench.succeed(&["run", "second.toml", "--out", "second", "--threads", "1"]);
    assert_eq!(said.matches("starts from").count(), 1, "{said}");
    assert_eq!(fs::read_dir(bench.path("second/runs")).unwrap().count(), 2);
}

#[test]
fn unusable_weights_are_refused_before_anything_is_written() {
    let bench = Bench::new(&format!("{CONFIG}init = 'w.safetensors'\n"));
    let run = ["run", "plan.toml", "--out", "results"];
    let said = bench.refused(&run);
    assert!(said.contains("plan.toml: model `vit`: init: there is no file w.safetensors\n"), "{said}");
    fs::write(bench.path("w.safetensors"), "anything").unwrap();
    let said = bench.refused_with(3, &run);
    assert!(said.contains("w.safetensors: it begins with a header of"), "{said}");
    assert!(!bench.path("results").exists());
    let said = bench.refused(&["run", "plan.toml", "--set", "model.0.init=3"]);
    assert!(said.contains("init"), "{said}");
}

#[test]
fn only_a_finished_run_is_exported() {
    let bench = Bench::new(CONFIG);
    let said = bench.refused(&["export", "results/quick/runs/nothing"]);
    assert!(said.contains("there is no such folder"), "{said}");
    let said = bench.refused(&["export", "."]);
    assert!(said.contains("the run is not finished"), "{said}");
}
