//! `cargo bench --bench data`: how fast one core turns decoded images into the input of a model.
//!
//! Names are `data/AUGMENTATION/SIZE`. All of them normalise every sample and compute its digest, as training does.

mod setup;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use vitbench::data::{BatchReader, Images};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const IMAGES: usize = 64;
const AUGMENTATIONS: [(&str, &str); 10] = [
    ("none", ""),
    ("horizontal_flip", "augment.horizontal_flip = true"),
    ("random_resized_crop", "augment.random_resized_crop.scale = [0.08, 1.0]"),
    ("pad_and_crop", "augment.pad_and_crop.padding = 4"),
    ("rand_augment", "augment.rand_augment = { operations = 1, magnitude = 8 }"),
    ("color_jitter", "augment.color_jitter = { brightness = 0.1, contrast = 0.1, saturation = 0.1 }"),
    ("random_erasing", "augment.random_erasing.probability = 0.25"),
    ("mixup", "augment.mixup.alpha = 0.8"),
    ("cutmix", "augment.cutmix.alpha = 1.0"),
    // Everything in the published recipe of the convolutional ViT.
    (
        "published",
        "[augment]\nrandom_resized_crop = { scale = [0.75, 1.0], ratio = [1.0, 1.0] }\nhorizontal_flip = true\n\
         rand_augment = { operations = 1, magnitude = 8 }\nrandom_erasing = { probability = 0.25 }\n\
         color_jitter = { brightness = 0.1, contrast = 0.1, saturation = 0.1 }",
    ),
];

fn images(size: usize) -> Images {
    let pixels = (0..IMAGES * size * size * 3).map(|i| (i * 7919 % 251) as u8).collect();
    Images::new(size, pixels, vec![0; IMAGES], (0..IMAGES).map(|i| i.to_string()).collect())
}

fn bench(criterion: &mut Criterion) {
    setup::prepare();
    let indices: Vec<u32> = (0..IMAGES as u32).collect();
    for size in [32, 224] {
        let images = images(size);
        for (name, keys) in AUGMENTATIONS {
            let config = toml::from_str(&format!("dataset = 'shapes'\n{keys}")).expect("a table of the suite");
            let reader = BatchReader::training(&images, &config, 0);
            let mut group = criterion.benchmark_group(format!("data/{name}"));
            group.throughput(Throughput::Elements(IMAGES as u64));
            group.sample_size(20).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
            let mut epoch = 0;
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(|| {
                    epoch += 1;
                    black_box(reader.read(&indices, 0..IMAGES, [epoch, 0], 10))
                });
            });
        }
    }
}

criterion_group! { name = benches; config = setup::criterion(); targets = bench }
criterion_main!(benches);
