//! GELU, `x Φ(x)`, and its derivative, `Φ(x) + x φ(x)`.

use std::f32::consts::FRAC_1_SQRT_2;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use pulp::Simd;

use super::tensor::{BLOCK, from_values, owned, values_mut};
use crate::ops::simd::{Vectors, each_vector, kernel};

/// `gelu(x)`.
pub(super) fn forward(x: FlexTensor) -> FlexTensor {
    let mut x = owned(x);
    gelu_in_place(values_mut(&mut x));
    x
}

/// `gelu(x)` and its derivative.
pub(super) fn forward_with_derivative(x: FlexTensor) -> (FlexTensor, FlexTensor) {
    let mut x = owned(x);
    let mut y = Vec::with_capacity(x.shape().num_elements());
    for x in values_mut(&mut x).chunks_mut(BLOCK) {
        let first = y.len();
        y.extend_from_slice(x);
        gelu_and_derivative(&mut y[first..], x);
    }
    (from_values(y, x.shape()), x)
}

#[inline(always)]
pub(super) fn gelu<S: Simd, const V: usize>(x: Vectors<S, V>) -> Vectors<S, V> {
    x * ((x * FRAC_1_SQRT_2).erf() * 0.5 + 0.5)
}

/// Value and derivative.
///
/// The density in the derivative needs an exponential. With it, Φ is cheap by Hastings' approximation of the tail: the density
/// times a polynomial in `1 / (1 + 0.2316419 |x|)` (Abramowitz, Stegun 1964, formula 26.2.17). For the value alone
/// [`Vectors::erf`] is faster; both have errors below 3e-7, relative to the argument if it is above one.
#[inline(always)]
pub(super) fn gelu_with_derivative<S: Simd, const V: usize>(x: Vectors<S, V>) -> (Vectors<S, V>, Vectors<S, V>) {
    const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
    // The published coefficients times 1 / √(2π), that of the highest power first.
    const COEFFICIENTS: [f32; 5] = [0.530_702_7, -0.726_576, 0.710_706_9, -0.142_248_37, 0.127_414_8];

    let exponential = (x * -0.5 * x).exp();
    let k = (x.abs() * 0.231_641_9 + 1.0).recip();
    let tail = exponential * k.polynomial(COEFFICIENTS) * k;
    let cdf = x.select_negative(tail, tail * -1.0 + 1.0);
    (x * cdf, x.mul_add(exponential * FRAC_1_SQRT_2PI, cdf))
}

kernel! {
    fn gelu_in_place<'a, S>(simd: S, x: &'a mut [f32]) {
        each_vector!(simd: S; load(x), store(x) = gelu(x));
    }
}

kernel! {
    /// Replaces `x` by the values and writes the derivatives.
    fn gelu_and_derivative<'a, S>(simd: S, x: &'a mut [f32], derivative: &'a mut [f32]) {
        each_vector!(simd: S; load(x), store(x, derivative) = gelu_with_derivative(x));
    }
}
