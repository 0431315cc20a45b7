//! Layer normalisation over the last axis.
//!
//! The backward pass recomputes mean and variance: it reads each row anyway, which is then in the first-level cache.

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use pulp::Simd;

use super::tensor::{contiguous, from_values, owned, values, values_mut, whole_rows};
use crate::ops::simd::{Vector, each_vector, kernel};

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

/// The gradients of `x`, `gamma` and `beta` that `needs` selects.
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

/// Number of rows that are summed at the same time, so that no addition waits for the one before it.
const ROWS: usize = 4;

/// Mean and reciprocal standard deviation of each of the rows.
#[inline(always)]
fn statistics<S: Simd, const R: usize>(simd: S, rows: &[f32], epsilon: f32) -> [(f32, f32); R] {
    let d = rows.len() / R;
    let mut sums = [Vector::splat(simd, 0.0); R];
    for start in (0..d).step_by(S::F32_LANES) {
        let end = d.min(start + S::F32_LANES);
        for i in 0..R {
            sums[i] = sums[i] + Vector::load(simd, &rows[i * d + start..i * d + end]);
        }
    }
    let mut statistics = [(0.0, 0.0); R];
    for i in 0..R {
        statistics[i].0 = sums[i].sum() / d as f32;
    }
    let mut squares = [Vector::splat(simd, 0.0); R];
    let whole = d - d % S::F32_LANES;
    for start in (0..whole).step_by(S::F32_LANES) {
        for i in 0..R {
            let distance = Vector::load(simd, &rows[i * d + start..][..S::F32_LANES]) - statistics[i].0;
            squares[i] = distance.mul_add(distance, squares[i]);
        }
    }
    for i in 0..R {
        let mut sum = squares[i].sum();
        // Vectors loaded past the end of a row would contain zeros, which differ from the mean.
        for x in &rows[i * d + whole..(i + 1) * d] {
            sum += (x - statistics[i].0) * (x - statistics[i].0);
        }
        statistics[i].1 = 1.0 / (sum / d as f32 + epsilon).sqrt();
    }
    statistics
}

/// With `h` a normalised row and `q = dy * gamma`: the means of `q` and of `q h` in each of the rows.
#[inline(always)]
fn row_means<S: Simd, const R: usize>(
    simd: S,
    x: &[f32],
    gamma: &[f32],
    dy: &[f32],
    statistics: &[(f32, f32); R],
) -> [(f32, f32); R] {
    let d = gamma.len();
    let (mut q_sums, mut qh_sums) = ([Vector::splat(simd, 0.0); R], [Vector::splat(simd, 0.0); R]);
    for start in (0..d).step_by(S::F32_LANES) {
        let end = d.min(start + S::F32_LANES);
        let gamma = Vector::load(simd, &gamma[start..end]);
        for i in 0..R {
            // Past the end of the row, dy is zero, and so is q.
            let q = Vector::load(simd, &dy[i * d + start..i * d + end]) * gamma;
            let h = (Vector::load(simd, &x[i * d + start..i * d + end]) - statistics[i].0) * statistics[i].1;
            q_sums[i] = q_sums[i] + q;
            qh_sums[i] = q.mul_add(h, qh_sums[i]);
        }
    }
    let mut means = [(0.0, 0.0); R];
    for i in 0..R {
        means[i] = (q_sums[i].sum() / d as f32, qh_sums[i].sum() / d as f32);
    }
    means
}

#[inline(always)]
fn normalise_rows<S: Simd, const R: usize>(simd: S, rows: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
    let statistics = statistics::<S, R>(simd, rows, epsilon);
    for (x, (mean, scale)) in rows.chunks_exact_mut(gamma.len()).zip(statistics) {
        each_vector!(simd: S; load(x, gamma, beta), store(x) = ((x - mean) * scale).mul_add(gamma, beta));
    }
}

kernel! {
    fn layer_norm<'a, S>(simd: S, x: &'a mut [f32], gamma: &'a [f32], beta: &'a [f32], epsilon: f32) {
        let mut groups = x.chunks_exact_mut(ROWS * gamma.len());
        for rows in &mut groups {
            normalise_rows::<S, ROWS>(simd, rows, gamma, beta, epsilon);
        }
        for row in groups.into_remainder().chunks_exact_mut(gamma.len()) {
            normalise_rows::<S, 1>(simd, row, gamma, beta, epsilon);
        }
    }
}

/// The sums for the gradients of gamma and beta.
type ParameterSums<'a> = Option<(&'a mut [f32], &'a mut [f32])>;

#[inline(always)]
fn rows_backward<S: Simd, const R: usize>(
    simd: S,
    x: &[f32],
    (gamma, epsilon): (&[f32], f32),
    dy: &mut [f32],
    sums: &mut ParameterSums<'_>,
    needs_x: bool,
) {
    let statistics = statistics::<S, R>(simd, x, epsilon);
    if let Some((dgamma, dbeta)) = sums {
        for ((x, dy), (mean, scale)) in x.chunks_exact(gamma.len()).zip(dy.chunks_exact(gamma.len())).zip(statistics) {
            each_vector!(
                simd: S;
                load(x, dy, dgamma, dbeta),
                store(dgamma, dbeta) = (dy.mul_add((x - mean) * scale, dgamma), dbeta + dy)
            );
        }
    }
    if needs_x {
        let means = row_means::<S, R>(simd, x, gamma, dy, &statistics);
        let rows = x.chunks_exact(gamma.len()).zip(dy.chunks_exact_mut(gamma.len())).zip(statistics).zip(means);
        for (((x, dy), (mean, scale)), (q_mean, qh_mean)) in rows {
            // Not fused: terms that cancel, as in rows of one element, must cancel to the last bit.
            each_vector!(
                simd: S;
                load(x, gamma, dy),
                store(dy) = (dy * gamma - q_mean - (x - mean) * scale * qh_mean) * scale
            );
        }
    }
}

kernel! {
    /// Adds to the sums for the gradients of gamma and beta, and turns `dy` into the gradient of `x`, if they are needed.
    fn layer_norm_backward<'a, S>(
        simd: S,
        x: &'a [f32],
        gamma: &'a [f32],
        epsilon: f32,
        dy: &'a mut [f32],
        sums: ParameterSums<'a>,
        needs_x: bool,
    ) {
        let (mut sums, d) = (sums, gamma.len());
        let (groups, mut dy_groups) = (x.chunks_exact(ROWS * d), dy.chunks_exact_mut(ROWS * d));
        let rest = groups.remainder();
        for (x, dy) in groups.zip(&mut dy_groups) {
            rows_backward::<S, ROWS>(simd, x, (gamma, epsilon), dy, &mut sums, needs_x);
        }
        for (x, dy) in rest.chunks_exact(d).zip(dy_groups.into_remainder().chunks_exact_mut(d)) {
            rows_backward::<S, 1>(simd, x, (gamma, epsilon), dy, &mut sums, needs_x);
        }
    }
}
