//! The products against products of the rounded operands in f64.

use super::pack::{round, widen};
use super::*;
use crate::ops::flex::matmul::Matrix;
use crate::ops::simd::tests::with_every_width;

/// Values between -2 and 2 that do not repeat.
fn values(length: usize, seed: usize) -> Vec<f32> {
    (0..length).map(|i| 4.0 * ((i + 31 * seed) as f32 * 0.618_034).fract() - 2.0).collect()
}

fn rounded(value: f32) -> f64 {
    f64::from(widen(round(value)))
}

/// Sizes of products: rows, inner dimension, columns.
const SIZES: [[usize; 3]; 16] = [
    [1, 1, 1],
    [1, 7, 1],
    [5, 1, 3],
    [3, 2, 17],
    [12, 64, 32],
    [13, 33, 33],
    [7, 48, 48],
    [6, 20, 64],
    [97, 5, 65],
    [25, 511, 16],
    [26, 513, 70],
    [64, 1025, 31],
    [65, 100, 130],
    [130, 65, 96],
    [2, 3000, 2],
    [200, 40, 10],
];

/// How far a sum of `terms` products in f32 can be from the true one, for `absolute` as the sum of their absolute values: each of the
/// additions rounds to within half a unit in the last place of an intermediate sum, and scaling and adding to the result round once each.
fn bound(terms: usize, absolute: f64) -> f64 {
    (terms + 4) as f64 * f64::from(f32::EPSILON) / 2.0 * absolute * 1.01 + f64::from(f32::MIN_POSITIVE)
}

fn check(what: &str, [m, k, n]: [usize; 3], x: &[f32], y: &[f32], actual: &[f32], scale: f32, before: &[f32]) {
    for row in 0..m {
        for column in 0..n {
            let terms = (0..k).map(|p| rounded(x[row * k + p]) * rounded(y[p * n + column]));
            let scale = f64::from(scale);
            let before = f64::from(before.get(row * n + column).copied().unwrap_or_default());
            let expected = scale * terms.clone().sum::<f64>() + before;
            let absolute = (scale * terms.map(f64::abs).sum::<f64>()).abs() + before.abs();
            let error = (f64::from(actual[row * n + column]) - expected).abs();
            assert!(error <= bound(k, absolute), "{what} {m}x{k}x{n} at {row}, {column}: {error:e} from {expected}");
        }
    }
}

#[test]
fn products_are_those_of_rounded_operands() {
    with_every_width(|bits| {
        for size @ [m, k, n] in SIZES {
            let (x, y) = (values(m * k, 1), values(k * n, 2));
            let (left, right) = (Matrix::row_major(&x, k), Matrix::row_major(&y, n));
            let transposed = |values: &[f32], columns: usize| -> Vec<f32> {
                (0..columns).flat_map(|j| values.iter().skip(j).step_by(columns).copied()).collect()
            };
            let (x_transposed, y_transposed) = (transposed(&x, k), transposed(&y, n));
            let [mut of_x, mut of_y, mut of_transposed] = [const { Vec::new() }; 3];
            let [mut rounded, mut transposed] = [Panels::default(), Panels::default()];
            rounded.fill(Rows::round(right, &mut of_y));
            transposed.fill_transposed(Rows::round(Matrix::row_major(&y_transposed, k), &mut of_transposed));
            let rights =
                [Panels::of(right), Panels::of(Matrix::row_major(&y_transposed, k).transposed()), rounded, transposed];
            let (rows, columns) = (Rows::round(left, &mut of_x), Panels::of(Matrix::row_major(&x_transposed, m)));
            for (form, right) in rights.iter().enumerate() {
                for (side, left) in [Left::Rows(rows), Left::Transposed(&columns)].into_iter().enumerate() {
                    let what = format!("{bits} bits, form {form}, side {side}");
                    let mut product = vec![f32::NAN; m * n];
                    write_product(&mut product[..], n, left, right, 1.0, &mut Nothing);
                    check(&what, size, &x, &y, &product, 1.0, &[]);
                    let before = values(m * n, 3);
                    let mut sum = before.clone();
                    add_product(&mut sum, n, left, right, 0.5);
                    check(&what, size, &x, &y, &sum, 0.5, &before);
                }
            }
        }
    });
}

/// Operands with everything that is not an ordinary number.
fn extremes(length: usize, seed: usize) -> Vec<f32> {
    let special = [
        0.0,
        -0.0,
        1.0,
        -3.5,
        f32::MIN_POSITIVE / 4.0,
        -f32::MIN_POSITIVE / 1024.0,
        f32::MAX,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        1e30,
        -1e-30,
        1.003_906_3,
    ];
    (0..length).map(|i| special[(i * 7 + i / 13 + seed * 5) % special.len()]).collect()
}

/// NaN and infinities come where they would in f64; denormal numbers may count as zero.
#[test]
fn numbers_that_are_not_ordinary_behave() {
    with_every_width(|bits| {
        for [m, k, n] in [[13, 1, 40], [40, 2, 13], [30, 3, 30]] {
            let (x, y) = (extremes(m * k, 1), extremes(k * n, 2));
            let mut product = vec![0.0; m * n];
            let mut buffer = Vec::new();
            let left = Rows::round(Matrix::row_major(&x, k), &mut buffer);
            let right = Panels::of(Matrix::row_major(&y, n));
            write_product(&mut product[..], n, Left::Rows(left), &right, 1.0, &mut Nothing);
            for (index, actual) in product.iter().enumerate() {
                let terms = (0..k).map(|p| rounded(x[index / n * k + p]) * rounded(y[p * n + index % n]));
                let tiny =
                    (0..k).any(|p| [x[index / n * k + p], y[p * n + index % n]].iter().any(|v| v.is_subnormal()));
                let expected = terms.clone().sum::<f64>();
                let what = format!("{bits} bits, {m}x{k}x{n} at {index}: {actual} instead of {expected}");
                if expected.is_nan() {
                    assert!(actual.is_nan(), "{what}");
                } else if expected.abs() > f64::from(f32::MAX) {
                    // A sum may overflow on the way to a finite one, and infinities of both signs make NaN.
                    assert!(!actual.is_finite(), "{what}");
                } else if terms.clone().all(|term| term.abs() < f64::from(f32::MAX)) && !tiny {
                    let absolute = terms.map(f64::abs).sum::<f64>();
                    assert!((f64::from(*actual) - expected).abs() <= bound(k, absolute), "{what}");
                }
            }
        }
    });
}

/// A CPU's own instruction gives what the emulation gives, and the same bits if it adds in the order that the emulation assumes.
#[test]
fn the_emulation_agrees_with_the_instruction() {
    if !is_native() {
        testing::skipped("the instruction for bf16 against its emulation", "this CPU has no AVX512-BF16");
        return;
    }
    let results = std::cell::RefCell::new(Vec::new());
    with_every_width(|_| {
        let mut all = Vec::new();
        for [m, k, n] in SIZES {
            let (of_left, of_right) = (values(m * k, 1), values(k * n, 2));
            let mut buffer = Vec::new();
            let left = Rows::round(Matrix::row_major(&of_left, k), &mut buffer);
            let right = Panels::of(Matrix::row_major(&of_right, n));
            let mut product = vec![0.0; m * n];
            write_product(&mut product[..], n, Left::Rows(left), &right, 0.7, &mut Nothing);
            let size = |row: usize, column: usize| -> f64 {
                (0..k).map(|p| (rounded(of_left[row * k + p]) * rounded(of_right[p * n + column])).abs()).sum()
            };
            all.extend(product.into_iter().enumerate().map(|(i, value)| (value, bound(k, size(i / n, i % n)))));
        }
        results.borrow_mut().push(all);
    });
    let results = results.into_inner();
    for other in &results[1..] {
        let pairs = || results[0].iter().zip(other);
        let different = pairs().filter(|(a, b)| a.0.to_bits() != b.0.to_bits()).count();
        println!("{different} of {} values differ in their bits", other.len());
        assert!(pairs().all(|(a, b)| f64::from(a.0 - b.0).abs() <= 2.0 * a.1));
    }
}

#[test]
fn rounding_is_to_nearest_and_ties_to_even() {
    for (value, expected) in [
        (1.0, 1.0),
        (1.0 + 1.0 / 256.0, 1.0),
        (1.003_907, 1.007_812_5),
        (1.0 + 3.0 / 256.0, 1.015_625),
        (-1.0 - 1.0 / 256.0, -1.0),
        (f32::MAX, f32::INFINITY),
        (f32::NEG_INFINITY, f32::NEG_INFINITY),
        (0.0, 0.0),
        (f32::from_bits(1), 0.0),
    ] {
        assert_eq!(widen(round(value)), expected, "{value}");
    }
    assert!(widen(round(f32::from_bits(0x7fff_ffff))).is_nan());
    assert!(widen(round(f32::from_bits(0xff80_0001))).is_nan());
}
