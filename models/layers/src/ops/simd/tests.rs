//! The accuracy of vector functions, and vectors of every width.

use std::cell::Cell;

use super::*;

thread_local! {
    /// What tests hold this thread down to.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

pub(super) fn limit() -> usize {
    LIMIT.get()
}

/// Whether [`dispatch`] can choose vectors of this width. Elsewhere than on x86-64 there is one width besides single numbers.
fn machine_has(bits: usize) -> bool {
    #[cfg(target_arch = "x86_64")]
    return match bits {
        512 => pulp::x86::V4::try_new().is_some(),
        256 => pulp::x86::V3::try_new().is_some(),
        _ => true,
    };
    #[cfg(not(target_arch = "x86_64"))]
    return bits <= 256;
}

/// Runs a test with each width of vectors that this machine has.
pub(crate) fn with_every_width(test: impl Fn(usize)) {
    for bits in [0, 256, 512] {
        if !machine_has(bits) {
            testing::skipped(format!("kernels with vectors of {bits} bits"), "this CPU has none");
            continue;
        }
        LIMIT.set(bits);
        test(bits);
    }
    LIMIT.set(usize::MAX);
}

kernel! {
    fn exp_in_place<'a, S>(simd: S, x: &'a mut [f32]) {
        each_vector!(simd: S; load(x), store(x) = x.exp());
    }
}

kernel! {
    fn erf_in_place<'a, S>(simd: S, x: &'a mut [f32]) {
        each_vector!(simd: S; load(x), store(x) = x.erf());
    }
}

kernel! {
    /// Sum, inner product with itself, largest.
    fn reductions<'a, S>(simd: S, x: &'a [f32], results: &'a mut [f32; 3]) {
        *results = [sum(simd, x), dot(simd, x, x), max(simd, x)];
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
            let mut results = [f32::NAN; 3];
            reductions(&x, &mut results);
            assert_eq!(results, [-sum, squares, largest], "{length} with {bits} bits");
        }
    });
}
