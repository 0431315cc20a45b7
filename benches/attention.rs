//! `cargo bench --bench attention`: the cost of each attention mechanism, including its linear maps, by the number of tokens.
//!
//! Names are `attention/MECHANISM/TOKENS`. Each is inference of one image on one thread, with `d_model` 128 and heads of 16 channels.

mod setup;

use std::hint::black_box;
use std::time::Duration;

use burn::tensor::{Device, Distribution, Tensor};
use conv_vit::MhSelfAttention;
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use layers::{Attention, Init, Scheme};
use linformer::LinformerAttention;
use vit::SelfAttention;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TOKENS: [usize; 5] = [16, 64, 256, 1024, 4096];
const D_MODEL: usize = 128;
const HEADS: usize = 8;

/// `residual + attention(x)`.
type Pass = Box<dyn Fn(Tensor<3>, Tensor<3>) -> Tensor<3>>;

/// Every mechanism for this many tokens.
fn mechanisms(tokens: usize, device: &Device) -> [(&'static str, Pass); 4] {
    let mut init = Init::new(Scheme::PyTorch, 0, device);
    let mut linear = |bias| init.linear(D_MODEL, D_MODEL, bias);
    let full = SelfAttention {
        query: linear(true),
        key: linear(true),
        value: linear(true),
        output: linear(true),
        heads: HEADS,
    };
    let mut linformer = |k| LinformerAttention {
        query: init.linear(D_MODEL, D_MODEL, false),
        key: init.linear(D_MODEL, D_MODEL, false),
        value: init.linear(D_MODEL, D_MODEL, false),
        key_projection: init.uniform([tokens, k], 0.1),
        value_projection: init.uniform([tokens, k], 0.1),
        output: init.linear(D_MODEL, D_MODEL, true),
        heads: HEADS,
    };
    let (short, long) = (linformer(64), linformer(256));
    let channel = MhSelfAttention {
        qkv: init.linear(D_MODEL, 3 * D_MODEL, false),
        unify_heads: init.linear(D_MODEL, D_MODEL, true),
        head_channels: D_MODEL / HEADS,
    };
    [
        ("full", Box::new(move |x, residual| full.forward_residual(x, residual))),
        ("linformer_64", Box::new(move |x, residual| short.forward_residual(x, residual))),
        ("linformer_256", Box::new(move |x, residual| long.forward_residual(x, residual))),
        ("channel", Box::new(move |x, residual| channel.forward_residual(x, residual))),
    ]
}

fn bench(criterion: &mut Criterion) {
    setup::prepare();
    let device = Device::flex();
    setup::one_thread();
    for tokens in TOKENS {
        let x = Tensor::<3>::random([1, tokens, D_MODEL], Distribution::Normal(0.0, 1.0), &device);
        for (mechanism, attention) in mechanisms(tokens, &device) {
            let mut group = criterion.benchmark_group(format!("attention/{mechanism}"));
            group.throughput(Throughput::Elements(tokens as u64)).sampling_mode(SamplingMode::Flat);
            group.sample_size(10).measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(300));
            group.bench_function(BenchmarkId::from_parameter(tokens), |bencher| {
                bencher.iter(|| black_box(attention(x.clone(), x.clone())));
            });
        }
    }
}

criterion_group! { name = benches; config = setup::criterion(); targets = bench }
criterion_main!(benches);
