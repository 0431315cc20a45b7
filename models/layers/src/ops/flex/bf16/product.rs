//! Products of packed operands, tile by tile.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::micro::{Tile, is_native, max_rows};
use super::pack::{Panels, Rows, WIDTH};
use crate::ops::flex::matmul::Destination;
use crate::ops::simd::dispatch;

/// Pairs of the inner dimension that a tile sums at a time: 64 KiB of a panel, which stay in the second-level cache.
const DEPTH: usize = 256;

/// Values of the left operand that stay in the second-level cache while panels pass by.
const LEFT: usize = 96 * 1024;

/// A left operand.
#[derive(Clone, Copy)]
pub(in crate::ops::flex) enum Left<'a> {
    Rows(Rows<'a>),
    /// The transpose of this matrix.
    Transposed(&'a Panels),
}

impl Left<'_> {
    fn rows(self) -> usize {
        match self {
            Self::Rows(rows) => rows.rows(),
            Self::Transposed(panels) => panels.columns(),
        }
    }

    fn depth(self) -> usize {
        match self {
            Self::Rows(rows) => rows.columns(),
            Self::Transposed(panels) => panels.rows(),
        }
    }

    /// Rows of a block: a multiple of the rows of every tile, or a panel.
    fn block(self) -> usize {
        match self {
            Self::Rows(rows) => (LEFT / rows.columns().max(1) / 24 * 24).clamp(24, 96),
            Self::Transposed(_) => WIDTH,
        }
    }

    /// Where a row of a block begins, with the distances between rows and between pairs.
    fn place(self, row: usize, pair: usize) -> (*const u16, usize, usize) {
        match self {
            Self::Rows(rows) => (rows.from(row, 2 * pair).as_ptr(), rows.stride(), 2),
            Self::Transposed(panels) => {
                let (words, width) = panels.panel(row / WIDTH * WIDTH);
                (words[pair * width + row % WIDTH..].as_ptr().cast(), 2, 2 * width)
            }
        }
    }
}

/// What follows a product while its values are in the cache.
pub(in crate::ops::flex) trait Finish {
    /// Changes the values of a row from a column on.
    fn finish<S: Simd>(&mut self, simd: S, values: &mut [f32], row: usize, column: usize);

    /// Whether there is anything to do.
    const WORKS: bool = true;
}

/// Leaves the product as it is.
pub(in crate::ops::flex) struct Nothing;

impl Finish for Nothing {
    const WORKS: bool = false;

    #[inline(always)]
    fn finish<S: Simd>(&mut self, _: S, _: &mut [f32], _: usize, _: usize) {}
}

/// Writes `scale left right` to rows that begin `stride` apart, and finishes the values.
///
/// # Panics
/// If the inner sizes differ or the destination is too short.
pub(in crate::ops::flex) fn write_product<F: Finish>(
    destination: &mut (impl Destination + ?Sized),
    stride: usize,
    left: Left,
    right: &Panels,
    scale: f32,
    finish: &mut F,
) {
    // SAFETY: the span is exclusive; nothing is read from it.
    unsafe { multiply(destination.as_span(), stride, left, right, (scale, false), finish) }
}

/// Adds `scale left right` to rows that begin `stride` apart.
///
/// # Panics
/// If the inner sizes differ or the destination is too short.
pub(in crate::ops::flex) fn add_product(
    destination: &mut [f32],
    stride: usize,
    left: Left,
    right: &Panels,
    scale: f32,
) {
    // SAFETY: the span is exclusive and initialised.
    unsafe { multiply(destination.as_span(), stride, left, right, (scale, true), &mut Nothing) }
}

/// # Safety
/// Nothing else may access the span, which is initialised if the product is added.
unsafe fn multiply<F: Finish>(
    (result, length): (*mut f32, usize),
    stride: usize,
    left: Left,
    right: &Panels,
    (scale, add): (f32, bool),
    finish: &mut F,
) {
    assert_eq!(left.depth(), right.rows(), "the inner sizes of a product differ");
    let (rows, columns) = (left.rows(), right.columns());
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(columns <= stride || rows == 1, "the rows of a product overlap");
    assert!((rows - 1) * stride + columns <= length, "a product reaches beyond its destination");
    let native = is_native();
    for first in (0..rows).step_by(left.block()) {
        let block = first..rows.min(first + left.block());
        for start in (0..columns).step_by(WIDTH) {
            let columns = start..columns.min(start + WIDTH);
            let result = result.wrapping_add(first * stride + start);
            let block = Block { left, right, rows: block.clone(), columns: columns.clone(), result, stride };
            // SAFETY: the span is long enough, as checked; for the rest, the caller vouches.
            unsafe { block.compute(native, scale, add) };
            if F::WORKS {
                dispatch(Finishing { block: &block, finish });
            }
        }
    }
}

/// Some rows and the columns of a panel of a product.
struct Block<'a> {
    left: Left<'a>,
    right: &'a Panels,
    rows: Range<usize>,
    columns: Range<usize>,
    result: *mut f32,
    stride: usize,
}

impl Block<'_> {
    /// # Safety
    /// The result must be valid for writes of the block, and initialised if `add` is set.
    unsafe fn compute(&self, native: bool, scale: f32, add: bool) {
        let (panel, width) = self.right.panel(self.columns.start);
        let tile_rows = max_rows(self.columns.len());
        let pairs = self.right.pairs();
        // At least once, so that a product without terms is zero.
        for pair in (0..pairs.max(1)).step_by(DEPTH) {
            for row in self.rows.clone().step_by(tile_rows) {
                let (left, row_step, pair_step) = match pairs {
                    0 => (std::ptr::null(), 0, 0),
                    _ => self.left.place(row, pair),
                };
                let tile = Tile {
                    pairs: DEPTH.min(pairs - pair),
                    left,
                    row_step,
                    pair_step,
                    right: panel[pair * width..].as_ptr(),
                    width,
                    result: self.result.wrapping_add((row - self.rows.start) * self.stride),
                    stride: self.stride,
                    rows: tile_rows.min(self.rows.end - row),
                    columns: self.columns.len(),
                    add: add || pair > 0,
                    scale,
                };
                // SAFETY: the operands have these rows, pairs and columns by their own accounts, and the caller vouches for the result.
                unsafe { tile.compute(native) };
            }
        }
    }
}

/// Finishes the rows of a block.
struct Finishing<'a, 'b, F> {
    block: &'a Block<'b>,
    finish: &'a mut F,
}

impl<F: Finish> WithSimd for Finishing<'_, '_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Block { rows, columns, result, stride, .. } = self.block;
        for (index, row) in rows.clone().enumerate() {
            // SAFETY: the block's values were written before, and nothing else accesses them.
            let values = unsafe { std::slice::from_raw_parts_mut(result.wrapping_add(index * stride), columns.len()) };
            self.finish.finish(simd, values, row, columns.start);
        }
    }
}
