//! Attention between the channels of a head: scores of `[width, width]`, summed over many positions.
//!
//! The matrices are too small for the `gemm` crate, and the positions too many for a transposed copy. They are cut into square
//! tiles that stay in registers while all positions pass by.

use burn::backend::flex::FlexTensor;

use super::tensor::{contiguous, from_values, values};
use crate::ops::simd::{exp, mul_add, multiversion};

/// `softmax(scale qᵀ k) vᵀ` in every head, with the softmax over the query axis, and its weights.
pub(super) fn forward(qkv: FlexTensor, width: usize, scale: f64) -> (FlexTensor, FlexTensor) {
    let qkv = contiguous(qkv);
    let [batch, n, columns] = qkv.layout().shape().dims();
    let channels = columns / 3;
    let mut output = vec![0.0; batch * n * channels];
    let mut weights = vec![0.0; batch * channels * width];
    let items = values(&qkv).chunks_exact(n * columns);
    let outputs = output.chunks_exact_mut(n * channels).zip(weights.chunks_exact_mut(channels * width));
    for (qkv, (output, weights)) in items.zip(outputs) {
        forward_item(qkv, output, weights, channels, width, scale as f32);
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
) -> FlexTensor {
    let (qkv, doutput) = (contiguous(qkv), contiguous(doutput));
    let [batch, n, columns] = qkv.layout().shape().dims();
    let channels = columns / 3;
    let mut dqkv = vec![0.0; batch * n * columns];
    let items = values(&qkv).chunks_exact(n * columns).zip(values(&doutput).chunks_exact(n * channels));
    let weights = values(&weights).chunks_exact(channels * width);
    for ((qkv, doutput), (weights, dqkv)) in items.zip(weights.zip(dqkv.chunks_exact_mut(n * columns))) {
        backward_item(qkv, weights, doutput, dqkv, channels, width, scale as f32);
    }
    from_values(dqkv, [batch, n, columns])
}

/// Some columns of a row-major matrix: those of one head.
#[derive(Clone, Copy)]
struct Columns<'a> {
    values: &'a [f32],
    row_length: usize,
    first: usize,
}

impl<'a> Columns<'a> {
    /// The tile's `SIDE` columns, row by row.
    #[inline(always)]
    fn tile<const SIDE: usize>(self, tile: usize) -> impl Iterator<Item = &'a [f32; SIDE]> {
        let first = self.first + tile * SIDE;
        self.values.chunks_exact(self.row_length).map(move |row| row[first..].first_chunk().expect("a whole tile"))
    }
}

type Tile<const SIDE: usize> = [[f32; SIDE]; SIDE];

/// The tile `(row, column)` of a square matrix of `width`.
#[inline(always)]
fn load<const SIDE: usize>(matrix: &[f32], width: usize, row: usize, column: usize) -> Tile<SIDE> {
    std::array::from_fn(|i| *matrix[(row * SIDE + i) * width + column * SIDE..].first_chunk().expect("a whole tile"))
}

#[inline(always)]
fn transposed<const SIDE: usize>(tile: Tile<SIDE>) -> Tile<SIDE> {
    std::array::from_fn(|i| std::array::from_fn(|j| tile[j][i]))
}

/// `matrix = xᵀ y`, a matrix of `[width, width]`.
#[inline(always)]
fn correlate<const FMA: bool, const SIDE: usize>(x: Columns, y: Columns, width: usize, matrix: &mut [f32]) {
    for row in 0..width / SIDE {
        for column in 0..width / SIDE {
            let mut tile: Tile<SIDE> = [[0.0; SIDE]; SIDE];
            for (x, y) in x.tile::<SIDE>(row).zip(y.tile::<SIDE>(column)) {
                for i in 0..SIDE {
                    for j in 0..SIDE {
                        tile[i][j] = mul_add::<FMA>(x[i], y[j], tile[i][j]);
                    }
                }
            }
            for i in 0..SIDE {
                matrix[(row * SIDE + i) * width + column * SIDE..][..SIDE].copy_from_slice(&tile[i]);
            }
        }
    }
}

/// Adds `x matrix` to the head's columns of `output`, or `x matrixᵀ` with `TRANSPOSED`.
#[inline(always)]
fn add_product<const FMA: bool, const SIDE: usize, const TRANSPOSED: bool>(
    x: Columns,
    matrix: &[f32],
    width: usize,
    output: &mut [f32],
    row_length: usize,
    first: usize,
) {
    for row in 0..width / SIDE {
        for column in 0..width / SIDE {
            let tile: Tile<SIDE> =
                if TRANSPOSED { transposed(load(matrix, width, column, row)) } else { load(matrix, width, row, column) };
            let first = first + column * SIDE;
            for (x, output) in x.tile::<SIDE>(row).zip(output.chunks_exact_mut(row_length)) {
                let output: &mut [f32; SIDE] = output[first..].first_chunk_mut().expect("a whole tile");
                let mut sums = *output;
                for j in 0..SIDE {
                    for i in 0..SIDE {
                        sums[i] = mul_add::<FMA>(tile[j][i], x[j], sums[i]);
                    }
                }
                *output = sums;
            }
        }
    }
}

/// Softmax along the columns of a square matrix of `width`, of `scale` times its values.
#[inline(always)]
fn softmax_columns<const FMA: bool>(matrix: &mut [f32], width: usize, scale: f32) {
    for column in 0..width {
        let mut largest = f32::NEG_INFINITY;
        for x in matrix[column..].iter_mut().step_by(width) {
            *x *= scale;
            largest = if *x > largest { *x } else { largest };
        }
        let mut sum = 0.0;
        for x in matrix[column..].iter_mut().step_by(width) {
            *x = exp::<FMA>(*x - largest);
            sum += *x;
        }
        for x in matrix[column..].iter_mut().step_by(width) {
            *x /= sum;
        }
    }
}

/// Turns the gradients of weights into those of the products that `scale` multiplies.
#[inline(always)]
fn softmax_columns_backward(weights: &[f32], dweights: &mut [f32], width: usize, scale: f32) {
    for column in 0..width {
        let pairs = weights[column..].iter().zip(&dweights[column..]).step_by(width);
        let mean: f32 = pairs.map(|(p, dp)| p * dp).sum();
        for (p, dp) in weights[column..].iter().zip(&mut dweights[column..]).step_by(width) {
            *dp = scale * p * (*dp - mean);
        }
    }
}

#[inline(always)]
fn forward_heads<const FMA: bool, const SIDE: usize>(
    qkv: &[f32],
    output: &mut [f32],
    weights: &mut [f32],
    channels: usize,
    width: usize,
    scale: f32,
) {
    for (head, weights) in weights.chunks_exact_mut(width * width).enumerate() {
        let part = |part| Columns { values: qkv, row_length: 3 * channels, first: part * channels + head * width };
        correlate::<FMA, SIDE>(part(0), part(1), width, weights);
        softmax_columns::<FMA>(weights, width, scale);
        add_product::<FMA, SIDE, true>(part(2), weights, width, output, channels, head * width);
    }
}

#[inline(always)]
fn backward_heads<const FMA: bool, const SIDE: usize>(
    qkv: &[f32],
    weights: &[f32],
    doutput: &[f32],
    dqkv: &mut [f32],
    channels: usize,
    width: usize,
    scale: f32,
) {
    let mut dscores = vec![0.0; width * width];
    for (head, weights) in weights.chunks_exact(width * width).enumerate() {
        let first = |part| part * channels + head * width;
        let part = |part| Columns { values: qkv, row_length: 3 * channels, first: first(part) };
        let doutput = Columns { values: doutput, row_length: channels, first: head * width };
        add_product::<FMA, SIDE, false>(doutput, weights, width, dqkv, 3 * channels, first(2));
        correlate::<FMA, SIDE>(doutput, part(2), width, &mut dscores);
        softmax_columns_backward(weights, &mut dscores, width, scale);
        add_product::<FMA, SIDE, true>(part(1), &dscores, width, dqkv, 3 * channels, first(0));
        add_product::<FMA, SIDE, false>(part(0), &dscores, width, dqkv, 3 * channels, first(1));
    }
}

multiversion! {
    /// One item of the batch.
    fn forward_item<const FMA: bool>(
        qkv: &[f32],
        output: &mut [f32],
        weights: &mut [f32],
        channels: usize,
        width: usize,
        scale: f32,
    ) {
        match width {
            width if width.is_multiple_of(8) => forward_heads::<FMA, 8>(qkv, output, weights, channels, width, scale),
            width if width.is_multiple_of(4) => forward_heads::<FMA, 4>(qkv, output, weights, channels, width, scale),
            _ => forward_heads::<FMA, 1>(qkv, output, weights, channels, width, scale),
        }
    }

    /// One item of the batch.
    fn backward_item<const FMA: bool>(
        qkv: &[f32],
        weights: &[f32],
        doutput: &[f32],
        dqkv: &mut [f32],
        channels: usize,
        width: usize,
        scale: f32,
    ) {
        match width {
            width if width.is_multiple_of(8) => backward_heads::<FMA, 8>(qkv, weights, doutput, dqkv, channels, width, scale),
            width if width.is_multiple_of(4) => backward_heads::<FMA, 4>(qkv, weights, doutput, dqkv, channels, width, scale),
            _ => backward_heads::<FMA, 1>(qkv, weights, doutput, dqkv, channels, width, scale),
        }
    }
}
