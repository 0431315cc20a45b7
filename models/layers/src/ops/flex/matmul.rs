//! Matrix products through the `gemm` crate, which Burn's own `matmul` uses on Flex as well.

use std::mem::MaybeUninit;
use std::ops::Range;

use burn::backend::flex::FlexTensor;

/// A matrix in a slice: element `(i, j)` is at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values that begin `row_stride` apart.
    pub(super) fn strided(values: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        let matrix = Self { values, rows, columns, row_stride, column_stride: 1 };
        matrix.check();
        matrix
    }

    /// Consecutive rows of `columns` values, as many as the slice has.
    pub(super) fn row_major(values: &'a [f32], columns: usize) -> Self {
        Self::strided(values, values.len().checked_div(columns).unwrap_or(0), columns, columns)
    }

    /// A tensor of two axes, with non-negative strides.
    pub(super) fn of_tensor(tensor: &'a FlexTensor) -> Self {
        let layout = tensor.layout();
        let [rows, columns] = layout.shape().dims();
        let [row_stride, column_stride] =
            [0, 1].map(|axis| usize::try_from(layout.strides()[axis]).expect("strides are not negative"));
        let values = &tensor.storage()[layout.start_offset()..];
        let matrix = Self { values, rows, columns, row_stride, column_stride };
        matrix.check();
        matrix
    }

    /// Whether the values of a row follow each other.
    pub(super) fn has_consecutive_rows(self) -> bool {
        self.column_stride == 1 || self.columns <= 1
    }

    /// The values from the first on, and the distance between the beginnings of rows.
    ///
    /// # Panics
    /// If the values of a row do not follow each other.
    pub(super) fn consecutive_rows(self) -> (&'a [f32], usize) {
        assert!(self.has_consecutive_rows(), "the values of a row lie {} apart", self.column_stride);
        (self.values, if self.rows <= 1 { self.columns } else { self.row_stride })
    }

    pub(super) fn rows(self) -> usize {
        self.rows
    }

    pub(super) fn columns(self) -> usize {
        self.columns
    }

    /// Some of the rows.
    pub(super) fn slice(self, rows: Range<usize>) -> Self {
        assert!(rows.start < rows.end && rows.end <= self.rows, "{rows:?} of {} rows", self.rows);
        Self { values: &self.values[rows.start * self.row_stride..], rows: rows.len(), ..self }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    fn check(&self) {
        if self.rows > 0 && self.columns > 0 {
            let last = (self.rows - 1) * self.row_stride + (self.columns - 1) * self.column_stride;
            assert!(last < self.values.len(), "a matrix reaches beyond its values");
        }
    }
}

/// Which threads multiply. The result is the same to the last bit, because threads divide the product into tiles, not sums into terms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Threads {
    /// Only the calling thread. Backward passes must use this: they run while autodiff holds the lock of its graph, and a thread
    /// that waits for a pool may pick up work that needs the same lock.
    One,
    /// The threads of the current pool, if the product is large enough.
    Pool,
}

/// `lhs rhs`, row-major, in a new vector.
pub(super) fn product(lhs: Matrix, rhs: Matrix, threads: Threads) -> Vec<f32> {
    let mut values = Vec::new();
    append_product(&mut values, lhs, rhs, threads);
    values
}

/// Appends `lhs rhs`, row-major.
pub(super) fn append_product(values: &mut Vec<f32>, lhs: Matrix, rhs: Matrix, threads: Threads) {
    let length = lhs.rows * rhs.columns;
    values.reserve(length);
    let pointer = values.spare_capacity_mut()[..length].as_mut_ptr().cast();
    // SAFETY: the spare capacity is exclusive and holds as many values; `gemm` writes without reading.
    unsafe { gemm(pointer, rhs.columns, false, lhs, rhs, 1.0, threads) };
    // SAFETY: `gemm` has written all values of the product.
    unsafe { values.set_len(values.len() + length) };
}

/// Memory that a product may be written to, whether or not it is initialised.
pub(super) trait Destination {
    fn as_span(&mut self) -> (*mut f32, usize);
}

impl Destination for [f32] {
    fn as_span(&mut self) -> (*mut f32, usize) {
        (self.as_mut_ptr(), self.len())
    }
}

impl Destination for [MaybeUninit<f32>] {
    fn as_span(&mut self) -> (*mut f32, usize) {
        (self.as_mut_ptr().cast(), self.len())
    }
}

/// Writes `scale lhs rhs` to rows that begin `row_stride` apart.
pub(super) fn write_product(
    destination: &mut (impl Destination + ?Sized),
    row_stride: usize,
    lhs: Matrix,
    rhs: Matrix,
    scale: f32,
) {
    let (pointer, length) = destination.as_span();
    check_destination(length, row_stride, lhs, rhs);
    // SAFETY: `destination` is exclusive and long enough, as checked; `gemm` writes without reading.
    unsafe { gemm(pointer, row_stride, false, lhs, rhs, scale, Threads::One) }
}

/// Adds `scale lhs rhs` to rows that begin `row_stride` apart.
pub(super) fn add_product(destination: &mut [f32], row_stride: usize, lhs: Matrix, rhs: Matrix, scale: f32) {
    check_destination(destination.len(), row_stride, lhs, rhs);
    // SAFETY: `destination` is exclusive, initialised and long enough, as checked.
    unsafe { gemm(destination.as_mut_ptr(), row_stride, true, lhs, rhs, scale, Threads::One) }
}

fn check_destination(length: usize, row_stride: usize, lhs: Matrix, rhs: Matrix) {
    if lhs.rows > 0 && rhs.columns > 0 {
        assert!(rhs.columns <= row_stride || lhs.rows == 1, "the rows of a product overlap");
        assert!((lhs.rows - 1) * row_stride + rhs.columns <= length, "a product reaches beyond its destination");
    }
}

/// # Safety
/// `destination` must be valid for writes of `lhs.rows` rows of `rhs.columns` values that begin `row_stride` apart, and no
/// other reference may reach them; with `add`, they must be initialised.
unsafe fn gemm(
    destination: *mut f32,
    row_stride: usize,
    add: bool,
    lhs: Matrix,
    rhs: Matrix,
    scale: f32,
    threads: Threads,
) {
    assert_eq!(lhs.columns, rhs.rows, "the inner sizes of a product differ");
    let (m, n, k) = (lhs.rows, rhs.columns, lhs.columns);
    // The size from which Burn's Flex backend uses its threads.
    let large = m * n * k >= 192 * 192 * 192;
    let parallelism =
        if large && threads == Threads::Pool { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    // SAFETY: `Matrix` has checked that the operands lie within their slices; the caller vouches for the destination.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            destination,
            1,
            row_stride as isize,
            add,
            lhs.values.as_ptr(),
            lhs.column_stride as isize,
            lhs.row_stride as isize,
            rhs.values.as_ptr(),
            rhs.column_stride as isize,
            rhs.row_stride as isize,
            1.0,
            scale,
            false,
            false,
            false,
            parallelism,
        );
    }
}
