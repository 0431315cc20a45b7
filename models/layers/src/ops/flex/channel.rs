//! Attention between the channels of a head: scores of `[width, width]`, summed over many positions.
//!
//! The matrices are too small for `gemm`, and there are too many positions for a transposed copy. The matrices are cut into tiles of
//! a few rows by one vector, which stay in registers during the loop over all positions.

use burn::backend::flex::FlexTensor;
use pulp::Simd;

use super::bf16;
use super::tensor::{contiguous, from_values, owned, values, values_mut};
use crate::ops::precision::Precision;
use crate::ops::simd::{Vector, kernel};

/// As [`forward`], with `qkv` as [`backward`] needs it, in bf16 if that is the precision.
pub(super) fn forward_for_training(
    qkv: FlexTensor,
    width: usize,
    scale: f64,
    precision: Precision,
) -> (FlexTensor, FlexTensor, FlexTensor) {
    let kept = match precision {
        Precision::F32 => qkv.clone(),
        Precision::Bf16 => bf16::narrowed(&contiguous(qkv.clone())),
    };
    let (output, weights) = forward(qkv, width, scale, precision);
    (output, kept, weights)
}

/// `softmax(scale qᵀ k) vᵀ` in every head, with the softmax over the query axis, and its weights. In bf16, the products' operands are
/// rounded, the matrices being too small for the instruction.
pub(super) fn forward(qkv: FlexTensor, width: usize, scale: f64, precision: Precision) -> (FlexTensor, FlexTensor) {
    let rounds = precision == Precision::Bf16;
    let qkv = if rounds { rounded(qkv) } else { contiguous(qkv) };
    let [batch, n, columns] = qkv.layout().shape().dims();
    let channels = columns / 3;
    let mut output = vec![0.0; batch * n * channels];
    let mut weights = vec![0.0; batch * channels * width];
    let items = values(&qkv).chunks_exact(n * columns);
    let outputs = output.chunks_exact_mut(n * channels).zip(weights.chunks_exact_mut(channels * width));
    for (qkv, (output, weights)) in items.zip(outputs) {
        forward_item(qkv, output, weights, channels, width, scale as f32, rounds);
    }
    let heads = channels / width;
    (from_values(output, [batch, n, channels]), from_values(weights, [batch, heads, width, width]))
}

/// The gradient of `qkv`.
pub(super) fn backward(
    qkv: FlexTensor,
    weights: FlexTensor,
    doutput: FlexTensor,
    width: usize,
    scale: f64,
    precision: Precision,
) -> FlexTensor {
    let rounds = precision == Precision::Bf16;
    let (qkv, doutput) =
        if rounds { (bf16::widened(&qkv), rounded(doutput)) } else { (contiguous(qkv), contiguous(doutput)) };
    let [batch, n, columns] = qkv.layout().shape().dims();
    let channels = columns / 3;
    let mut dqkv = vec![0.0; batch * n * columns];
    let items = values(&qkv).chunks_exact(n * columns).zip(values(&doutput).chunks_exact(n * channels));
    let weights = values(&weights).chunks_exact(channels * width);
    for ((qkv, doutput), (weights, dqkv)) in items.zip(weights.zip(dqkv.chunks_exact_mut(n * columns))) {
        backward_item(qkv, weights, doutput, dqkv, channels, width, scale as f32, rounds);
    }
    from_values(dqkv, [batch, n, columns])
}

/// The columns of one head in a row-major matrix of positions.
#[derive(Clone, Copy)]
struct Head<'a> {
    values: &'a [f32],
    row_length: usize,
    first: usize,
}

impl<'a> Head<'a> {
    /// `length` columns from `start` on, of every position.
    #[inline(always)]
    fn columns(self, start: usize, length: usize) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.row_length).map(move |row| &row[self.first + start..][..length])
    }
}

/// `matrix = xᵀ y`, row-major, of `[width, width]`.
#[inline(always)]
fn correlate<S: Simd>(simd: S, x: Head, y: Head, width: usize, matrix: &mut [f32]) {
    let mut row = 0;
    while row < width {
        match width - row {
            8.. => correlate_rows::<S, 8>(simd, x, y, width, matrix, &mut row),
            4..8 => correlate_rows::<S, 4>(simd, x, y, width, matrix, &mut row),
            _ => correlate_rows::<S, 1>(simd, x, y, width, matrix, &mut row),
        }
    }
}

/// `ROWS` rows of [`correlate`]'s matrix.
#[inline(always)]
fn correlate_rows<S: Simd, const ROWS: usize>(
    simd: S,
    x: Head,
    y: Head,
    width: usize,
    matrix: &mut [f32],
    row: &mut usize,
) {
    for start in (0..width).step_by(S::F32_LANES) {
        let length = S::F32_LANES.min(width - start);
        let mut sums = [Vector::splat(simd, 0.0); ROWS];
        for (x, y) in x.columns(*row, ROWS).zip(y.columns(start, length)) {
            let (x, y): (&[f32; ROWS], _) = (x.first_chunk().expect("as many columns"), Vector::load(simd, y));
            for i in 0..ROWS {
                sums[i] = y.mul_add(Vector::splat(simd, x[i]), sums[i]);
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            sum.store(&mut matrix[(*row + i) * width + start..][..length]);
        }
    }
    *row += ROWS;
}

/// Adds `x matrix` to the columns of `output` from `first` on, in rows of `row_length`.
#[inline(always)]
fn add_product<S: Simd>(
    simd: S,
    x: Head,
    matrix: &[f32],
    width: usize,
    output: &mut [f32],
    row_length: usize,
    first: usize,
) {
    let mut row = 0;
    while row < width {
        let output = (&mut *output, row_length, first);
        match width - row {
            8.. => add_product_of_rows::<S, 8>(simd, x, matrix, width, output, &mut row),
            4..8 => add_product_of_rows::<S, 4>(simd, x, matrix, width, output, &mut row),
            _ => add_product_of_rows::<S, 1>(simd, x, matrix, width, output, &mut row),
        }
    }
}

/// The terms of [`add_product`] that `ROWS` rows of the matrix contribute.
#[inline(always)]
fn add_product_of_rows<S: Simd, const ROWS: usize>(
    simd: S,
    x: Head,
    matrix: &[f32],
    width: usize,
    (output, row_length, first): (&mut [f32], usize, usize),
    row: &mut usize,
) {
    for start in (0..width).step_by(S::F32_LANES) {
        let length = S::F32_LANES.min(width - start);
        let mut tile = [Vector::splat(simd, 0.0); ROWS];
        for i in 0..ROWS {
            tile[i] = Vector::load(simd, &matrix[(*row + i) * width + start..][..length]);
        }
        for (x, output) in x.columns(*row, ROWS).zip(output.chunks_exact_mut(row_length)) {
            let x: &[f32; ROWS] = x.first_chunk().expect("as many columns");
            let output = &mut output[first + start..][..length];
            let mut sum = Vector::load(simd, output);
            for i in 0..ROWS {
                sum = tile[i].mul_add(Vector::splat(simd, x[i]), sum);
            }
            sum.store(output);
        }
    }
    *row += ROWS;
}

/// Softmax along the columns of a square matrix, of `scale` times its values.
#[inline(always)]
fn softmax_columns<S: Simd>(simd: S, matrix: &mut [f32], width: usize, scale: f32) {
    for start in (0..width).step_by(S::F32_LANES) {
        let columns = start..width.min(start + S::F32_LANES);
        let mut largest = Vector::splat(simd, f32::NEG_INFINITY);
        for row in matrix.chunks_exact_mut(width) {
            let score = Vector::load(simd, &row[columns.clone()]) * scale;
            score.store(&mut row[columns.clone()]);
            largest = largest.max(score);
        }
        let mut sum = Vector::splat(simd, 0.0);
        for row in matrix.chunks_exact_mut(width) {
            let p = (Vector::load(simd, &row[columns.clone()]) - largest).exp();
            p.store(&mut row[columns.clone()]);
            sum = sum + p;
        }
        for row in matrix.chunks_exact_mut(width) {
            (Vector::load(simd, &row[columns.clone()]) / sum).store(&mut row[columns.clone()]);
        }
    }
}

/// Turns the gradients of the weights into those of the unscaled scores.
#[inline(always)]
fn softmax_columns_backward<S: Simd>(simd: S, weights: &[f32], dweights: &mut [f32], width: usize, scale: f32) {
    for start in (0..width).step_by(S::F32_LANES) {
        let columns = start..width.min(start + S::F32_LANES);
        let mut mean = Vector::splat(simd, 0.0);
        for (p, dp) in weights.chunks_exact(width).zip(dweights.chunks_exact(width)) {
            mean = Vector::load(simd, &p[columns.clone()]).mul_add(Vector::load(simd, &dp[columns.clone()]), mean);
        }
        for (p, dp) in weights.chunks_exact(width).zip(dweights.chunks_exact_mut(width)) {
            let (p, distance) =
                (Vector::load(simd, &p[columns.clone()]), Vector::load(simd, &dp[columns.clone()]) - mean);
            (p * scale * distance).store(&mut dp[columns.clone()]);
        }
    }
}

/// A copy with the values rounded to bf16.
fn rounded(x: FlexTensor) -> FlexTensor {
    let mut x = owned(x);
    bf16::round_in_place(values_mut(&mut x));
    x
}

#[inline(always)]
fn round_if(rounds: bool, matrix: &mut [f32]) {
    if rounds {
        matrix.iter_mut().for_each(|value| *value = bf16::nearest(*value));
    }
}

fn transpose(matrix: &[f32], width: usize, transposed: &mut [f32]) {
    for (i, row) in matrix.chunks_exact(width).enumerate() {
        for (j, x) in row.iter().enumerate() {
            transposed[j * width + i] = *x;
        }
    }
}

kernel! {
    /// One item of the batch.
    fn forward_item<'a, S>(
        simd: S,
        qkv: &'a [f32],
        output: &'a mut [f32],
        weights: &'a mut [f32],
        channels: usize,
        width: usize,
        scale: f32,
        rounds: bool,
    ) {
        let mut transposed = vec![0.0; width * width];
        for (head, weights) in weights.chunks_exact_mut(width * width).enumerate() {
            let first = head * width;
            let [q, k, v] = [first, channels + first, 2 * channels + first]
                .map(|first| Head { values: qkv, row_length: 3 * channels, first });
            correlate(simd, q, k, width, weights);
            softmax_columns(simd, weights, width, scale);
            transpose(weights, width, &mut transposed);
            round_if(rounds, &mut transposed);
            add_product(simd, v, &transposed, width, output, channels, first);
        }
    }
}

kernel! {
    /// One item of the batch.
    fn backward_item<'a, S>(
        simd: S,
        qkv: &'a [f32],
        weights: &'a [f32],
        doutput: &'a [f32],
        dqkv: &'a mut [f32],
        channels: usize,
        width: usize,
        scale: f32,
        rounds: bool,
    ) {
        let (mut dscores, mut transposed) = (vec![0.0; width * width], vec![0.0; width * width]);
        let row_length = 3 * channels;
        for (head, weights) in weights.chunks_exact(width * width).enumerate() {
            let firsts = [head * width, channels + head * width, 2 * channels + head * width];
            let [q, k, v] = firsts.map(|first| Head { values: qkv, row_length, first });
            let doutput = Head { values: doutput, row_length: channels, first: head * width };
            transposed.copy_from_slice(weights);
            round_if(rounds, &mut transposed);
            add_product(simd, doutput, &transposed, width, dqkv, row_length, firsts[2]);
            correlate(simd, doutput, v, width, &mut dscores);
            softmax_columns_backward(simd, weights, &mut dscores, width, scale);
            round_if(rounds, &mut dscores);
            add_product(simd, q, &dscores, width, dqkv, row_length, firsts[1]);
            transpose(&dscores, width, &mut transposed);
            add_product(simd, k, &transposed, width, dqkv, row_length, firsts[0]);
        }
    }
}
