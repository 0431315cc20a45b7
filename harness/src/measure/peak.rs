//! Measures the machine's peak rate, the reference for MFU.

use burn::tensor::{Device, Tensor};
use layers::{Precision, ops};

use super::timer::{Enough, SystemClock, sample};
use crate::lanes::Lanes;

/// Time spent on each matrix size, in seconds.
const SECONDS_PER_SIZE: f64 = 0.25;

/// Number of products that a lane computes in a row, so that the time to start the lane is negligible.
const REPEATS: usize = 8;

/// Measures the highest rate of matrix products in a precision that all lanes reach together, in GFLOP/s (1e9 floating-point operations per
/// second; a multiply-accumulate counts as two).
///
/// Tries square matrices of several sizes. On a CPU each lane computes its own products, as it does in a model. In bf16, operands are packed
/// before, as weights are.
pub fn peak_gflop_per_s(lanes: &Lanes, device: &Device, precision: Precision) -> f64 {
    let (sizes, products): (&[usize], usize) =
        if lanes.are_the_caller() { (&[4096, 8192], 4) } else { (&[384, 512, 768, 1024], 1) };
    let mut peak = 0.0_f64;
    for &size in sizes {
        let operands = || [1.0, 2.0].map(|value| Tensor::<2>::full([size, size], value, device));
        let count = products * lanes.threads();
        let enough = Enough { warmup_seconds: SECONDS_PER_SIZE / 4.0, min_samples: 5, min_seconds: SECONDS_PER_SIZE };
        let seconds = sample(&SystemClock::default(), enough, || {
            let multiply = |[a, b]: &mut [Tensor<2>; 2], _| {
                for _ in 0..REPEATS {
                    match precision {
                        Precision::F32 => drop(a.clone().matmul(b.clone())),
                        Precision::Bf16 => drop(ops::linear(a.clone(), b.clone(), None)),
                    }
                }
            };
            precision.within(|| lanes.ordered(count, 0, operands, multiply, drop));
            device.sync().expect("the device completes its work");
        });
        let fastest = seconds.into_iter().fold(f64::INFINITY, f64::min);
        let flop = 2.0 * (size * size * size * count * REPEATS) as f64;
        peak = peak.max(flop / fastest / 1e9);
    }
    peak
}
