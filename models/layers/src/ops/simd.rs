//! Vector arithmetic of whatever width the machine has, chosen at run time by `pulp` (which `gemm` is built on as well).
//!
//! Functions for the insides of kernels take the instruction set as a value `simd: S` and are `#[inline(always)]`: what is not
//! inlined into a [`kernel`] would be compiled without those instructions. For the same reason they take no closures.

use pulp::{Scalar, Simd, WithSimd};

/// Bits of the widest vectors to use.
fn limit() -> usize {
    #[cfg(test)]
    return tests::limit();
    #[cfg(not(test))]
    usize::MAX
}

/// Runs the operation with the best instruction set of this machine.
#[cfg(target_arch = "x86_64")]
pub(crate) fn dispatch<Operation: WithSimd>(operation: Operation) -> Operation::Output {
    // `pulp` remembers what it has found out, so that this is a few loads and branches.
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

/// Defines a function that runs its body with the best instruction set of the machine, `simd: S` in the body.
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

/// The values of a slice that is at most a vector long, and zeros behind them.
#[inline(always)]
pub(crate) fn load<S: Simd>(simd: S, values: &[f32]) -> S::f32s {
    match S::as_simd_f32s(values) {
        ([vector], []) => *vector,
        _ => simd.partial_load_f32s(values),
    }
}

/// Fills a slice that is at most a vector long.
#[inline(always)]
pub(crate) fn store<S: Simd>(simd: S, values: &mut [f32], vector: S::f32s) {
    match S::as_mut_simd_f32s(values) {
        ([values], []) => *values = vector,
        _ => simd.partial_store_f32s(values, vector),
    }
}

/// Vectors that a reduction adds to in turn, so that no addition waits for the one before it.
const SUMS: usize = 4;

#[inline(always)]
fn total<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; SUMS]) -> f32 {
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}

/// The sum of `x`.
#[inline(always)]
pub(crate) fn sum<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let (x, tail) = S::as_simd_f32s(x);
    let (groups, rest) = x.as_chunks::<SUMS>();
    let mut sums = [simd.splat_f32s(0.0); SUMS];
    for group in groups {
        for i in 0..SUMS {
            sums[i] = simd.add_f32s(sums[i], group[i]);
        }
    }
    for x in rest {
        sums[0] = simd.add_f32s(sums[0], *x);
    }
    sums[1] = simd.add_f32s(sums[1], simd.partial_load_f32s(tail));
    total(simd, sums)
}

/// The sum of squared distances between `x` and `centre`.
#[inline(always)]
pub(crate) fn sum_of_squares<S: Simd>(simd: S, x: &[f32], centre: f32) -> f32 {
    let (x, tail) = S::as_simd_f32s(x);
    let (groups, rest) = x.as_chunks::<SUMS>();
    let mut sums = [simd.splat_f32s(0.0); SUMS];
    let centres = simd.splat_f32s(centre);
    for group in groups {
        for i in 0..SUMS {
            let distance = simd.sub_f32s(group[i], centres);
            sums[i] = simd.mul_add_e_f32s(distance, distance, sums[i]);
        }
    }
    for x in rest {
        let distance = simd.sub_f32s(*x, centres);
        sums[0] = simd.mul_add_e_f32s(distance, distance, sums[0]);
    }
    let mut sum = total(simd, sums);
    for x in tail {
        sum += (x - centre) * (x - centre);
    }
    sum
}

/// The inner product of `x` and `y`.
#[inline(always)]
pub(crate) fn dot<S: Simd>(simd: S, x: &[f32], y: &[f32]) -> f32 {
    let ((x, x_tail), (y, y_tail)) = (S::as_simd_f32s(x), S::as_simd_f32s(y));
    let ((x_groups, x_rest), (y_groups, y_rest)) = (x.as_chunks::<SUMS>(), y.as_chunks::<SUMS>());
    let mut sums = [simd.splat_f32s(0.0); SUMS];
    for (x, y) in x_groups.iter().zip(y_groups) {
        for i in 0..SUMS {
            sums[i] = simd.mul_add_e_f32s(x[i], y[i], sums[i]);
        }
    }
    for (x, y) in x_rest.iter().zip(y_rest) {
        sums[0] = simd.mul_add_e_f32s(*x, *y, sums[0]);
    }
    let (x, y) = (simd.partial_load_f32s(x_tail), simd.partial_load_f32s(y_tail));
    sums[1] = simd.mul_add_e_f32s(x, y, sums[1]);
    total(simd, sums)
}

/// The largest of `x`; negative infinity if there is none. NaN may be skipped.
#[inline(always)]
pub(crate) fn max<S: Simd>(simd: S, x: &[f32]) -> f32 {
    let (x, tail) = S::as_simd_f32s(x);
    let mut largest = simd.splat_f32s(f32::NEG_INFINITY);
    for x in x {
        largest = simd.max_f32s(largest, *x);
    }
    let mut largest = simd.reduce_max_f32s(largest);
    for x in tail {
        largest = if *x > largest { *x } else { largest };
    }
    largest
}

/// The polynomial with these coefficients, the one of the highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = simd.mul_add_e_f32s(sum, x, simd.splat_f32s(*coefficient));
    }
    sum
}

/// `e^x` for x up to 88, with a relative error below 1e-7; zero where the result would be denormal.
///
/// Range reduction and polynomial of Cephes' `expf` (Moshier, <https://www.netlib.org/cephes/>), as in Eigen's `pexp_float`.
#[expect(clippy::excessive_precision, reason = "the coefficients stand as published")]
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding 1.5 * 2^23 leaves the nearest integer in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, of which the first has so few bits that its products with integers are exact.
    const LN_2_HIGH: f32 = 0.693_359_375;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const COEFFICIENTS: [f32; 6] =
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.000_000_1e-1];
    const SMALLEST: f32 = -87.336_54;

    let round = simd.splat_f32s(ROUND);
    let rounded = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), round);
    let n = simd.sub_f32s(rounded, round);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_HIGH), x);
    let r = simd.mul_add_e_f32s(n, simd.splat_f32s(-LN_2_LOW), r);
    let p = simd.mul_f32s(polynomial(simd, r, COEFFICIENTS), r);
    let p = simd.add_f32s(simd.mul_add_e_f32s(p, r, r), simd.splat_f32s(1.0));
    let exponent = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(rounded), simd.splat_u32s(23));
    let power = simd.transmute_f32s_u32s(simd.add_u32s(exponent, simd.splat_u32s(127 << 23)));
    let tiny = simd.less_than_f32s(x, simd.splat_f32s(SMALLEST));
    simd.select_f32s(tiny, simd.splat_f32s(0.0), simd.mul_f32s(p, power))
}

/// The error function, with an absolute error below 4e-7; exactly one from 3.84 on.
///
/// The rational minimax approximation of Eigen's `generic_fast_erf_float`
/// (<https://gitlab.com/libeigen/eigen>, `SpecialFunctionsImpl.h`).
#[expect(clippy::excessive_precision, clippy::approx_constant, reason = "the coefficients stand as published")]
#[inline(always)]
pub(crate) fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // erf differs from one by less than half a unit in the last place from here on.
    const ONE: f32 = 3.832_506_9;
    const NUMERATOR: [f32; 5] = [2.290_506_5e-4, 3.408_291e-3, 5.095_569_5e-2, 1.852_083_2e-1, 1.128_379_1];
    const DENOMINATOR: [f32; 7] =
        [-1.179_160_3e-7, 2.354_796_6e-5, 1.017_962_5e-3, 1.407_047e-2, 1.109_850_5e-1, 4.974_692_5e-1, 1.0];

    let s = simd.mul_f32s(x, x);
    let numerator = simd.mul_f32s(x, polynomial(simd, s, NUMERATOR));
    let inside = simd.div_f32s(numerator, polynomial(simd, s, DENOMINATOR));
    let sign = simd.and_f32s(x, simd.splat_f32s(-0.0));
    let far = simd.greater_than_or_equal_f32s(simd.abs_f32s(x), simd.splat_f32s(ONE));
    simd.select_f32s(far, simd.or_f32s(sign, simd.splat_f32s(1.0)), inside)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// What tests hold this thread down to.
        static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    pub(super) fn limit() -> usize {
        LIMIT.get()
    }

    /// Runs a test with each width of vectors; with those that this machine has not, it runs with the next below.
    pub(crate) fn with_every_width(test: impl Fn(usize)) {
        for bits in [0, 256, 512] {
            LIMIT.set(bits);
            test(bits);
        }
        LIMIT.set(usize::MAX);
    }

    kernel! {
        fn exp_in_place<'a, S>(simd: S, x: &'a mut [f32]) {
            for x in x.chunks_mut(S::F32_LANES) {
                let y = exp(simd, load(simd, x));
                store(simd, x, y);
            }
        }
    }

    kernel! {
        fn erf_in_place<'a, S>(simd: S, x: &'a mut [f32]) {
            for x in x.chunks_mut(S::F32_LANES) {
                let y = erf(simd, load(simd, x));
                store(simd, x, y);
            }
        }
    }

    kernel! {
        /// Sum, sum of squared distances from one, inner product with itself, largest.
        fn reductions<'a, S>(simd: S, x: &'a [f32], results: &'a mut [f32; 4]) {
            *results = [sum(simd, x), sum_of_squares(simd, x, 1.0), dot(simd, x, x), max(simd, x)];
        }
    }

    /// The largest error of `actual` over `grid`, by `measure` of result and f64 argument.
    fn largest_error(grid: &[f32], actual: fn(&mut [f32]), measure: impl Fn(f64, f64) -> f64) -> f64 {
        let mut results = grid.to_vec();
        actual(&mut results);
        grid.iter().zip(results).map(|(x, y)| measure(y.into(), f64::from(*x))).fold(0.0, f64::max)
    }

    #[test]
    fn exp_is_exact_to_two_units_in_the_last_place() {
        let grid: Vec<f32> = (-873_300..=880_000).map(|i| i as f32 * 1e-4).collect();
        with_every_width(|bits| {
            let error = largest_error(&grid, exp_in_place, |y, x| (y / x.exp() - 1.0).abs());
            println!("exp with {bits} bits: relative error {error:.1e}");
            assert!(error < 2e-7, "{bits} bits: {error:e}");
            let mut ends = [0.0, -0.0, -87.4, -104.0, f32::MIN, f32::NEG_INFINITY];
            exp_in_place(&mut ends);
            assert_eq!(ends, [1.0, 1.0, 0.0, 0.0, 0.0, 0.0], "{bits} bits");
        });
    }

    /// By its Taylor series, which f64 holds to 1e-12 within this range.
    fn reference_erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for k in 1..200 {
            term *= -x * x / f64::from(k);
            sum += term / f64::from(2 * k + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn erf_is_exact_to_a_few_units_in_the_last_place() {
        assert!((reference_erf(1.0) - 0.842_700_792_949_714_9).abs() < 1e-14);
        let grid: Vec<f32> = (-40_000..=40_000).map(|i| i as f32 * 1e-4).collect();
        with_every_width(|bits| {
            let error = largest_error(&grid, erf_in_place, |y, x| (y - reference_erf(x)).abs());
            println!("erf with {bits} bits: absolute error {error:.1e}");
            assert!(error < 4e-7, "{bits} bits: {error:e}");
            let mut ends = [0.0, 3.84, -3.84, 1e4, f32::MAX, f32::NEG_INFINITY];
            erf_in_place(&mut ends);
            assert_eq!(ends, [0.0, 1.0, -1.0, 1.0, 1.0, -1.0], "{bits} bits");
        });
    }

    #[test]
    fn reductions_take_every_element_once() {
        with_every_width(|bits| {
            for length in [0, 1, 7, 8, 15, 16, 17, 33, 64, 100, 129] {
                let x: Vec<f32> = (1..=length).map(|i| -(i as f32)).collect();
                let n = length as f32;
                let (sum, squares) = (n * (n + 1.0) / 2.0, n * (n + 1.0) * (2.0 * n + 1.0) / 6.0);
                let largest = if length == 0 { f32::NEG_INFINITY } else { -1.0 };
                let mut results = [f32::NAN; 4];
                reductions(&x, &mut results);
                assert_eq!(results, [-sum, squares + 2.0 * sum + n, squares, largest], "{length} with {bits} bits");
            }
        });
    }
}
