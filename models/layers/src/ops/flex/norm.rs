//! Layer normalisation over the last axis.
//!
//! The backward pass computes mean and variance anew: a row is read anyway, and then lies in the first-level cache.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use pulp::Simd;

use super::tensor::{contiguous, from_values, owned, values, values_mut, whole_rows};
use crate::ops::simd::{kernel, load, store, sum, sum_of_squares};

/// `(x - mean) / √(variance + epsilon) * gamma + beta` in every row.
pub(super) fn forward(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f64) -> FlexTensor {
    let (x, gamma, beta) = (contiguous(x), contiguous(gamma), contiguous(beta));
    let mut y = Vec::with_capacity(x.shape().num_elements());
    for x in values(&x).chunks(whole_rows(values(&gamma).len())) {
        let first = y.len();
        y.extend_from_slice(x);
        layer_norm(&mut y[first..], values(&gamma), values(&beta), epsilon as f32);
    }
    from_values(y, x.shape())
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
    [needs_x.then_some(dy), needs_gamma.then(|| from_values(dgamma, [d])), needs_beta.then(|| from_values(dbeta, [d]))]
}

/// Mean and reciprocal standard deviation.
#[inline(always)]
fn statistics<S: Simd>(simd: S, row: &[f32], epsilon: f32) -> (f32, f32) {
    let length = row.len() as f32;
    let mean = sum(simd, row) / length;
    let variance = sum_of_squares(simd, row, mean) / length;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// `(x - mean) * scale`
#[inline(always)]
fn normalised<S: Simd>(simd: S, x: &[f32], (mean, scale): (f32, f32)) -> S::f32s {
    simd.mul_f32s(simd.sub_f32s(load(simd, x), simd.splat_f32s(mean)), simd.splat_f32s(scale))
}

/// With `h` the normalised row and `q = dy * gamma`: the means of `q` and of `q h`.
#[inline(always)]
fn row_means<S: Simd>(simd: S, x: &[f32], gamma: &[f32], dy: &[f32], statistics: (f32, f32)) -> (f32, f32) {
    let (mut q_sums, mut qh_sums) = (simd.splat_f32s(0.0), simd.splat_f32s(0.0));
    let vectors = x.chunks(S::F32_LANES).zip(gamma.chunks(S::F32_LANES)).zip(dy.chunks(S::F32_LANES));
    for ((x, gamma), dy) in vectors {
        // Behind the end of the row, dy and with it q are zero.
        let q = simd.mul_f32s(load(simd, dy), load(simd, gamma));
        q_sums = simd.add_f32s(q_sums, q);
        qh_sums = simd.mul_add_e_f32s(q, normalised(simd, x, statistics), qh_sums);
    }
    let length = x.len() as f32;
    (simd.reduce_sum_f32s(q_sums) / length, simd.reduce_sum_f32s(qh_sums) / length)
}

/// Adds `dy h` to `dgamma` and `dy` to `dbeta`.
#[inline(always)]
fn add_parameter_gradients<S: Simd>(
    simd: S,
    x: &[f32],
    dy: &[f32],
    statistics: (f32, f32),
    dgamma: &mut [f32],
    dbeta: &mut [f32],
) {
    let sums = dgamma.chunks_mut(S::F32_LANES).zip(dbeta.chunks_mut(S::F32_LANES));
    for ((x, dy), (dgamma, dbeta)) in x.chunks(S::F32_LANES).zip(dy.chunks(S::F32_LANES)).zip(sums) {
        let dy = load(simd, dy);
        let product = simd.mul_add_e_f32s(dy, normalised(simd, x, statistics), load(simd, dgamma));
        store(simd, dgamma, product);
        let sum = simd.add_f32s(dy, load(simd, dbeta));
        store(simd, dbeta, sum);
    }
}

/// Turns a row of `dy` into the gradient of `x`.
#[inline(always)]
fn input_gradient<S: Simd>(simd: S, x: &[f32], gamma: &[f32], dy: &mut [f32], statistics: (f32, f32)) {
    let (q_mean, qh_mean) = row_means(simd, x, gamma, dy, statistics);
    let (q_mean, qh_mean) = (simd.splat_f32s(q_mean), simd.splat_f32s(qh_mean));
    let scale = simd.splat_f32s(statistics.1);
    let vectors = x.chunks(S::F32_LANES).zip(gamma.chunks(S::F32_LANES)).zip(dy.chunks_mut(S::F32_LANES));
    for ((x, gamma), dy) in vectors {
        // Not fused: what cancels shall cancel to the last bit, as in rows of one element.
        let q = simd.mul_f32s(load(simd, dy), load(simd, gamma));
        let h = normalised(simd, x, statistics);
        let dx = simd.sub_f32s(simd.sub_f32s(q, q_mean), simd.mul_f32s(h, qh_mean));
        store(simd, dy, simd.mul_f32s(dx, scale));
    }
}

kernel! {
    fn layer_norm<'a, S>(simd: S, x: &'a mut [f32], gamma: &'a [f32], beta: &'a [f32], epsilon: f32) {
        for row in x.chunks_exact_mut(gamma.len()) {
            let statistics = statistics(simd, row, epsilon);
            let parameters = gamma.chunks(S::F32_LANES).zip(beta.chunks(S::F32_LANES));
            for (x, (gamma, beta)) in row.chunks_mut(S::F32_LANES).zip(parameters) {
                let h = normalised(simd, x, statistics);
                store(simd, x, simd.mul_add_e_f32s(h, load(simd, gamma), load(simd, beta)));
            }
        }
    }
}

kernel! {
    /// Adds to the sums that make the gradients of gamma and beta, and turns `dy` into the gradient of `x`, if they are wanted.
    fn layer_norm_backward<'a, S>(
        simd: S,
        x: &'a [f32],
        gamma: &'a [f32],
        epsilon: f32,
        dy: &'a mut [f32],
        sums: Option<(&'a mut [f32], &'a mut [f32])>,
        needs_x: bool,
    ) {
        let mut sums = sums;
        for (x, dy) in x.chunks_exact(gamma.len()).zip(dy.chunks_exact_mut(gamma.len())) {
            let statistics = statistics(simd, x, epsilon);
            if let Some((dgamma, dbeta)) = &mut sums {
                add_parameter_gradients(simd, x, dy, statistics, dgamma, dbeta);
            }
            if needs_x {
                input_gradient(simd, x, gamma, dy, statistics);
            }
        }
    }
}
