//! Linear layers with what follows them: bias, residual, GELU.

use std::mem::MaybeUninit;

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::gelu::{gelu, gelu_with_derivative};
use super::matmul::{Matrix, Threads, add_product, product};
use super::tensor::{contiguous, filled, from_values, owned, values, values_mut, with_last_axis};
use crate::ops::extension::SavedLinear;
use crate::ops::simd::multiversion;

/// `x weight`.
pub(super) fn forward(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
    let (x, weight) = (contiguous(x), matrix(weight));
    let weight = Matrix::of_tensor(&weight);
    let y = product(rows(&x), weight, 1.0, Threads::Pool);
    from_values(y, with_last_axis(&x, weight.columns()))
}

/// `x weight + bias`.
pub(super) fn forward_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    let (x, weight, bias) = (contiguous(x), matrix(weight), contiguous(bias));
    let (x_rows, d_output) = (rows(&x), values(&bias).len());
    let mut y = Vec::with_capacity(x_rows.rows() * d_output);
    for _ in 0..x_rows.rows() {
        y.extend_from_slice(values(&bias));
    }
    add_product(&mut y, d_output, x_rows, Matrix::of_tensor(&weight), 1.0, Threads::Pool);
    from_values(y, with_last_axis(&x, d_output))
}

/// `residual + x weight + bias`.
pub(super) fn forward_residual(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    residual: FlexTensor,
) -> FlexTensor {
    let (x, weight, bias, mut y) = (contiguous(x), matrix(weight), contiguous(bias), owned(residual));
    let d_output = values(&bias).len();
    add_to_rows(values_mut(&mut y), values(&bias));
    add_product(values_mut(&mut y), d_output, rows(&x), Matrix::of_tensor(&weight), 1.0, Threads::Pool);
    y
}

/// `gelu(x weight + bias)`.
pub(super) fn forward_gelu(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    let bias = contiguous(bias);
    let mut y = forward(x, weight);
    bias_gelu_in_place(values_mut(&mut y), values(&bias));
    y
}

/// `gelu(x weight + bias)` and the derivative of GELU there.
pub(super) fn forward_gelu_with_derivative(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let bias = contiguous(bias);
    let mut z = forward(x, weight);
    let shape = z.shape();
    let write = |y: &mut [_]| bias_gelu_and_derivative(values_mut(&mut z), values(&bias), y);
    // SAFETY: the loop writes as many values as it reads.
    let y = unsafe { filled(shape.num_elements(), write) };
    (from_values(y, shape), z)
}

/// The gradients of `x`, `weight` and `bias`: `dz weightᵀ`, `xᵀ dz` and the sum of `dz`'s rows, where `dz` is `dy` times the
/// derivative of the activation function.
pub(super) fn backward(saved: SavedLinear<Flex>, dy: FlexTensor, needs_bias: bool) -> [Option<FlexTensor>; 3] {
    let columns = dy.shape().last().copied().expect("the tensor has an axis");
    let mut dbias = vec![0.0; if needs_bias { columns } else { 0 }];
    let dz = match saved.derivative {
        Some(derivative) => {
            let (mut dz, derivative) = (owned(dy), contiguous(derivative));
            multiply(values_mut(&mut dz), values(&derivative), &mut dbias);
            dz
        }
        None => {
            let dz = contiguous(dy);
            if needs_bias {
                add_rows(values(&dz), &mut dbias);
            }
            dz
        }
    };
    let dweight = saved.x.map(|x| {
        let x = contiguous(x);
        let (x, dz) = (rows(&x).transposed(), rows(&dz));
        from_values(product(x, dz, 1.0, Threads::One), [x.rows(), dz.columns()])
    });
    let dx = saved.weight.map(|weight| {
        let weight = matrix(weight);
        let weight = Matrix::of_tensor(&weight).transposed();
        from_values(product(rows(&dz), weight, 1.0, Threads::One), with_last_axis(&dz, weight.columns()))
    });
    [dx, dweight, needs_bias.then(|| from_values(dbias, [columns]))]
}

/// A contiguous tensor as a matrix with the last axis for columns.
fn rows(tensor: &FlexTensor) -> Matrix<'_> {
    let columns = *tensor.layout().shape().last().expect("the tensor has an axis");
    Matrix::row_major(values(tensor), columns)
}

/// A weight as [`Matrix::of_tensor`] takes it: transposed views are fine, mirrored ones are not.
fn matrix(weight: FlexTensor) -> FlexTensor {
    if weight.layout().has_positive_strides() { weight } else { weight.to_contiguous() }
}

multiversion! {
    /// Adds `row` to each row of `x`.
    fn add_to_rows<const FMA: bool>(x: &mut [f32], row: &[f32]) {
        for x in x.chunks_exact_mut(row.len()) {
            for (x, row) in x.iter_mut().zip(row) {
                *x += row;
            }
        }
    }

    /// Adds the rows of `x` to `sums`.
    fn add_rows<const FMA: bool>(x: &[f32], sums: &mut [f32]) {
        for x in x.chunks_exact(sums.len()) {
            for (sum, x) in sums.iter_mut().zip(x) {
                *sum += x;
            }
        }
    }

    /// Multiplies `x` by `factor` and adds the resulting rows to `sums`, if there are any.
    fn multiply<const FMA: bool>(x: &mut [f32], factor: &[f32], sums: &mut [f32]) {
        let columns = sums.len();
        if columns == 0 {
            for (x, factor) in x.iter_mut().zip(factor) {
                *x *= factor;
            }
            return;
        }
        for (x, factor) in x.chunks_exact_mut(columns).zip(factor.chunks_exact(columns)) {
            for ((x, factor), sum) in x.iter_mut().zip(factor).zip(sums.iter_mut()) {
                *x *= factor;
                *sum += *x;
            }
        }
    }

    fn bias_gelu_in_place<const FMA: bool>(x: &mut [f32], bias: &[f32]) {
        for x in x.chunks_exact_mut(bias.len()) {
            for (x, bias) in x.iter_mut().zip(bias) {
                *x = gelu::<FMA>(*x + bias);
            }
        }
    }

    /// Writes `gelu(x + bias)` to `y` and leaves the derivatives in `x`.
    fn bias_gelu_and_derivative<const FMA: bool>(x: &mut [f32], bias: &[f32], y: &mut [MaybeUninit<f32>]) {
        let columns = bias.len();
        assert!(x.len() == y.len() && x.len().is_multiple_of(columns));
        for (x, y) in x.chunks_exact_mut(columns).zip(y.chunks_exact_mut(columns)) {
            for ((x, y), bias) in x.iter_mut().zip(y).zip(bias) {
                let (value, derivative) = gelu_with_derivative::<FMA>(*x + bias);
                y.write(value);
                *x = derivative;
            }
        }
    }
}
