//! Multi-head attention core with operands in bf16; otherwise as in f32 ([`attention`](crate::ops::flex::attention)).

use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType};

use super::{Left, Nothing, Panels, Rows, add_product, write_product};
use crate::ops::flex::attention::{Blocks, pairs, softmax_rows, softmax_rows_again, softmax_rows_backward};
use crate::ops::flex::matmul::Matrix;
use crate::ops::flex::tensor::{contiguous, filled, from_values, values};

/// The tensor in bf16, head by head in rows of even length: `[batch, heads, tokens, width]` for `[batch, tokens, heads * width]`.
pub(in crate::ops::flex) fn rounded_heads(x: FlexTensor, heads: usize) -> FlexTensor {
    let x = contiguous(x);
    let [batch, tokens, d] = x.layout().shape().dims();
    let (width, even) = (d / heads, (d / heads).next_multiple_of(2));
    let mut bits = vec![0; batch * heads * tokens * even];
    round_heads(values(&x), heads, tokens, width, even, &mut bits);
    FlexTensor::new(Bytes::from_elems(bits), Layout::contiguous([batch, heads, tokens, even].into()), DType::BF16)
}

/// A tensor that [`rounded_heads`] made.
struct Heads<'a> {
    bits: &'a [u16],
    batch: usize,
    tokens: usize,
    width: usize,
    stride: usize,
}

impl<'a> Heads<'a> {
    fn new(tensor: &'a FlexTensor, width: usize) -> Self {
        let [batch, _, tokens, stride] = tensor.layout().shape().dims();
        Self { bits: bytemuck::cast_slice(tensor.bytes()), batch, tokens, width, stride }
    }

    /// The matrix of a pair of item and head, by its number.
    fn matrix(&self, index: usize) -> Rows<'a> {
        self.rows(index, 0..self.tokens)
    }

    fn rows(&self, index: usize, tokens: std::ops::Range<usize>) -> Rows<'a> {
        let first = (index * self.tokens + tokens.start) * self.stride;
        Rows::new(&self.bits[first..], tokens.len(), self.width, self.stride)
    }
}

/// `softmax(scale q kᵀ) v` in every head, and with `train` the statistics `[batch, heads, n, 2]` for [`backward`]. The inputs are
/// [`rounded_heads`].
pub(in crate::ops::flex) fn forward(
    [q, k, v]: [&FlexTensor; 3],
    width: usize,
    scale: f64,
    train: bool,
) -> (FlexTensor, Option<FlexTensor>) {
    let heads = q.layout().shape().dims::<4>()[1];
    let [q, k, v] = [q, k, v].map(|x| Heads::new(x, width));
    let (d, blocks) = (heads * width, Blocks::new(q.tokens, k.tokens));
    let mut scores = blocks.scratch();
    let mut statistics = vec![0.0; 2 * if train { q.batch * heads * q.tokens } else { blocks.rows() }];
    let (mut keys, mut sums, mut rounded) = (Panels::default(), Panels::default(), Vec::new());
    let write = |output: &mut [_]| {
        for (index, (item, head)) in pairs(q.batch, heads).enumerate() {
            keys.fill_transposed(k.matrix(index));
            sums.fill(v.matrix(index));
            for rows in blocks.iter() {
                let first = if train { index * q.tokens + rows.start } else { 0 };
                let statistics = &mut statistics[2 * first..][..2 * rows.len()];
                let scores = &mut scores[..rows.len() * k.tokens];
                let queries = Left::Rows(q.rows(index, rows.clone()));
                write_product(scores, k.tokens, queries, &keys, scale as f32, &mut Nothing);
                softmax_rows(scores, k.tokens, statistics);
                let weights = Rows::round(Matrix::row_major(scores, k.tokens), &mut rounded);
                let output = &mut output[(item * q.tokens + rows.start) * d + head * width..];
                write_product(output, d, Left::Rows(weights), &sums, 1.0, &mut Nothing);
            }
        }
    };
    // SAFETY: the blocks cover all rows of all heads.
    let output = unsafe { filled(q.batch * q.tokens * d, write) };
    let statistics = train.then(|| from_values(statistics, [q.batch, heads, q.tokens, 2]));
    (from_values(output, [q.batch, q.tokens, d]), statistics)
}

/// Operands of the backward pass, in memory that all heads share.
#[derive(Default)]
struct Scratch {
    keys: Panels,
    transposed_keys: Panels,
    transposed_values: Panels,
    queries: Panels,
    gradients: Panels,
    /// The transposed probabilities, then the transposed gradients of the scores.
    transposed: Panels,
    rounded: Vec<u16>,
}

/// The gradients of `q`, `k` and `v` that `needs` selects, in `[batch, tokens, heads * width]`.
pub(in crate::ops::flex) fn backward(
    [q, k, v]: [&FlexTensor; 3],
    statistics: FlexTensor,
    doutput: FlexTensor,
    width: usize,
    scale: f64,
    needs: [bool; 3],
) -> [Option<FlexTensor>; 3] {
    let heads = q.layout().shape().dims::<4>()[1];
    let doutput = rounded_heads(doutput, heads);
    let [q, k, v, doutput] = [q, k, v, &doutput].map(|x| Heads::new(x, width));
    let (d, scale, blocks) = (heads * width, scale as f32, Blocks::new(q.tokens, k.tokens));
    let [needs_q, needs_k, needs_v] = needs;
    let gradient = |needed: bool, of: &Heads| vec![0.0; if needed { of.batch * of.tokens * d } else { 0 }];
    let [mut dq, mut dk, mut dv] = [gradient(needs_q, &q), gradient(needs_k, &k), gradient(needs_v, &v)];
    let (mut p, mut ds) = (blocks.scratch(), blocks.scratch());
    let mut scratch = Scratch::default();
    for (index, (item, head)) in pairs(q.batch, heads).enumerate() {
        let of_keys = item * k.tokens * d + head * width;
        scratch.transposed_keys.fill_transposed(k.matrix(index));
        scratch.transposed_values.fill_transposed(v.matrix(index));
        scratch.keys.fill(k.matrix(index));
        for rows in blocks.iter() {
            let statistics = &values(&statistics)[2 * (index * q.tokens + rows.start)..][..2 * rows.len()];
            let (p, ds) = (&mut p[..rows.len() * k.tokens], &mut ds[..rows.len() * k.tokens]);
            let (queries, doutput) = (q.rows(index, rows.clone()), doutput.rows(index, rows.clone()));
            write_product(p, k.tokens, Left::Rows(queries), &scratch.transposed_keys, scale, &mut Nothing);
            softmax_rows_again(p, k.tokens, statistics);
            if needs_v {
                scratch.transposed.fill(Rows::round(Matrix::row_major(p, k.tokens), &mut scratch.rounded));
                scratch.gradients.fill(doutput);
                let left = Left::Transposed(&scratch.transposed);
                add_product(&mut dv[of_keys..], d, left, &scratch.gradients, 1.0);
            }
            if !needs_q && !needs_k {
                continue;
            }
            write_product(ds, k.tokens, Left::Rows(doutput), &scratch.transposed_values, 1.0, &mut Nothing);
            softmax_rows_backward(p, ds, k.tokens);
            let ds = Rows::round(Matrix::row_major(ds, k.tokens), &mut scratch.rounded);
            if needs_q {
                let dq = &mut dq[(item * q.tokens + rows.start) * d + head * width..];
                write_product(dq, d, Left::Rows(ds), &scratch.keys, scale, &mut Nothing);
            }
            if needs_k {
                scratch.transposed.fill(ds);
                scratch.queries.fill(queries);
                let left = Left::Transposed(&scratch.transposed);
                add_product(&mut dk[of_keys..], d, left, &scratch.queries, scale);
            }
        }
    }
    let tensor = |needed: bool, gradient, of: &Heads| needed.then(|| from_values(gradient, [of.batch, of.tokens, d]));
    [tensor(needs_q, dq, &q), tensor(needs_k, dk, &k), tensor(needs_v, dv, &v)]
}

crate::ops::simd::kernel! {
    /// Rounds every head of every item to rows of `even` values.
    fn round_heads<'a, S>(
        simd: S,
        x: &'a [f32],
        heads: usize,
        tokens: usize,
        width: usize,
        even: usize,
        bits: &'a mut [u16],
    ) {
        let _ = simd;
        let d = heads * width;
        for (item, bits) in x.chunks_exact(tokens * d).zip(bits.chunks_exact_mut(heads * tokens * even)) {
            for (head, bits) in bits.chunks_exact_mut(tokens * even).enumerate() {
                for (row, bits) in item.chunks_exact(d).zip(bits.chunks_exact_mut(even)) {
                    for (value, bits) in row[head * width..][..width].iter().zip(bits) {
                        *bits = super::pack::round(*value);
                    }
                }
            }
        }
    }
}
