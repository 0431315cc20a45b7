//! GELU, `x Φ(x)`, and its derivative, `Φ(x) + x φ(x)`.

use std::f32::consts::FRAC_1_SQRT_2;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;
use pulp::Simd;

use super::tensor::{BLOCK, from_values, owned, values_mut};
use crate::ops::simd::{erf, exp, kernel, load, store};

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

/// The normal distribution function.
#[inline(always)]
fn normal_cdf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let half = simd.splat_f32s(0.5);
    simd.mul_add_e_f32s(half, erf(simd, simd.mul_f32s(x, simd.splat_f32s(FRAC_1_SQRT_2))), half)
}

#[inline(always)]
pub(super) fn gelu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    simd.mul_f32s(x, normal_cdf(simd, x))
}

/// Value and derivative.
#[inline(always)]
pub(super) fn gelu_with_derivative<S: Simd>(simd: S, x: S::f32s) -> (S::f32s, S::f32s) {
    const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
    let cdf = normal_cdf(simd, x);
    let exponent = simd.mul_f32s(simd.mul_f32s(x, simd.splat_f32s(-0.5)), x);
    let density = simd.mul_f32s(exp(simd, exponent), simd.splat_f32s(FRAC_1_SQRT_2PI));
    (simd.mul_f32s(x, cdf), simd.mul_add_e_f32s(x, density, cdf))
}

kernel! {
    fn gelu_in_place<'a, S>(simd: S, x: &'a mut [f32]) {
        for x in x.chunks_mut(S::F32_LANES) {
            let y = gelu(simd, load(simd, x));
            store(simd, x, y);
        }
    }
}

kernel! {
    /// `x` turns into the values; the derivatives are written.
    fn gelu_and_derivative<'a, S>(simd: S, x: &'a mut [f32], derivative: &'a mut [f32]) {
        for (x, derivative) in x.chunks_mut(S::F32_LANES).zip(derivative.chunks_mut(S::F32_LANES)) {
            let (y, slope) = gelu_with_derivative(simd, load(simd, x));
            store(simd, x, y);
            store(simd, derivative, slope);
        }
    }
}
