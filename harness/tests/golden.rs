//! Two small plans train to recorded results: epochs, predictions and weights, to the last bit.
//!
//! Bits depend on the vector instructions that the kernels choose, so there is a set of digests for each feature level of a CPU
//! (`golden/digests/NUMERICS/LEVEL.toml`, with the `NUMERICS_VERSION` that they belong to). On a CPU without a set, the test compares
//! losses to 1e-5 and says so. A change that is meant to change bits raises `NUMERICS_VERSION`; then
//! `VITBENCH_RECORD_GOLDEN=1 cargo test --release -p vitbench --test golden` records this CPU's set.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

mod bench;

use bench::Bench;

/// Results by plan and model.
type Golden = BTreeMap<String, BTreeMap<String, Results>>;

/// What a run left behind.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Results {
    /// Digest of `epochs.csv`, without the columns of time.
    epochs: String,
    /// Digest of `predictions.csv`.
    predictions: String,
    /// Digest of the trained weights, tensor by tensor.
    weights: String,
    /// Training loss of each epoch.
    train_loss: Vec<f64>,
    /// Evaluation loss of each epoch.
    eval_loss: Vec<f64>,
}

/// The set of digests that holds on this CPU: the one for the instructions that the kernels choose.
fn feature_level() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            return "x86-64-v4";
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            return "x86-64-v3";
        }
        "x86-64"
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::env::consts::ARCH
}

/// The digests of this version of the numerics.
fn digests_folder() -> PathBuf {
    golden_folder().join("digests").join(vitbench::NUMERICS_VERSION.to_string())
}

fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Cells of a table by column, without the columns whose values differ from run to run and without the schema's version.
fn columns(path: &Path) -> Vec<(String, Vec<String>)> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let timed = |name: &str| name.contains("seconds") || name.contains("per_s") || name == "schema";
    let kept = names.into_iter().enumerate().filter(|(_, name)| !timed(name));
    kept.map(|(index, name)| (name, rows.iter().map(|row| row[index].to_owned()).collect())).collect()
}

/// Digest of a table's cells. Names of columns are left out: renaming one changes no result.
fn table_digest(path: &Path) -> String {
    let mut hasher = blake3::Hasher::new();
    for (_, cells) in columns(path) {
        for cell in cells {
            hasher.update(cell.as_bytes()).update(b"\n");
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// Digest of all tensors in the order of their names.
fn weights_digest(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file.tensors();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    let mut hasher = blake3::Hasher::new();
    for (name, tensor) in tensors {
        hasher.update(format!("{name} {:?}\n", tensor.shape()).as_bytes()).update(tensor.data());
    }
    hasher.finalize().to_hex().to_string()
}

fn results(run: &Path) -> Results {
    let epochs = run.join("epochs.csv");
    let numbers = |name: &str| {
        let column = columns(&epochs).into_iter().find(|(column, _)| column == name).expect("the column exists");
        column.1.iter().map(|cell| cell.parse().unwrap()).collect()
    };
    Results {
        epochs: table_digest(&epochs),
        predictions: table_digest(&run.join("predictions.csv")),
        weights: weights_digest(&run.join("weights.safetensors")),
        train_loss: numbers("train_loss"),
        eval_loss: numbers("eval_loss"),
    }
}

/// Trains both plans.
fn trained() -> Golden {
    let plan = |name: &str| {
        let bench = Bench::new(&fs::read_to_string(golden_folder().join(name).with_extension("toml")).unwrap());
        let untimed = ["--set", "measure.max_seconds=0.0"];
        bench.succeed(&[&["run", "plan.toml", "--threads", "2", "--out", "out"], &untimed[..]].concat());
        let runs = fs::read_dir(bench.path("out/runs")).unwrap().map(|entry| entry.unwrap().path());
        let model = |run: &Path| {
            let name = run.file_name().unwrap().to_string_lossy().into_owned();
            name.split("-s").next().unwrap().to_owned()
        };
        let found: BTreeMap<_, _> = runs.map(|run| (model(&run), results(&run))).collect();
        (name.to_owned(), found)
    };
    ["adamw", "muon"].map(plan).into()
}

/// The sets that are recorded, by feature level.
fn recorded() -> BTreeMap<String, Golden> {
    let files = fs::read_dir(digests_folder()).into_iter().flatten().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let level = path.file_stem().unwrap().to_string_lossy().into_owned();
        (level, toml::from_str(&fs::read_to_string(path).unwrap()).unwrap())
    };
    files.map(read).collect()
}

/// Errs at the first loss that is further away than 1e-5 of its value.
fn assert_close(expected: &Golden, found: &Golden) {
    for (plan, models) in expected {
        for (model, expected) in models {
            let found = &found[plan][model];
            let pairs = [(&expected.train_loss, &found.train_loss), (&expected.eval_loss, &found.eval_loss)];
            for (expected, found) in pairs {
                assert_eq!(expected.len(), found.len(), "{plan} {model}");
                let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5 * a.abs();
                assert!(expected.iter().zip(found).all(close), "{plan} {model}: {found:?}, recorded {expected:?}");
            }
        }
    }
}

#[test]
fn training_gives_the_recorded_bits() {
    let found = trained();
    if std::env::var_os("VITBENCH_RECORD_GOLDEN").is_some() {
        let path = digests_folder().join(feature_level()).with_extension("toml");
        // One version of the numerics has one set of bits.
        assert!(!path.exists(), "{} exists: raise NUMERICS_VERSION in harness/src/lib.rs first", path.display());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(path, toml::to_string(&found).unwrap()).unwrap();
    }
    let mut recorded = recorded();
    if let Some(expected) = recorded.remove(feature_level()) {
        for (plan, models) in &expected {
            for (model, expected) in models {
                let found = &found[plan][model];
                assert_eq!(
                    expected, found,
                    "{plan} {model}: left is recorded, right was trained; if the change is meant, raise NUMERICS_VERSION"
                );
            }
        }
        assert_eq!(expected, found);
    } else {
        testing::skipped(
            "the bits of the golden runs",
            format!("no digests for {}; losses are compared to 1e-5 instead", feature_level()),
        );
        let (_, expected) = recorded.pop_first().expect("a set is recorded");
        assert_close(&expected, &found);
    }
}
