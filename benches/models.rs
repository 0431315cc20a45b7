//! `cargo bench --bench models`: training step and inference of the three architectures at their published sizes.

mod setup;

use std::time::Duration;

use burn::module::Module;
use burn::tensor::Device;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use vitbench::architecture::ArchitectureConfig;
use vitbench::config::{Decay, OptimizerConfig};
use vitbench::train::{Batch, Lanes, Learner, MicroBatch, StepOptions, infer, micro_batch, optimizer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Model, image size, batch size, classes.
fn models() -> [(&'static str, ArchitectureConfig, usize, usize, usize); 3] {
    let config = |text: &str| toml::from_str(text).expect("a model of the suite");
    [
        (
            "vit",
            config("architecture = 'vit'\npatch_size = 4\nd_model = 192\ndepth = 12\nheads = 3\nd_ff = 768"),
            32,
            128,
            10,
        ),
        (
            "linformer",
            config(
                "architecture = 'linformer'\npatch_size = 32\nd_model = 128\ndepth = 12\nheads = 8\nd_ff = 512\nprojected_len = 64",
            ),
            224,
            64,
            2,
        ),
        (
            "conv_vit",
            config("architecture = 'conv_vit'\npatch_size = 2\nd_model = 32\ndepth = 4\nhead_channels = 8\nd_ff = 128"),
            32,
            128,
            10,
        ),
    ]
}

fn parts(images: usize, micro_batch: usize, size: usize, classes: usize, device: &Device) -> Vec<MicroBatch> {
    let values = |n: usize| (0..n * 3 * size * size).map(|i| ((i * 7919) % 511) as f32 / 128.0 - 2.0).collect();
    let labels = |n: usize| (0..n).map(|i| (i % classes) as i64).collect();
    let sizes = (0..images).step_by(micro_batch).map(|start| micro_batch.min(images - start));
    sizes.map(|n| MicroBatch::new(values(n), labels(n), size, classes, device)).collect()
}

fn bench(criterion: &mut Criterion) {
    setup::prepare();
    let lanes = Lanes::new(std::thread::available_parallelism().map_or(1, usize::from));
    for (name, config, size, images, classes) in models() {
        let architecture = config.for_images(size, classes);
        let (plain, device, micro) = (Device::flex(), Device::flex().autodiff(), micro_batch(&architecture));
        let adamw = OptimizerConfig::Adamw { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.01 };
        let model = architecture.init(0, &device);
        let optimizer = optimizer::build(&adamw, Decay::All, &model);
        let mut learner = Learner::new(model, optimizer, device.clone(), micro, classes);
        for (mode, id) in [("train_step", name.to_owned()), ("inference", format!("{name}/{images}"))] {
            let training = mode == "train_step";
            let parts = parts(images, micro, size, classes, if training { &device } else { &plain });
            let fetch = |part: usize| parts[part].clone();
            let batch = Batch { images, micro_batches: parts.len(), fetch: &fetch };
            let mut group = criterion.benchmark_group(mode);
            group.throughput(Throughput::Elements(images as u64)).sampling_mode(SamplingMode::Flat);
            group.sample_size(10).measurement_time(Duration::from_secs(8)).warm_up_time(Duration::from_secs(2));
            let options = StepOptions { lr: 1e-7, clip_norm: None, gradient_checkpointing: false };
            let model = learner.model().valid();
            group.bench_function(id, |bencher| {
                bencher.iter(|| match training {
                    true => drop(learner.step(&lanes, &batch, options).expect("finite numbers")),
                    false => drop(infer(&model, &lanes, &batch)),
                });
            });
        }
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
