//! Operands rounded to bf16, in the order in which the products read them.

use burn::backend::TensorMetadata;
use burn::backend::flex::{FlexTensor, Layout};
use burn::tensor::{Bytes, DType};

use crate::ops::flex::matmul::Matrix;
use crate::ops::flex::tensor::{from_values, values};
use crate::ops::simd::kernel;

/// Columns of a panel.
pub(super) const WIDTH: usize = 64;

/// Panels are filled up with columns of zeros to a multiple of this.
const STEP: usize = 16;

/// The bits of the nearest bf16 number, the even one of two that are equally near. NaN stays NaN.
#[inline(always)]
pub(super) fn round(value: f32) -> u16 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let quiet = bits >> 16 | 0x40;
    (if bits & 0x7fff_ffff > 0x7f80_0000 { quiet } else { nearest }) as u16
}

/// The number whose upper bits these are.
#[inline(always)]
pub(super) fn widen(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The nearest bf16 number.
#[inline(always)]
pub(in crate::ops::flex) fn nearest(value: f32) -> f32 {
    widen(round(value))
}

/// A contiguous tensor in bf16.
pub(in crate::ops::flex) fn narrowed(x: &FlexTensor) -> FlexTensor {
    let mut bits = vec![0; values(x).len()];
    let length = bits.len().max(1);
    round_rows(values(x), length, length, &mut bits, length);
    FlexTensor::new(Bytes::from_elems(bits), Layout::contiguous(x.shape()), DType::BF16)
}

/// A tensor that [`narrowed`] made, in f32.
pub(in crate::ops::flex) fn widened(x: &FlexTensor) -> FlexTensor {
    let bits: &[u16] = bytemuck::cast_slice(x.bytes());
    let mut y = vec![0.0; bits.len()];
    widen_all(bits, &mut y);
    from_values(y, x.shape())
}

#[inline(always)]
fn pair(first: u16, second: u16) -> u32 {
    u32::from(first) | u32::from(second) << 16
}

/// A row-major matrix in bf16, whose rows have an even length: a matrix with an odd number of columns has one of zeros more.
#[derive(Clone, Copy)]
pub(in crate::ops::flex) struct Rows<'a> {
    values: &'a [u16],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows of `columns` values that begin `stride` apart, which is an even distance.
    ///
    /// # Panics
    /// If the rows reach beyond the values.
    pub(in crate::ops::flex) fn new(values: &'a [u16], rows: usize, columns: usize, stride: usize) -> Self {
        let even = columns.next_multiple_of(2);
        assert!(stride.is_multiple_of(2) && (rows <= 1 || even <= stride), "rows of {columns} values {stride} apart");
        assert!(rows == 0 || (rows - 1) * stride + even <= values.len(), "a matrix reaches beyond its values");
        Self { values, rows, columns, stride }
    }

    /// Rounds a matrix whose rows are consecutive values, into `buffer`.
    pub(in crate::ops::flex) fn round(matrix: Matrix, buffer: &'a mut Vec<u16>) -> Self {
        let (values, row_stride) = matrix.consecutive_rows();
        let (rows, columns) = (matrix.rows(), matrix.columns());
        let stride = columns.next_multiple_of(2);
        if columns % 2 == 1 {
            // What is not overwritten has to be zero.
            buffer.clear();
        }
        buffer.resize(rows * stride, 0);
        round_rows(values, row_stride, columns, buffer, stride);
        Self::new(buffer, rows, columns, stride)
    }

    pub(super) fn rows(self) -> usize {
        self.rows
    }

    pub(super) fn columns(self) -> usize {
        self.columns
    }

    pub(super) fn stride(self) -> usize {
        self.stride
    }

    /// The values from a row and column on.
    pub(super) fn from(self, row: usize, column: usize) -> &'a [u16] {
        &self.values[row * self.stride + column..]
    }
}

/// A matrix in bf16, in panels of [`WIDTH`] columns. A panel has a row of words for each pair of rows of the matrix.
#[derive(Clone, Debug, Default)]
pub(in crate::ops::flex) struct Panels {
    words: Vec<u32>,
    rows: usize,
    columns: usize,
}

impl Panels {
    /// Rounds a matrix whose rows or columns are consecutive values.
    pub(in crate::ops::flex) fn of(matrix: Matrix) -> Self {
        let mut panels = Self::default();
        panels.resize(matrix.rows(), matrix.columns());
        let (rows, columns) = (matrix.rows(), matrix.columns());
        if matrix.has_consecutive_rows() {
            let (values, row_stride) = matrix.consecutive_rows();
            panels.each_panel(|words, start, width| {
                pack_rows(&values[start..], row_stride, rows, (columns - start).min(WIDTH), words, width);
            });
        } else {
            let (values, column_stride) = matrix.transposed().consecutive_rows();
            panels.each_panel(|words, start, width| {
                let values = &values[start * column_stride..];
                pack_columns(values, column_stride, rows, (columns - start).min(WIDTH), words, width);
            });
        }
        panels
    }

    /// Takes a matrix that was rounded before.
    pub(in crate::ops::flex) fn fill(&mut self, matrix: Rows) {
        self.resize(matrix.rows, matrix.columns);
        let columns = matrix.columns;
        self.each_panel(|words, start, width| {
            let values = matrix.from(0, start);
            interleave_rows(values, matrix.stride, matrix.rows, (columns - start).min(WIDTH), words, width);
        });
    }

    /// Takes the transpose of a matrix that was rounded before.
    pub(in crate::ops::flex) fn fill_transposed(&mut self, matrix: Rows) {
        self.resize(matrix.columns, matrix.rows);
        let columns = matrix.rows;
        self.each_panel(|words, start, width| {
            let values = matrix.from(start, 0);
            interleave_columns(values, matrix.stride, matrix.columns, (columns - start).min(WIDTH), words, width);
        });
    }

    fn resize(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        self.words.resize(self.pairs() * columns.next_multiple_of(STEP), 0);
    }

    /// Calls `fill` with the words of each panel, its first column and its width.
    fn each_panel(&mut self, mut fill: impl FnMut(&mut [u32], usize, usize)) {
        let pairs = self.pairs();
        let all = self.columns.next_multiple_of(STEP);
        let mut rest = &mut self.words[..];
        for start in (0..all).step_by(WIDTH) {
            let width = (all - start).min(WIDTH);
            let (words, others) = rest.split_at_mut(pairs * width);
            fill(words, start, width);
            rest = others;
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn pairs(&self) -> usize {
        self.rows.div_ceil(2)
    }

    /// The words of the panel that begins at a column, and its width.
    pub(super) fn panel(&self, start: usize) -> (&[u32], usize) {
        debug_assert!(start.is_multiple_of(WIDTH) && start < self.columns);
        let width = (self.columns.next_multiple_of(STEP) - start).min(WIDTH);
        (&self.words[start * self.pairs()..][..width * self.pairs()], width)
    }
}

kernel! {
    /// Rounds rows that begin `row_stride` apart.
    fn round_rows<'a, S>(simd: S, x: &'a [f32], row_stride: usize, columns: usize, y: &'a mut [u16], stride: usize) {
        // Names the vectors that the compiler may use here.
        let _ = simd;
        if row_stride == columns && stride == columns {
            for (x, y) in x.iter().zip(y) {
                *y = round(*x);
            }
        } else if columns > 0 {
            for (x, y) in x.chunks(row_stride).zip(y.chunks_exact_mut(stride)) {
                for (x, y) in x[..columns].iter().zip(y) {
                    *y = round(*x);
                }
            }
        }
    }
}

kernel! {
    /// Rounds every value to the nearest bf16 number.
    pub(in crate::ops::flex) fn round_in_place<'a, S>(simd: S, x: &'a mut [f32]) {
        let _ = simd;
        for x in x {
            *x = nearest(*x);
        }
    }
}

kernel! {
    fn widen_all<'a, S>(simd: S, x: &'a [u16], y: &'a mut [f32]) {
        let _ = simd;
        for (x, y) in x.iter().zip(y) {
            *y = widen(*x);
        }
    }
}

/// A value that is packed: rounded already, or now.
trait Bits: Copy {
    fn bits(self) -> u16;
}

impl Bits for f32 {
    #[inline(always)]
    fn bits(self) -> u16 {
        round(self)
    }
}

impl Bits for u16 {
    #[inline(always)]
    fn bits(self) -> u16 {
        self
    }
}

/// Packs a panel of `columns` columns from rows that begin `row_stride` apart.
#[inline(always)]
fn panel_of_rows<T: Bits>(x: &[T], row_stride: usize, rows: usize, columns: usize, words: &mut [u32], width: usize) {
    for (index, words) in words.chunks_exact_mut(width).enumerate() {
        let first = &x[2 * index * row_stride..][..columns];
        let (filled, empty) = words.split_at_mut(columns);
        empty.fill(0);
        if 2 * index + 1 < rows {
            let second = &x[(2 * index + 1) * row_stride..][..columns];
            for ((word, first), second) in filled.iter_mut().zip(first).zip(second) {
                *word = pair(first.bits(), second.bits());
            }
        } else {
            for (word, first) in filled.iter_mut().zip(first) {
                *word = pair(first.bits(), 0);
            }
        }
    }
}

/// Columns of a panel that are packed together, so that what is written shares cache lines.
const GROUP: usize = 16;

/// Packs a panel of `columns` columns that begin `column_stride` apart.
#[inline(always)]
fn panel_of_columns<T: Bits>(
    x: &[T],
    column_stride: usize,
    rows: usize,
    columns: usize,
    words: &mut [u32],
    width: usize,
) {
    words.fill(0);
    for start in (0..columns).step_by(GROUP) {
        let group = start..columns.min(start + GROUP);
        for (index, words) in words.chunks_exact_mut(width).enumerate() {
            for column in group.clone() {
                let values = &x[column * column_stride..][..rows];
                words[column] =
                    pair(values[2 * index].bits(), values.get(2 * index + 1).map_or(0, |value| value.bits()));
            }
        }
    }
}

kernel! {
    /// [`panel_of_rows`], rounding.
    fn pack_rows<'a, S>(
        simd: S,
        x: &'a [f32],
        row_stride: usize,
        rows: usize,
        columns: usize,
        words: &'a mut [u32],
        width: usize,
    ) {
        let _ = simd;
        panel_of_rows(x, row_stride, rows, columns, words, width);
    }
}

kernel! {
    /// [`panel_of_rows`], of values that are rounded already.
    fn interleave_rows<'a, S>(
        simd: S,
        x: &'a [u16],
        row_stride: usize,
        rows: usize,
        columns: usize,
        words: &'a mut [u32],
        width: usize,
    ) {
        let _ = simd;
        panel_of_rows(x, row_stride, rows, columns, words, width);
    }
}

kernel! {
    /// [`panel_of_columns`], rounding.
    fn pack_columns<'a, S>(
        simd: S,
        x: &'a [f32],
        column_stride: usize,
        rows: usize,
        columns: usize,
        words: &'a mut [u32],
        width: usize,
    ) {
        let _ = simd;
        panel_of_columns(x, column_stride, rows, columns, words, width);
    }
}

kernel! {
    /// [`panel_of_columns`], of values that are rounded already.
    fn interleave_columns<'a, S>(
        simd: S,
        x: &'a [u16],
        column_stride: usize,
        rows: usize,
        columns: usize,
        words: &'a mut [u32],
        width: usize,
    ) {
        let _ = simd;
        panel_of_columns(x, column_stride, rows, columns, words, width);
    }
}
