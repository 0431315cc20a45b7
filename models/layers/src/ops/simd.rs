//! Vector arithmetic of the machine's width, chosen at run time by `pulp` (which `gemm` is also built on).
//!
//! Functions for use inside kernels take the instruction set as a value `simd: S` and are `#[inline(always)]`: code that is not
//! inlined into a [`kernel`] would be compiled without those instructions. For the same reason they take no closures.

#[cfg(test)]
pub(crate) mod tests;

use std::ops::{Add, Div, Mul, Sub};

use pulp::{Scalar, Simd, WithSimd};

/// Bits of the widest vectors to use.
pub(crate) fn limit() -> usize {
    #[cfg(test)]
    return tests::limit();
    #[cfg(not(test))]
    usize::MAX
}

/// Runs the operation with the best instruction set of this machine.
#[cfg(target_arch = "x86_64")]
pub(crate) fn dispatch<Operation: WithSimd>(operation: Operation) -> Operation::Output {
    // `pulp` caches what it has detected, so this costs only a few loads and branches.
    if let Some(simd) = pulp::x86::V4::try_new().filter(|_| limit() >= 512) {
        return Simd::vectorize(simd, operation);
    }
    if let Some(simd) = pulp::x86::V3::try_new().filter(|_| limit() >= 256) {
        return Simd::vectorize(simd, operation);
    }
    operation.with_simd(Scalar)
}

/// Runs the operation with the best instruction set of this machine.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn dispatch<Operation: WithSimd>(operation: Operation) -> Operation::Output {
    if limit() == 0 { operation.with_simd(Scalar) } else { pulp::Arch::new().dispatch(operation) }
}

/// Defines a function that runs its body with the machine's best instruction set, which the body knows as `simd: S`.
macro_rules! kernel {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident<$lifetime:lifetime, $S:ident>(
            $simd:ident: $S2:ident, $($argument:ident: $type:ty),* $(,)?
        ) $body:block
    ) => {
        $(#[$attribute])*
        #[allow(clippy::too_many_arguments)]
        $visibility fn $name<$lifetime>($($argument: $type),*) {
            struct Kernel<$lifetime> {
                $($argument: $type,)*
            }

            impl<$lifetime> pulp::WithSimd for Kernel<$lifetime> {
                type Output = ();

                #[inline(always)]
                fn with_simd<$S: pulp::Simd>(self, $simd: $S2) {
                    let Self { $($argument),* } = self;
                    $body
                }
            }

            $crate::ops::simd::dispatch(Kernel { $($argument),* });
        }
    };
}
pub(crate) use kernel;

/// `V` vectors side by side, with the arithmetic of numbers. Several vectors share the constants of a polynomial and do not wait for
/// each other.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<S: Simd, const V: usize> {
    simd: S,
    values: [S::f32s; V],
}

/// One vector.
pub(crate) type Vector<S> = Vectors<S, 1>;

#[expect(clippy::needless_range_loop, reason = "one index runs through several arrays; iterators may not be inlined")]
#[expect(clippy::excessive_precision, clippy::approx_constant, reason = "the coefficients stand as published")]
impl<S: Simd, const V: usize> Vectors<S, V> {
    /// Number of values in all vectors together.
    pub(crate) const LENGTH: usize = V * S::F32_LANES;

    #[inline(always)]
    pub(crate) fn splat(simd: S, value: f32) -> Self {
        Self { simd, values: [simd.splat_f32s(value); V] }
    }

    /// Loads a slice of [`Self::LENGTH`] values or, if `V` is one, a shorter one followed by zeros.
    #[inline(always)]
    pub(crate) fn load(simd: S, values: &[f32]) -> Self {
        let (vectors, tail) = S::as_simd_f32s(values);
        match vectors.try_into() {
            Ok(values) => Self { simd, values },
            Err(_) => Self { simd, values: [simd.partial_load_f32s(tail); V] },
        }
    }

    /// Stores to a slice of [`Self::LENGTH`] values or, if `V` is one, to a shorter one.
    #[inline(always)]
    pub(crate) fn store(self, values: &mut [f32]) {
        let (vectors, tail) = S::as_mut_simd_f32s(values);
        if vectors.len() == V {
            vectors.copy_from_slice(&self.values);
        } else {
            self.simd.partial_store_f32s(tail, self.values[0]);
        }
    }

    /// `self * factor + term`, fused if that is one instruction.
    #[inline(always)]
    pub(crate) fn mul_add(self, factor: Self, term: Self) -> Self {
        let mut values = self.values;
        for i in 0..V {
            values[i] = self.simd.mul_add_e_f32s(values[i], factor.values[i], term.values[i]);
        }
        Self { values, ..self }
    }

    #[inline(always)]
    pub(crate) fn max(self, other: Self) -> Self {
        let mut values = self.values;
        for i in 0..V {
            values[i] = self.simd.max_f32s(values[i], other.values[i]);
        }
        Self { values, ..self }
    }

    /// The sum of all values.
    #[inline(always)]
    pub(crate) fn sum(self) -> f32 {
        let mut sum = self.values[0];
        for i in 1..V {
            sum = self.simd.add_f32s(sum, self.values[i]);
        }
        self.simd.reduce_sum_f32s(sum)
    }

    /// The polynomial with these coefficients, that of the highest power first.
    #[inline(always)]
    pub(crate) fn polynomial<const N: usize>(self, coefficients: [f32; N]) -> Self {
        let mut sum = Self::splat(self.simd, coefficients[0]);
        for coefficient in &coefficients[1..] {
            sum = sum.mul_add(self, Self::splat(self.simd, *coefficient));
        }
        sum
    }

    /// `e^x` for x up to 88, with a relative error below 1e-7; zero if the result would be denormal.
    ///
    /// Range reduction and polynomial of Cephes' `expf` (Moshier, <https://www.netlib.org/cephes/>), as in Eigen's
    /// `pexp_float`.
    #[inline(always)]
    pub(crate) fn exp(self) -> Self {
        // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
        const ROUND: f32 = 12_582_912.0;
        // ln 2 in two parts. The first has so few bits that its products with integers are exact.
        const LN_2_HIGH: f32 = 0.693_359_375;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        const COEFFICIENTS: [f32; 6] =
            [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1];
        const SMALLEST: f32 = -87.336_54;

        let simd = self.simd;
        let rounded = self.mul_add(Self::splat(simd, std::f32::consts::LOG2_E), Self::splat(simd, ROUND));
        let n = rounded - ROUND;
        let r = n.mul_add(Self::splat(simd, -LN_2_HIGH), self);
        let r = n.mul_add(Self::splat(simd, -LN_2_LOW), r);
        let mut result = (r.polynomial(COEFFICIENTS) * r).mul_add(r, r) + 1.0;
        for i in 0..V {
            let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(rounded.values[i]), simd.splat_u32s(23));
            let power = simd.transmute_f32s_u32s(simd.add_u32s(exponent, simd.splat_u32s(127 << 23)));
            let tiny = simd.less_than_f32s(self.values[i], simd.splat_f32s(SMALLEST));
            let scaled = simd.mul_f32s(result.values[i], power);
            result.values[i] = simd.select_f32s(tiny, simd.splat_f32s(0.0), scaled);
        }
        result
    }

    /// The error function, with an absolute error below 4e-7; exactly one from 3.84 on.
    ///
    /// The rational minimax approximation of Eigen's `generic_fast_erf_float`
    /// (<https://gitlab.com/libeigen/eigen>, `SpecialFunctionsImpl.h`).
    #[inline(always)]
    pub(crate) fn erf(self) -> Self {
        // erf differs from one by less than half a unit in the last place from here on.
        const ONE: f32 = 3.832_506_9;
        const NUMERATOR: [f32; 5] = [2.290_506_5e-4, 3.408_291e-3, 5.095_569_5e-2, 1.852_083_2e-1, 1.128_379_1];
        const DENOMINATOR: [f32; 7] =
            [-1.179_160_3e-7, 2.354_796_6e-5, 1.017_962_5e-3, 1.407_047e-2, 1.109_850_5e-1, 4.974_692_5e-1, 1.0];

        let simd = self.simd;
        let square = self * self;
        let mut result = self * square.polynomial(NUMERATOR) / square.polynomial(DENOMINATOR);
        for i in 0..V {
            let sign = simd.and_f32s(self.values[i], simd.splat_f32s(-0.0));
            let far = simd.greater_than_or_equal_f32s(simd.abs_f32s(self.values[i]), simd.splat_f32s(ONE));
            result.values[i] = simd.select_f32s(far, simd.or_f32s(sign, simd.splat_f32s(1.0)), result.values[i]);
        }
        result
    }

    #[inline(always)]
    pub(crate) fn abs(self) -> Self {
        let mut values = self.values;
        for i in 0..V {
            values[i] = self.simd.abs_f32s(values[i]);
        }
        Self { values, ..self }
    }

    #[inline(always)]
    pub(crate) fn recip(self) -> Self {
        Self::splat(self.simd, 1.0) / self
    }

    /// `negative` for values of `self` below zero, else `other`.
    #[inline(always)]
    pub(crate) fn select_negative(self, negative: Self, other: Self) -> Self {
        let mut values = self.values;
        for i in 0..V {
            let below = self.simd.less_than_f32s(values[i], self.simd.splat_f32s(0.0));
            values[i] = self.simd.select_f32s(below, negative.values[i], other.values[i]);
        }
        Self { values, ..self }
    }
}

/// Implements an operator between vectors, and between vectors and a number.
macro_rules! operator {
    ($trait:ident, $method:ident, $instruction:ident) => {
        impl<S: Simd, const V: usize> $trait for Vectors<S, V> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let mut values = self.values;
                for i in 0..V {
                    values[i] = self.simd.$instruction(values[i], other.values[i]);
                }
                Self { values, ..self }
            }
        }

        impl<S: Simd, const V: usize> $trait<f32> for Vectors<S, V> {
            type Output = Self;

            #[inline(always)]
            fn $method(self, other: f32) -> Self {
                self.$method(Self::splat(self.simd, other))
            }
        }
    };
}

operator!(Add, add, add_f32s);
operator!(Sub, sub, sub_f32s);
operator!(Mul, mul, mul_f32s);
operator!(Div, div, div_f32s);

/// `each_vector!(simd: S; load(x, y), store(x, z) = f(x, y))` loads vectors of the slices `x` and `y` under the same names, and
/// writes the results of the expression to the slices `x` and `z`. It covers the whole slices, which must have equal lengths.
macro_rules! each_vector {
    ($simd:ident: $S:ident; load($($input:ident),+), store($($output:ident),+) = $result:expr) => {{
        let length = [$($input.len()),+][0];
        assert!($($input.len() == length &&)+ $($output.len() == length &&)+ true, "slices of different lengths");
        let mut start = 0;
        let pairs = $crate::ops::simd::Vectors::<$S, 2>::LENGTH;
        while start + pairs <= length {
            $crate::ops::simd::each_vector!(@step 2, $simd: $S, start..start + pairs, ($($input),+), ($($output),+), $result);
            start += pairs;
        }
        while start < length {
            let end = length.min(start + $S::F32_LANES);
            $crate::ops::simd::each_vector!(@step 1, $simd: $S, start..end, ($($input),+), ($($output),+), $result);
            start = end;
        }
    }};
    (@step $V:literal, $simd:ident: $S:ident, $range:expr, ($($input:ident),+), ($output:ident), $result:expr) => {{
        let result = {
            $(let $input = $crate::ops::simd::Vectors::<$S, $V>::load($simd, &$input[$range]);)+
            $result
        };
        result.store(&mut $output[$range]);
    }};
    (@step $V:literal, $simd:ident: $S:ident, $range:expr, ($($input:ident),+), ($first:ident, $second:ident), $result:expr) => {{
        let (first, second) = {
            $(let $input = $crate::ops::simd::Vectors::<$S, $V>::load($simd, &$input[$range]);)+
            $result
        };
        first.store(&mut $first[$range]);
        second.store(&mut $second[$range]);
    }};
}
pub(crate) use each_vector;

/// Number of vectors that a reduction adds to in turn, so that no addition waits for the one before it.
const SUMS: usize = 4;

/// The slice in groups of [`SUMS`] vectors, and the rest in single vectors.
#[inline(always)]
fn split<S: Simd>(x: &[f32]) -> (std::slice::ChunksExact<'_, f32>, std::slice::Chunks<'_, f32>) {
    let groups = x.chunks_exact(SUMS * S::F32_LANES);
    let rest = groups.remainder().chunks(S::F32_LANES);
    (groups, rest)
}

/// The sum of `x`.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let (groups, rest) = split::<S>(x);
    let (mut sums, mut sum) = (Vectors::<S, SUMS>::splat(simd, 0.0), Vector::splat(simd, 0.0));
    for group in groups {
        sums = sums + Vectors::load(simd, group);
    }
    for x in rest {
        sum = sum + Vector::load(simd, x);
    }
    sums.sum() + sum.sum()
}

/// The inner product of `x` and `y`.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    let ((x, x_rest), (y, y_rest)) = (split::<S>(x), split::<S>(y));
    let (mut sums, mut sum) = (Vectors::<S, SUMS>::splat(simd, 0.0), Vector::splat(simd, 0.0));
    for (x, y) in x.zip(y) {
        sums = Vectors::load(simd, x).mul_add(Vectors::load(simd, y), sums);
    }
    for (x, y) in x_rest.zip(y_rest) {
        sum = Vector::load(simd, x).mul_add(Vector::load(simd, y), sum);
    }
    sums.sum() + sum.sum()
}

/// The largest value of `x`; negative infinity if `x` is empty. NaN may be skipped.
#[inline(always)]
pub(crate) fn max<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let (vectors, tail) = S::as_simd_f32s(x);
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    for x in vectors {
        largest = simd.max_f32s(largest, *x);
    }
    let mut largest = simd.reduce_max_f32s(largest);
    for x in tail {
        largest = if *x > largest { *x } else { largest };
    }
    largest
}
