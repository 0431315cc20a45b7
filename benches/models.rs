//! `cargo bench --bench models`: training step and inference of the models of `configs/speed.toml` on all cores.
//!
//! Names are `train_step/MODEL` and `inference/MODEL/BATCH`; a batch of one image is on one core. Elements are images.

mod setup;

use std::cell::LazyCell;
use std::path::Path;
use std::time::Duration;

use burn::module::Module;
use burn::tensor::Device;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use vitbench::config::{self, Decay, TimedModel};
use vitbench::device::DeviceName;
use vitbench::train::{Batch, Lanes, Learner, MicroBatch, StepOptions, infer, micro_batch_on, optimizer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Learning rate of the steps: so small that the weights stay where they are.
const LR: f64 = 1e-7;

/// A model with its optimiser, for batches of up to `batch` images.
fn learner(timed: &TimedModel, batch: usize) -> Learner {
    let architecture = &timed.model.architecture;
    let device = Device::flex().autodiff();
    let model = architecture.init(0, &device);
    let optimizer = optimizer::build(&timed.step.optimizer, Decay::All, &model);
    let micro_batch = micro_batch_on(DeviceName::Flex, &timed.model, architecture, batch);
    Learner::new(model, optimizer, device, micro_batch, architecture.images().1)
}

/// Made-up images, cut into the parts that lanes take.
fn parts(timed: &TimedModel, learner: &Learner, images: usize, device: &Device) -> Vec<MicroBatch> {
    let (size, classes) = timed.model.architecture.images();
    let values = |n: usize| (0..n * 3 * size * size).map(|i| ((i * 7919) % 511) as f32 / 128.0 - 2.0).collect();
    let labels = |n: usize| (0..n).map(|i| (i % classes) as i64).collect();
    let sizes = (0..images).step_by(learner.micro_batch()).map(|start| learner.micro_batch().min(images - start));
    sizes.map(|n| MicroBatch::new(values(n), labels(n), size, classes, device)).collect()
}

fn group<'a>(criterion: &'a mut Criterion, mode: &str, images: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(mode);
    group.throughput(Throughput::Elements(images as u64)).sampling_mode(SamplingMode::Flat);
    group.sample_size(10).measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(2));
    group
}

fn bench(criterion: &mut Criterion) {
    setup::prepare();
    let lanes = Lanes::new(std::thread::available_parallelism().map_or(1, usize::from));
    let speed = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/speed.toml");
    for timed in config::load_timing(&speed, &[]).expect("a config of the suite").models {
        let name = &timed.model.name;
        // Models are made when a benchmark begins: those that the command line leaves out cost nothing.
        for &images in &timed.train_batch_sizes {
            let mut prepared = None;
            group(criterion, "train_step", images).bench_function(name, |bencher| {
                let (learner, parts) = prepared.get_or_insert_with(|| {
                    let learner = learner(&timed, images);
                    let parts = parts(&timed, &learner, images, learner.device());
                    (learner, parts)
                });
                let fetch = |part: usize| parts[part].clone();
                let batch = Batch { images, micro_batches: parts.len(), fetch: &fetch };
                let options = StepOptions { lr: LR, clip_norm: None, gradient_checkpointing: false };
                bencher.iter(|| learner.step(&lanes, &batch, options).expect("finite numbers"));
            });
        }
        for &images in [1].iter().chain(&timed.inference_batch_sizes) {
            let prepared = LazyCell::new(|| {
                let learner = learner(&timed, images);
                let parts = parts(&timed, &learner, images, &Device::flex());
                (learner.model().valid(), parts)
            });
            group(criterion, "inference", images).bench_function(format!("{name}/{images}"), |bencher| {
                let (model, parts) = &*prepared;
                let fetch = |part: usize| parts[part].clone();
                let batch = Batch { images, micro_batches: parts.len(), fetch: &fetch };
                bencher.iter(|| infer(model, &lanes, &batch));
            });
        }
    }
}

criterion_group! { name = benches; config = setup::criterion(); targets = bench }
criterion_main!(benches);
