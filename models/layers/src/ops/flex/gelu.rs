//! GELU, `x Φ(x)`, and its derivative, `Φ(x) + x φ(x)`.

use std::f32::consts::FRAC_1_SQRT_2;
use std::mem::MaybeUninit;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;

use super::tensor::{filled, from_values, owned, values_mut};
use crate::ops::simd::{erf, exp, mul_add, multiversion};

/// `gelu(x)`.
pub(super) fn forward(x: FlexTensor) -> FlexTensor {
    let mut x = owned(x);
    gelu_in_place(values_mut(&mut x));
    x
}

/// `gelu(x)` and its derivative.
pub(super) fn forward_with_derivative(x: FlexTensor) -> (FlexTensor, FlexTensor) {
    let mut x = owned(x);
    let shape = x.shape();
    // SAFETY: the loop writes as many values as it reads.
    let y = unsafe { filled(shape.num_elements(), |y| gelu_and_derivative(values_mut(&mut x), y)) };
    (from_values(y, shape), x)
}

/// The normal distribution function.
#[inline(always)]
fn normal_cdf<const FMA: bool>(x: f32) -> f32 {
    mul_add::<FMA>(0.5, erf::<FMA>(x * FRAC_1_SQRT_2), 0.5)
}

#[inline(always)]
pub(super) fn gelu<const FMA: bool>(x: f32) -> f32 {
    x * normal_cdf::<FMA>(x)
}

#[inline(always)]
pub(super) fn gelu_with_derivative<const FMA: bool>(x: f32) -> (f32, f32) {
    const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;
    let cdf = normal_cdf::<FMA>(x);
    let density = FRAC_1_SQRT_2PI * exp::<FMA>(-0.5 * x * x);
    (x * cdf, mul_add::<FMA>(x, density, cdf))
}

multiversion! {
    fn gelu_in_place<const FMA: bool>(x: &mut [f32]) {
        for x in x {
            *x = gelu::<FMA>(*x);
        }
    }

    /// Writes the values to `y` and leaves the derivatives in `x`.
    fn gelu_and_derivative<const FMA: bool>(x: &mut [f32], y: &mut [MaybeUninit<f32>]) {
        assert_eq!(x.len(), y.len());
        for (x, y) in x.iter_mut().zip(y) {
            let (value, derivative) = gelu_with_derivative::<FMA>(*x);
            y.write(value);
            *x = derivative;
        }
    }
}
