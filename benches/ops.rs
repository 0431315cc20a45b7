//! `cargo bench --bench ops`: each fused operation against the composition of Burn's own operations, at the models' sizes.
//!
//! Names are `ops/OPERATION/VARIANT/MODE/MODEL`, with the variants `fused` and `composed`. Mode `train` is the forward and backward
//! pass with the gradients of all inputs; mode `infer` is the forward pass. All run on one thread, as within a lane. Elements are the
//! values of the first input.

mod setup;

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::{Device, Distribution, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use layers::ops::{self, composed};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The dimensions of an operation in one model.
#[derive(Clone, Copy)]
struct Size {
    model: &'static str,
    /// Images of a micro-batch.
    images: usize,
    tokens: usize,
    d_model: usize,
    d_ff: usize,
    heads: usize,
    /// Keys and values per image.
    keys: usize,
}

const CONV_VIT: Size = Size { model: "conv_vit", images: 2, tokens: 256, d_model: 32, d_ff: 128, heads: 4, keys: 256 };
const LINFORMER: Size = Size { model: "linformer", images: 8, tokens: 50, d_model: 128, d_ff: 512, heads: 8, keys: 64 };
const VIT: Size = Size { model: "vit", images: 8, tokens: 65, d_model: 192, d_ff: 768, heads: 3, keys: 65 };
const VIT_BASE: Size =
    Size { model: "vit_base", images: 2, tokens: 197, d_model: 768, d_ff: 3072, heads: 12, keys: 197 };

const ALL: &[Size] = &[CONV_VIT, LINFORMER, VIT, VIT_BASE];
const WITH_TOKEN_ATTENTION: &[Size] = &[LINFORMER, VIT, VIT_BASE];

/// An operation over tensors of three axes; matrices and vectors have leading axes of length one.
type Operation = fn(&[Tensor<3>], Size) -> Tensor<3>;

fn compare(
    criterion: &mut Criterion,
    name: &str,
    sizes: &[Size],
    shapes: fn(Size) -> Vec<[usize; 3]>,
    variants: [Operation; 2],
) {
    let mut group = criterion.benchmark_group(format!("ops/{name}"));
    group.sample_size(20).measurement_time(Duration::from_millis(1200)).warm_up_time(Duration::from_millis(300));
    for (mode, device) in [("train", Device::flex().autodiff()), ("infer", Device::flex())] {
        for size in sizes {
            let shapes = shapes(*size);
            group.throughput(Throughput::Elements(shapes[0].iter().product::<usize>() as u64));
            let random = |shape| Tensor::<3>::random(shape, Distribution::Normal(0.0, 0.5), &device);
            let mut inputs: Vec<_> = shapes.into_iter().map(random).collect();
            if mode == "train" {
                inputs = inputs.into_iter().map(Tensor::require_grad).collect();
            }
            for (variant, operation) in ["fused", "composed"].into_iter().zip(variants) {
                group.bench_function(BenchmarkId::new(format!("{variant}/{mode}"), size.model), |bencher| {
                    bencher.iter(|| {
                        let output = operation(&inputs, *size);
                        if mode == "train" {
                            black_box(output.backward());
                        } else {
                            black_box(output);
                        }
                    });
                });
            }
        }
    }
    group.finish();
}

fn matrix(x: &Tensor<3>) -> Tensor<2> {
    let [_, rows, columns] = x.dims();
    x.clone().reshape([rows, columns])
}

fn vector(x: &Tensor<3>) -> Option<Tensor<1>> {
    let length = x.dims()[2];
    Some(x.clone().reshape([length]))
}

fn bench(criterion: &mut Criterion) {
    setup::prepare();
    setup::one_thread();
    pointwise(criterion);
    linear(criterion);
    attention(criterion);
    patches(criterion);
}

fn pointwise(criterion: &mut Criterion) {
    let norm = |s: Size| vec![[s.images, s.tokens, s.d_model], [1, 1, s.d_model], [1, 1, s.d_model]];
    compare(
        criterion,
        "gelu",
        ALL,
        |s| vec![[s.images, s.tokens, s.d_ff]],
        [|x, _| ops::gelu(x[0].clone()), |x, _| composed::gelu(x[0].clone())],
    );
    compare(
        criterion,
        "layer_norm",
        ALL,
        norm,
        [
            |x, _| ops::layer_norm(x[0].clone(), vector(&x[1]).unwrap(), vector(&x[2]).unwrap(), 1e-5),
            |x, _| composed::layer_norm(x[0].clone(), vector(&x[1]).unwrap(), vector(&x[2]).unwrap(), 1e-5),
        ],
    );
}

fn linear(criterion: &mut Criterion) {
    let up = |s: Size| vec![[s.images, s.tokens, s.d_model], [1, s.d_model, s.d_ff], [1, 1, s.d_ff]];
    let down = |s: Size| {
        vec![[s.images, s.tokens, s.d_ff], [1, s.d_ff, s.d_model], [1, 1, s.d_model], [s.images, s.tokens, s.d_model]]
    };
    compare(
        criterion,
        "linear",
        ALL,
        up,
        [
            |x, _| ops::linear(x[0].clone(), matrix(&x[1]), vector(&x[2])),
            |x, _| composed::linear(x[0].clone(), matrix(&x[1]), vector(&x[2])),
        ],
    );
    compare(
        criterion,
        "linear_gelu",
        ALL,
        up,
        [
            |x, _| ops::linear_gelu(x[0].clone(), matrix(&x[1]), vector(&x[2])),
            |x, _| composed::linear_gelu(x[0].clone(), matrix(&x[1]), vector(&x[2])),
        ],
    );
    compare(
        criterion,
        "linear_residual",
        ALL,
        down,
        [
            |x, _| ops::linear_residual(x[0].clone(), matrix(&x[1]), vector(&x[2]), x[3].clone()),
            |x, _| composed::linear_residual(x[0].clone(), matrix(&x[1]), vector(&x[2]), x[3].clone()),
        ],
    );
}

fn attention(criterion: &mut Criterion) {
    let qkv = |s: Size| {
        let keys = [s.images, s.keys, s.d_model];
        vec![[s.images, s.tokens, s.d_model], keys, keys]
    };
    compare(
        criterion,
        "attention",
        WITH_TOKEN_ATTENTION,
        qkv,
        [
            |x, s| ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), s.heads),
            |x, s| composed::attention(x[0].clone(), x[1].clone(), x[2].clone(), s.heads),
        ],
    );
    compare(
        criterion,
        "channel_attention",
        &[CONV_VIT],
        |s| vec![[s.images, s.tokens, 3 * s.d_model]],
        [
            |x, s| ops::channel_attention(x[0].clone(), s.d_model / s.heads),
            |x, s| composed::channel_attention(x[0].clone(), s.d_model / s.heads),
        ],
    );
}

fn patches(criterion: &mut Criterion) {
    // Images and micro-batches of the models: 32x32 pixels in patches of 2, 224x224 in patches of 32.
    for (model, shape, patch_size) in [("conv_vit", [2, 3, 32, 32], 2), ("linformer", [8, 3, 224, 224], 32)] {
        let images = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex());
        let mut group = criterion.benchmark_group("ops/patches");
        group.sample_size(20).measurement_time(Duration::from_millis(1200)).warm_up_time(Duration::from_millis(300));
        group.throughput(Throughput::Elements(shape.iter().product::<usize>() as u64));
        for (variant, patches) in
            [("fused/infer", ops::patches as fn(_, _) -> _), ("composed/infer", composed::patches)]
        {
            group.bench_function(BenchmarkId::new(variant, model), |bencher| {
                bencher.iter(|| black_box(patches(images.clone(), patch_size)));
            });
        }
    }
}

criterion_group! { name = benches; config = setup::criterion(); targets = bench }
criterion_main!(benches);
