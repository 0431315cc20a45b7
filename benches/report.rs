//! `cargo bench --bench report`: how long the tables, plots and reports of a sweep take, from reading its records to the last file.
//!
//! Names are `report/RUNS`. Each model has ten runs with different seeds. The records are copies of those of one run: 20 epochs, 158
//! times, 25 predictions.

mod setup;

use std::cell::LazyCell;
use std::fs;
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use serde_json::{Value, json};
use vitbench::config::ReportConfig;
use vitbench::report::{self, Source};
use vitbench::results::ResultsFolder;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEEDS: usize = 10;

/// Writes the records of `runs` runs below `root` and returns the names of their models.
fn records(root: &Path, runs: usize) -> Vec<String> {
    let run = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("harness/tests/fixtures/records-schema-1/runs/conv_vit-s0-757c985c6a");
    let read = |file: &str| fs::read(run.join(file)).expect("the records are part of the repository");
    let files = ["config.toml", "epochs.csv", "timing.csv", "predictions.csv"].map(|file| (file, read(file)));
    let done: Value = serde_json::from_slice(&read("done.json")).expect("a record is JSON");
    for index in 0..runs {
        let (model, seed) = (index / SEEDS, index % SEEDS);
        let name = format!("conv_vit_{model}-s{seed}");
        let folder = root.join("runs").join(&name);
        fs::create_dir_all(&folder).expect("a temporary folder can be written");
        let mut done = done.clone();
        // Accuracies and times differ as they would between models and seeds.
        let spread = (index * 7919 % 1000) as f64 / 1000.0;
        for (key, value) in [
            ("run", json!(name)),
            ("model", json!(format!("conv_vit {model}"))),
            ("seed", json!(seed)),
            ("test_images", json!(25)),
            ("test_top1", json!(0.5 + 0.3 * spread)),
            ("train_seconds", json!(30.0 + 10.0 * spread)),
        ] {
            done[key] = value;
        }
        let done = serde_json::to_vec_pretty(&done).expect("a record is JSON");
        let all = files.iter().map(|(file, bytes)| (*file, bytes)).chain([("done.json", &done)]);
        all.for_each(|(file, bytes)| fs::write(folder.join(file), bytes).expect("a temporary folder can be written"));
    }
    (0..runs.div_ceil(SEEDS)).map(|model| format!("conv_vit {model}")).collect()
}

fn bench(criterion: &mut Criterion) {
    setup::prepare();
    let mut group = criterion.benchmark_group("report");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);
    group.measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    for runs in [300, 10_000] {
        // Written when the benchmark begins, so it costs nothing if the command line leaves it out.
        let prepared = LazyCell::new(|| {
            let temporary = tempfile::tempdir().expect("there is room for a temporary folder");
            let models = records(temporary.path(), runs);
            let folder = ResultsFolder::open(temporary.path()).expect("it was just written");
            (temporary, models, [folder])
        });
        group.throughput(Throughput::Elements(runs as u64));
        group.bench_function(BenchmarkId::from_parameter(runs), |bencher| {
            let (temporary, models, folders) = &*prepared;
            let report = ReportConfig::default();
            let source = Source { folders, models, references: &[], report: &report };
            bencher.iter(|| report::write(temporary.path(), &source).expect("the records can be read"));
        });
    }
    group.finish();
}

criterion_group! { name = benches; config = setup::criterion(); targets = bench }
criterion_main!(benches);
