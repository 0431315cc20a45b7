//! Linear layers fused with the operation that follows: bias, residual or GELU.

use std::ops::Range;

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::gelu::{gelu, gelu_with_derivative};
use super::matmul::{Matrix, Threads, append_product, product};
use super::tensor::{contiguous, from_values, owned, values, values_mut, whole_rows, with_last_axis};
use crate::ops::extension::SavedLinear;
use crate::ops::simd::{each_vector, kernel};

/// `x weight`.
pub(super) fn forward(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
    multiplied(x, weight, |_, _| {})
}

/// `x weight + bias`.
pub(super) fn forward_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    let bias = contiguous(bias);
    multiplied(x, weight, |y, _| add_to_rows(y, values(&bias)))
}

/// `residual + x weight + bias`.
pub(super) fn forward_residual(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    residual: FlexTensor,
) -> FlexTensor {
    let (bias, residual) = (contiguous(bias), contiguous(residual));
    multiplied(x, weight, |y, range| add_to_rows_both(y, values(&bias), &values(&residual)[range]))
}

/// `gelu(x weight + bias)`.
pub(super) fn forward_gelu(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    let bias = contiguous(bias);
    multiplied(x, weight, |y, _| bias_gelu_in_place(y, values(&bias)))
}

/// `gelu(x weight + bias)` and the derivative of GELU there.
pub(super) fn forward_gelu_with_derivative(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let (x, bias) = (contiguous(x), contiguous(bias));
    let bias = values(&bias);
    let mut y = Vec::with_capacity(rows(&x).rows() * bias.len());
    let derivative = multiplied(x, weight, |z, _| {
        for z in z.chunks_mut(whole_rows(bias.len())) {
            let first = y.len();
            y.extend_from_slice(z);
            bias_gelu_and_derivative(&mut y[first..], bias, z);
        }
    });
    (from_values(y, derivative.shape()), derivative)
}

/// `x weight`, with `finish` applied to a panel of rows at a time while it is in the cache. `finish` gets the panel and its range
/// of values.
fn multiplied(x: FlexTensor, weight: FlexTensor, mut finish: impl FnMut(&mut [f32], Range<usize>)) -> FlexTensor {
    let (x, weight) = (contiguous(x), matrix(weight));
    let (x_rows, weight) = (rows(&x), Matrix::of_tensor(&weight));
    let mut y = Vec::with_capacity(x_rows.rows() * weight.columns());
    let panel = panel_rows(weight).min(x_rows.rows()).max(1);
    for start in (0..x_rows.rows()).step_by(panel) {
        let first = y.len();
        append_product(&mut y, x_rows.slice(start..(start + panel).min(x_rows.rows())), weight, Threads::Pool);
        let range = first..y.len();
        finish(&mut y[first..], range);
    }
    from_values(y, with_last_axis(&x, weight.columns()))
}

/// Rows of a product to compute at a time. Every product packs the weight again, which is worthwhile only for small weights.
fn panel_rows(weight: Matrix) -> usize {
    const VALUES: usize = 32 * 1024;
    if weight.rows() * weight.columns() > VALUES { usize::MAX } else { VALUES / weight.columns() }
}

/// The gradients of `x`, `weight` and `bias`: `dz weightᵀ`, `xᵀ dz` and the sum of `dz`'s rows, where `dz` is `dy` times the
/// derivative of the activation function.
pub(super) fn backward(saved: SavedLinear<Flex>, dy: FlexTensor, needs_bias: bool) -> [Option<FlexTensor>; 3] {
    let columns = dy.shape().last().copied().expect("the tensor has an axis");
    let dz = match saved.derivative {
        Some(derivative) => {
            let (mut dz, derivative) = (owned(dy), contiguous(derivative));
            multiply(values_mut(&mut dz), values(&derivative));
            dz
        }
        None => contiguous(dy),
    };
    let dbias = needs_bias.then(|| {
        let mut sums = vec![0.0; columns];
        add_rows(values(&dz), &mut sums);
        from_values(sums, [columns])
    });
    let dweight = saved.x.map(|x| {
        let x = contiguous(x);
        let (x, dz) = (rows(&x).transposed(), rows(&dz));
        from_values(product(x, dz, Threads::One), [x.rows(), dz.columns()])
    });
    let dx = saved.weight.map(|weight| {
        let weight = matrix(weight);
        let weight = Matrix::of_tensor(&weight).transposed();
        from_values(product(rows(&dz), weight, Threads::One), with_last_axis(&dz, weight.columns()))
    });
    [dx, dweight, dbias]
}

/// A contiguous tensor as a matrix with the last axis for columns.
fn rows(tensor: &FlexTensor) -> Matrix<'_> {
    let columns = *tensor.layout().shape().last().expect("the tensor has an axis");
    Matrix::row_major(values(tensor), columns)
}

/// A weight in a layout that [`Matrix::of_tensor`] accepts: transposed views are allowed, mirrored ones are not.
fn matrix(weight: FlexTensor) -> FlexTensor {
    if weight.layout().has_positive_strides() { weight } else { weight.to_contiguous() }
}

kernel! {
    /// Adds `row` to each row of `x`.
    fn add_to_rows<'a, S>(simd: S, x: &'a mut [f32], row: &'a [f32]) {
        for x in x.chunks_exact_mut(row.len()) {
            each_vector!(simd: S; load(x, row), store(x) = x + row);
        }
    }
}

kernel! {
    /// Adds `row` and the rows of `y` to those of `x`.
    fn add_to_rows_both<'a, S>(simd: S, x: &'a mut [f32], row: &'a [f32], y: &'a [f32]) {
        for (x, y) in x.chunks_exact_mut(row.len()).zip(y.chunks_exact(row.len())) {
            each_vector!(simd: S; load(x, row, y), store(x) = x + row + y);
        }
    }
}

kernel! {
    /// Adds the rows of `x` to `sums`.
    fn add_rows<'a, S>(simd: S, x: &'a [f32], sums: &'a mut [f32]) {
        for x in x.chunks_exact(sums.len()) {
            each_vector!(simd: S; load(sums, x), store(sums) = sums + x);
        }
    }
}

kernel! {
    /// Multiplies `x` by `factor`.
    fn multiply<'a, S>(simd: S, x: &'a mut [f32], factor: &'a [f32]) {
        each_vector!(simd: S; load(x, factor), store(x) = x * factor);
    }
}

kernel! {
    fn bias_gelu_in_place<'a, S>(simd: S, x: &'a mut [f32], bias: &'a [f32]) {
        for x in x.chunks_exact_mut(bias.len()) {
            each_vector!(simd: S; load(x, bias), store(x) = gelu(x + bias));
        }
    }
}

kernel! {
    /// Replaces `x` by `gelu(x + bias)` and writes the derivatives.
    fn bias_gelu_and_derivative<'a, S>(simd: S, x: &'a mut [f32], bias: &'a [f32], derivative: &'a mut [f32]) {
        for (x, derivative) in x.chunks_exact_mut(bias.len()).zip(derivative.chunks_exact_mut(bias.len())) {
            each_vector!(simd: S; load(x, bias), store(x, derivative) = gelu_with_derivative(x + bias));
        }
    }
}
