//! `cargo bench --bench models`: training step and inference of the models of `configs/speed.toml` on all cores.
//!
//! Names are `train_step/MODEL` and `inference/MODEL/BATCH`. A batch of one image runs on one core. Elements are images.

mod setup;

use std::path::Path;
use std::time::Duration;

use burn::tensor::Device;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use vitbench::config;
use vitbench::device::DeviceName;
use vitbench::lanes::Lanes;
use vitbench::results::TimingMode;
use vitbench::train::TimingBench;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        let training = timed.train_batch_sizes.iter().map(|images| (TimingMode::TrainStep, *images));
        let inference = [1].iter().chain(&timed.inference_batch_sizes).map(|images| (TimingMode::Inference, *images));
        for (mode, images) in training.chain(inference) {
            let (mode_name, id) = match mode {
                TimingMode::TrainStep => ("train_step", name.clone()),
                TimingMode::Inference => ("inference", format!("{name}/{images}")),
            };
            // Models are built when their benchmark begins, so those that the command line leaves out cost nothing.
            let mut prepared = None;
            group(criterion, mode_name, images).bench_function(id, |bencher| {
                let bench =
                    prepared.get_or_insert_with(|| TimingBench::new(DeviceName::Flex, &timed, images, &Device::flex()));
                let mut step = bench.step(mode, images, &lanes);
                bencher.iter(|| step().expect("finite numbers"));
            });
        }
    }
}

criterion_group! { name = benches; config = setup::criterion(); targets = bench }
criterion_main!(benches);
