//! Linear layers fused with the operation that follows, with operands in bf16.

use std::cell::RefCell;

use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Bytes, DType};
use pulp::Simd;

use super::pack::{WIDTH, round, widen};
use super::weights::packed;
use super::{Finish, Left, Nothing, Panels, Rows, write_product};
use crate::ops::extension::SavedLinear;
use crate::ops::flex::gelu::{gelu, gelu_with_derivative};
use crate::ops::flex::matmul::Matrix;
use crate::ops::flex::tensor::{contiguous, filled, from_values, values, with_last_axis};
use crate::ops::simd::{each_vector, kernel};

/// `x weight`.
pub(in crate::ops::flex) fn forward(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
    multiplied(x, weight, &mut Nothing)
}

/// `x weight + bias`.
pub(in crate::ops::flex) fn forward_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    let bias = contiguous(bias);
    multiplied(x, weight, &mut Bias(values(&bias)))
}

/// `residual + x weight + bias`.
pub(in crate::ops::flex) fn forward_residual(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    residual: FlexTensor,
) -> FlexTensor {
    let (bias, residual) = (contiguous(bias), contiguous(residual));
    multiplied(x, weight, &mut BiasResidual(values(&bias), values(&residual)))
}

/// `gelu(x weight + bias)`.
pub(in crate::ops::flex) fn forward_gelu(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
    let bias = contiguous(bias);
    multiplied(x, weight, &mut BiasGelu(values(&bias)))
}

/// `gelu(x weight + bias)` and the derivative of GELU there, the latter in bf16.
pub(in crate::ops::flex) fn forward_gelu_with_derivative(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let bias = contiguous(bias);
    let columns = values(&bias).len();
    let mut derivative = vec![0; x.shape().num_elements() / weight.shape()[0] * columns];
    let y = multiplied(x, weight, &mut BiasGeluDerivative(values(&bias), &mut derivative));
    let derivative = bf16_tensor(derivative, &y);
    (y, derivative)
}

/// The input of a linear layer as its backward pass needs it: in bf16, row by row, as [`Rows`] have it.
pub(in crate::ops::flex) fn kept_input(x: FlexTensor) -> FlexTensor {
    rounded(x)
}

thread_local! {
    /// The last input that was rounded, and the result: several layers may have the same input, such as those of queries, keys and values,
    /// and training keeps it.
    static LAST: RefCell<Option<(FlexTensor, FlexTensor)>> = const { RefCell::new(None) };
}

/// Forgets the last input of this thread.
pub(in crate::ops) fn forget_last_input() {
    LAST.take();
}

/// The tensor in bf16, with a last axis of even length.
fn rounded(x: FlexTensor) -> FlexTensor {
    let known = LAST.with_borrow(|last| {
        let (input, result) = last.as_ref()?;
        (std::ptr::eq(input.bytes(), x.bytes()) && input.layout() == x.layout()).then(|| result.clone())
    });
    if let Some(result) = known {
        return result;
    }
    // Makes room first.
    forget_last_input();
    let columns = last_axis(&x);
    let values_of = contiguous(x.clone());
    let mut buffer = Vec::new();
    Rows::round(Matrix::row_major(values(&values_of), columns), &mut buffer);
    let shape = with_last_axis(&x, columns.next_multiple_of(2));
    let result = FlexTensor::new(Bytes::from_elems(buffer), Layout::contiguous(shape), DType::BF16);
    LAST.set(Some((x, result.clone())));
    result
}

/// Bits of bf16 numbers as a tensor of another's shape.
fn bf16_tensor(bits: Vec<u16>, like: &FlexTensor) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(bits), Layout::contiguous(like.shape()), DType::BF16)
}

/// The bits of a tensor that this module made.
fn bits(tensor: &FlexTensor) -> &[u16] {
    bytemuck::cast_slice(tensor.bytes())
}

/// The rows of a tensor that [`rounded`] made, of which `columns` are those of the original.
fn rows_of(tensor: &FlexTensor, columns: usize) -> Rows<'_> {
    let stride = last_axis(tensor);
    Rows::new(bits(tensor), bits(tensor).len() / stride, columns, stride)
}

fn last_axis(tensor: &FlexTensor) -> usize {
    tensor.shape().last().copied().expect("the tensor has an axis")
}

/// `x weight`, finished.
fn multiplied(x: FlexTensor, weight: FlexTensor, finish: &mut impl Finish) -> FlexTensor {
    let weight = positive(weight);
    let packed = packed(&weight, false);
    let (d, columns) = (weight.shape()[0], weight.shape()[1]);
    let shape = with_last_axis(&x, columns);
    let x = rounded(x);
    let rows = rows_of(&x, d);
    let write = |y: &mut [_]| write_product(y, columns, Left::Rows(rows), packed.panels(), 1.0, finish);
    // SAFETY: the product has all rows and columns.
    from_values(unsafe { filled(shape.num_elements(), write) }, shape)
}

/// The gradients of `x`, `weight` and `bias`, as in f32, from gradients rounded to bf16.
pub(in crate::ops::flex) fn backward(
    saved: SavedLinear<Flex>,
    dy: FlexTensor,
    needs_bias: bool,
) -> [Option<FlexTensor>; 3] {
    let dy = contiguous(dy);
    let columns = last_axis(&dy);
    let count = values(&dy).len() / columns;
    let stride = columns.next_multiple_of(2);
    let mut dz = vec![0; count * stride];
    let mut sums = vec![0.0; columns];
    let derivative = saved.derivative.as_ref().map_or(&[][..], bits);
    rounded_gradient(values(&dy), derivative, &mut dz, stride, &mut sums);
    let dz = Rows::new(&dz, count, columns, stride);
    let dbias = needs_bias.then(|| from_values(sums, [columns]));
    let dweight = saved.x.map(|x| {
        let d = saved.d_input;
        let [mut left, mut right] = [Panels::default(), Panels::default()];
        left.fill(rows_of(&x, d));
        right.fill(dz);
        let write = |dw: &mut [_]| write_product(dw, columns, Left::Transposed(&left), &right, 1.0, &mut Nothing);
        // SAFETY: the product has all rows and columns.
        from_values(unsafe { filled(d * columns, write) }, [d, columns])
    });
    let dx = saved.weight.map(|weight| {
        let weight = positive(weight);
        let d = weight.shape()[0];
        let packed = packed(&weight, true);
        let write = |dx: &mut [_]| write_product(dx, d, Left::Rows(dz), packed.panels(), 1.0, &mut Nothing);
        // SAFETY: the product has all rows and columns.
        from_values(unsafe { filled(count * d, write) }, with_last_axis(&dy, d))
    });
    [dx, dweight, dbias]
}

/// A weight in a layout that [`Matrix::of_tensor`] accepts, and whose rows or columns are consecutive.
fn positive(weight: FlexTensor) -> FlexTensor {
    let strides = weight.layout().strides();
    if weight.layout().has_positive_strides() && strides.contains(&1) { weight } else { weight.to_contiguous() }
}

/// Adds the bias.
struct Bias<'a>(&'a [f32]);

impl Finish for Bias<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, y: &mut [f32], _: usize, column: usize) {
        let bias = &self.0[column..][..y.len()];
        each_vector!(simd: S; load(y, bias), store(y) = y + bias);
    }
}

/// Adds the bias and the residual.
struct BiasResidual<'a>(&'a [f32], &'a [f32]);

impl Finish for BiasResidual<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, y: &mut [f32], row: usize, column: usize) {
        let bias = &self.0[column..][..y.len()];
        let residual = &self.1[row * self.0.len() + column..][..y.len()];
        each_vector!(simd: S; load(y, bias, residual), store(y) = y + bias + residual);
    }
}

/// Adds the bias and applies GELU.
struct BiasGelu<'a>(&'a [f32]);

impl Finish for BiasGelu<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, y: &mut [f32], _: usize, column: usize) {
        let bias = &self.0[column..][..y.len()];
        each_vector!(simd: S; load(y, bias), store(y) = gelu(y + bias));
    }
}

/// As [`BiasGelu`], and writes the derivatives.
struct BiasGeluDerivative<'a>(&'a [f32], &'a mut [u16]);

impl Finish for BiasGeluDerivative<'_> {
    #[inline(always)]
    fn finish<S: Simd>(&mut self, simd: S, y: &mut [f32], row: usize, column: usize) {
        let bias = &self.0[column..][..y.len()];
        let mut derivatives = [0.0; WIDTH];
        let derivative = &mut derivatives[..y.len()];
        each_vector!(simd: S; load(y, bias), store(y, derivative) = gelu_with_derivative(y + bias));
        let kept = &mut self.1[row * self.0.len() + column..][..y.len()];
        for (kept, derivative) in kept.iter_mut().zip(derivative.iter()) {
            *kept = round(*derivative);
        }
    }
}

kernel! {
    /// Rounds the rows of `dy`, times the derivative if there is one, and adds the rows to `sums`.
    fn rounded_gradient<'a, S>(
        simd: S,
        dy: &'a [f32],
        derivative: &'a [u16],
        dz: &'a mut [u16],
        stride: usize,
        sums: &'a mut [f32],
    ) {
        let _ = simd;
        let columns = sums.len();
        for (row, (dy, dz)) in dy.chunks_exact(columns).zip(dz.chunks_exact_mut(stride)).enumerate() {
            if derivative.is_empty() {
                for ((dy, dz), sum) in dy.iter().zip(dz).zip(sums.iter_mut()) {
                    *sum += *dy;
                    *dz = round(*dy);
                }
            } else {
                let derivative = &derivative[row * columns..][..columns];
                for (((dy, derivative), dz), sum) in dy.iter().zip(derivative).zip(dz).zip(sums.iter_mut()) {
                    let gradient = *dy * widen(*derivative);
                    *sum += gradient;
                    *dz = round(gradient);
                }
            }
        }
    }
}
