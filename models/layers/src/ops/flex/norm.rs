//! Layer normalisation over the last axis.
//!
//! The backward pass computes mean and variance anew: a row is read anyway, and then lies in the first-level cache.

use std::mem::MaybeUninit;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;

use super::tensor::{contiguous, filled, from_values, owned, values, values_mut};
use crate::ops::simd::{LANES, Lanes, mul_add, multiversion, sum, sum_of_lanes, sum_of_squares};

/// `(x - mean) / √(variance + epsilon) * gamma + beta` in every row.
pub(super) fn forward(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f64) -> FlexTensor {
    let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
    let shape = x.shape();
    let write = |y: &mut [_]| layer_norm(values(&x), values(&gamma), values(&beta), epsilon as f32, y);
    // SAFETY: the loop writes whole rows, and the length is a multiple of a row's.
    let y = unsafe { filled(shape.num_elements(), write) };
    from_values(y, shape)
}

/// The gradients of `x`, `gamma` and `beta`, as far as `needs` wants them.
pub(super) fn backward(
    x: FlexTensor,
    gamma: FlexTensor,
    epsilon: f64,
    dy: FlexTensor,
    needs: [bool; 3],
) -> [Option<FlexTensor>; 3] {
    let (x, gamma, mut dy) = (contiguous(x), contiguous(gamma), owned(dy));
    let d = values(&gamma).len();
    let [needs_x, needs_gamma, needs_beta] = needs;
    let (mut dgamma, mut dbeta) = (vec![0.0; d], vec![0.0; d]);
    let sums = (needs_gamma || needs_beta).then_some((&mut dgamma[..], &mut dbeta[..]));
    layer_norm_backward(values(&x), values(&gamma), epsilon as f32, values_mut(&mut dy), sums, needs_x);
    [
        needs_x.then_some(dy),
        needs_gamma.then(|| from_values(dgamma, [d])),
        needs_beta.then(|| from_values(dbeta, [d])),
    ]
}

/// Mean and reciprocal standard deviation.
#[inline(always)]
fn statistics<const FMA: bool>(row: &[f32], epsilon: f32) -> (f32, f32) {
    let length = row.len() as f32;
    let mean = sum(row) / length;
    let variance = sum_of_squares::<FMA>(row, mean) / length;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// With `h` the normalised row and `q = dy * gamma`: the sums of `q` and of `q h`. Adds `dy h` to `dgamma` and `dy` to
/// `dbeta`.
#[inline(always)]
fn row_sums<const FMA: bool, const PARAMETERS: bool>(
    [x, dy, gamma]: [&[f32]; 3],
    (mean, scale): (f32, f32),
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) -> (f32, f32) {
    let ((x, x_tail), (dy, dy_tail), (gamma, gamma_tail)) = (x.as_chunks(), dy.as_chunks(), gamma.as_chunks());
    let ((dgamma, dgamma_tail), (dbeta, dbeta_tail)) = (dgamma.as_chunks_mut(), dbeta.as_chunks_mut());
    let (mut q_lanes, mut qh_lanes) = ([0.0; LANES], [0.0; LANES]);
    for k in 0..x.len() {
        let (x, dy, gamma): (&Lanes, &Lanes, &Lanes) = (&x[k], &dy[k], &gamma[k]);
        for i in 0..LANES {
            let h = (x[i] - mean) * scale;
            let q = dy[i] * gamma[i];
            q_lanes[i] += q;
            qh_lanes[i] = mul_add::<FMA>(q, h, qh_lanes[i]);
        }
        if PARAMETERS {
            let (dgamma, dbeta): (&mut Lanes, &mut Lanes) = (&mut dgamma[k], &mut dbeta[k]);
            for i in 0..LANES {
                let h = (x[i] - mean) * scale;
                dgamma[i] = mul_add::<FMA>(dy[i], h, dgamma[i]);
                dbeta[i] += dy[i];
            }
        }
    }
    let (mut q_sum, mut qh_sum) = (sum_of_lanes(q_lanes), sum_of_lanes(qh_lanes));
    for i in 0..x_tail.len() {
        let h = (x_tail[i] - mean) * scale;
        let q = dy_tail[i] * gamma_tail[i];
        q_sum += q;
        qh_sum += q * h;
        if PARAMETERS {
            dgamma_tail[i] += dy_tail[i] * h;
            dbeta_tail[i] += dy_tail[i];
        }
    }
    (q_sum, qh_sum)
}

#[inline(always)]
fn backward_rows<const FMA: bool, const PARAMETERS: bool>(
    x: &[f32],
    gamma: &[f32],
    epsilon: f32,
    dy: &mut [f32],
    (dgamma, dbeta): (&mut [f32], &mut [f32]),
    needs_x: bool,
) {
    let d = gamma.len();
    for (x, dy) in x.chunks_exact(d).zip(dy.chunks_exact_mut(d)) {
        let (mean, scale) = statistics::<FMA>(x, epsilon);
        let (q_sum, qh_sum) = row_sums::<FMA, PARAMETERS>([x, dy, gamma], (mean, scale), dgamma, dbeta);
        if needs_x {
            let (q_mean, qh_mean) = (q_sum / d as f32, qh_sum / d as f32);
            for ((x, dy), gamma) in x.iter().zip(dy).zip(gamma) {
                let h = (x - mean) * scale;
                *dy = scale * mul_add::<FMA>(-h, qh_mean, mul_add::<FMA>(*dy, *gamma, -q_mean));
            }
        }
    }
}

multiversion! {
    fn layer_norm<const FMA: bool>(x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f32, y: &mut [MaybeUninit<f32>]) {
        let d = gamma.len();
        assert!(beta.len() == d && x.len() == y.len() && x.len().is_multiple_of(d));
        for (x, y) in x.chunks_exact(d).zip(y.chunks_exact_mut(d)) {
            let (mean, scale) = statistics::<FMA>(x, epsilon);
            for (((x, y), gamma), beta) in x.iter().zip(y).zip(gamma).zip(beta) {
                y.write(mul_add::<FMA>((x - mean) * scale, *gamma, *beta));
            }
        }
    }

    /// Turns `dy` into the gradient of `x` and adds to the sums that make the gradients of `gamma` and `beta`.
    fn layer_norm_backward<const FMA: bool>(
        x: &[f32],
        gamma: &[f32],
        epsilon: f32,
        dy: &mut [f32],
        sums: Option<(&mut [f32], &mut [f32])>,
        needs_x: bool,
    ) {
        match sums {
            Some(sums) => backward_rows::<FMA, true>(x, gamma, epsilon, dy, sums, needs_x),
            None => backward_rows::<FMA, false>(x, gamma, epsilon, dy, (&mut [], &mut []), needs_x),
        }
    }
}
