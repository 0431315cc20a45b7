//! Multi-head attention core, head by head and in blocks of queries.
//!
//! A head is a slice of the last axis, which the matrix products address by strides, so that nothing is permuted or copied.
//! The probabilities of a block exist only in a scratch buffer. Training keeps two numbers per row, from which the backward
//! pass recovers them to the last bit: the largest score and the reciprocal of the sum (as in FlashAttention, Dao et al. 2022,
//! <https://arxiv.org/abs/2205.14135>, which keeps the logarithm of the sum, inexact for large scores).

use std::ops::Range;

use burn::backend::flex::FlexTensor;

use super::matmul::{Matrix, add_product, write_product};
use super::tensor::{contiguous, filled, from_values, values};
use crate::ops::simd::{dot, each_vector, kernel, max, sum};

/// Scores in a block, unless [`MIN_ROWS`] long rows need more: 256 KiB, half of a typical second-level cache.
const BLOCK: usize = 64 * 1024;

/// Minimum number of rows in a block, below which the matrix products would be slow.
const MIN_ROWS: usize = 64;

/// `softmax(scale q kᵀ) v` in every head, and with `train` the statistics `[batch, heads, n, 2]` for [`backward`].
pub(super) fn forward(
    [q, k, v]: [FlexTensor; 3],
    heads: usize,
    scale: f64,
    train: bool,
) -> (FlexTensor, Option<FlexTensor>) {
    let (q, k, v) = (sequence(q), sequence(k), sequence(v));
    let (q, k, v) = (Heads::new(&q, heads), Heads::new(&k, heads), Heads::new(&v, heads));
    let (d, blocks) = (heads * q.width, Blocks::new(q.tokens, k.tokens));
    let mut scores = blocks.scratch();
    let mut statistics = vec![0.0; 2 * if train { q.batch * heads * q.tokens } else { blocks.rows }];
    let write = |output: &mut [_]| {
        for (index, (item, head)) in pairs(q.batch, heads).enumerate() {
            for rows in blocks.iter() {
                let first = if train { index * q.tokens + rows.start } else { 0 };
                let statistics = &mut statistics[2 * first..][..2 * rows.len()];
                let scores = &mut scores[..rows.len() * k.tokens];
                write_product(
                    scores,
                    k.tokens,
                    q.head(item, head, rows.clone()),
                    k.all(item, head).transposed(),
                    scale as f32,
                );
                softmax_rows(scores, k.tokens, statistics);
                let output = &mut output[(item * q.tokens + rows.start) * d + head * q.width..];
                write_product(output, d, Matrix::row_major(scores, k.tokens), v.all(item, head), 1.0);
            }
        }
    };
    // SAFETY: the blocks cover all rows of all heads.
    let output = unsafe { filled(q.batch * q.tokens * d, write) };
    let statistics = train.then(|| from_values(statistics, [q.batch, heads, q.tokens, 2]));
    (from_values(output, [q.batch, q.tokens, d]), statistics)
}

/// The gradients of `q`, `k` and `v` that `needs` selects.
pub(super) fn backward(
    [q, k, v]: [FlexTensor; 3],
    statistics: FlexTensor,
    doutput: FlexTensor,
    heads: usize,
    scale: f64,
    needs: [bool; 3],
) -> [Option<FlexTensor>; 3] {
    let (q, k, v, doutput) = (sequence(q), sequence(k), sequence(v), sequence(doutput));
    let (q, k, v) = (Heads::new(&q, heads), Heads::new(&k, heads), Heads::new(&v, heads));
    let doutput = Heads::new(&doutput, heads);
    let (d, scale, blocks) = (heads * q.width, scale as f32, Blocks::new(q.tokens, k.tokens));
    let [needs_q, needs_k, needs_v] = needs;
    let gradient = |needed: bool, of: &Heads| vec![0.0; if needed { of.batch * of.tokens * d } else { 0 }];
    let [mut dq, mut dk, mut dv] = [gradient(needs_q, &q), gradient(needs_k, &k), gradient(needs_v, &v)];
    let (mut p, mut ds) = (blocks.scratch(), blocks.scratch());
    for (index, (item, head)) in pairs(q.batch, heads).enumerate() {
        let of_keys = item * k.tokens * d + head * q.width;
        for rows in blocks.iter() {
            let statistics = &values(&statistics)[2 * (index * q.tokens + rows.start)..][..2 * rows.len()];
            let (p, ds) = (&mut p[..rows.len() * k.tokens], &mut ds[..rows.len() * k.tokens]);
            let (q_rows, doutput) = (q.head(item, head, rows.clone()), doutput.head(item, head, rows.clone()));
            write_product(p, k.tokens, q_rows, k.all(item, head).transposed(), scale);
            softmax_rows_again(p, k.tokens, statistics);
            if needs_v {
                let p = Matrix::row_major(p, k.tokens);
                add_product(&mut dv[of_keys..], d, p.transposed(), doutput, 1.0);
            }
            if !needs_q && !needs_k {
                continue;
            }
            write_product(ds, k.tokens, doutput, v.all(item, head).transposed(), 1.0);
            softmax_rows_backward(p, ds, k.tokens);
            let ds = Matrix::row_major(ds, k.tokens);
            if needs_q {
                let dq = &mut dq[(item * q.tokens + rows.start) * d + head * q.width..];
                write_product(dq, d, ds, k.all(item, head), scale);
            }
            if needs_k {
                add_product(&mut dk[of_keys..], d, ds.transposed(), q_rows, scale);
            }
        }
    }
    let tensor = |needed: bool, gradient, of: &Heads| needed.then(|| from_values(gradient, [of.batch, of.tokens, d]));
    [tensor(needs_q, dq, &q), tensor(needs_k, dk, &k), tensor(needs_v, dv, &v)]
}

/// All pairs of an item of the batch and a head.
pub(super) fn pairs(batch: usize, heads: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..batch).flat_map(move |item| (0..heads).map(move |head| (item, head)))
}

/// The tensor in a layout that [`Heads`] accepts: slices and steps along batch and tokens are allowed.
fn sequence(tensor: FlexTensor) -> FlexTensor {
    let layout = tensor.layout();
    if layout.has_positive_strides() && layout.strides()[2] == 1 { tensor } else { contiguous(tensor) }
}

/// A tensor `[batch, tokens, heads * width]` whose heads are matrices of `[tokens, width]`.
struct Heads<'a> {
    values: &'a [f32],
    batch: usize,
    tokens: usize,
    width: usize,
    batch_stride: usize,
    token_stride: usize,
}

impl<'a> Heads<'a> {
    fn new(tensor: &'a FlexTensor, heads: usize) -> Self {
        let layout = tensor.layout();
        let [batch, tokens, d] = layout.shape().dims();
        Self {
            values: &tensor.storage()[layout.start_offset()..],
            batch,
            tokens,
            width: d / heads,
            batch_stride: layout.strides()[0] as usize,
            token_stride: layout.strides()[1] as usize,
        }
    }

    fn head(&self, item: usize, head: usize, tokens: Range<usize>) -> Matrix<'a> {
        let first = item * self.batch_stride + tokens.start * self.token_stride + head * self.width;
        Matrix::strided(&self.values[first..], tokens.len(), self.width, self.token_stride)
    }

    fn all(&self, item: usize, head: usize) -> Matrix<'a> {
        self.head(item, head, 0..self.tokens)
    }
}

/// How the queries of a head are divided into blocks.
pub(super) struct Blocks {
    queries: usize,
    keys: usize,
    rows: usize,
}

impl Blocks {
    pub(super) fn new(queries: usize, keys: usize) -> Self {
        Self { queries, keys, rows: (BLOCK / keys.max(1)).max(MIN_ROWS).min(queries) }
    }

    pub(super) fn scratch(&self) -> Vec<f32> {
        vec![0.0; self.rows * self.keys]
    }

    /// Number of rows of the largest block.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Range<usize>> {
        let Self { queries, rows, .. } = *self;
        (0..queries).step_by(rows.max(1)).map(move |start| start..(start + rows).min(queries))
    }
}

kernel! {
    /// Softmax of every row, with the largest score and the reciprocal of the sum for each.
    pub(super) fn softmax_rows<'a, S>(simd: S, x: &'a mut [f32], columns: usize, statistics: &'a mut [f32]) {
        for (x, statistics) in x.chunks_exact_mut(columns).zip(statistics.as_chunks_mut().0) {
            let largest = max(simd, x);
            each_vector!(simd: S; load(x), store(x) = (x - largest).exp());
            let scale = 1.0 / sum(simd, x);
            each_vector!(simd: S; load(x), store(x) = x * scale);
            *statistics = [largest, scale];
        }
    }
}

kernel! {
    /// Recomputes the result of [`softmax_rows`] from the scores and the statistics.
    pub(super) fn softmax_rows_again<'a, S>(simd: S, x: &'a mut [f32], columns: usize, statistics: &'a [f32]) {
        for (x, [largest, scale]) in x.chunks_exact_mut(columns).zip(statistics.as_chunks().0) {
            each_vector!(simd: S; load(x), store(x) = (x - *largest).exp() * *scale);
        }
    }
}

kernel! {
    /// Turns the gradients of probabilities into those of scores: `p (dp - p · dp)` in every row.
    pub(super) fn softmax_rows_backward<'a, S>(simd: S, p: &'a [f32], dp: &'a mut [f32], columns: usize) {
        for (p, dp) in p.chunks_exact(columns).zip(dp.chunks_exact_mut(columns)) {
            let mean = dot(simd, p, dp);
            each_vector!(simd: S; load(p, dp), store(dp) = p * (dp - mean));
        }
    }
}
