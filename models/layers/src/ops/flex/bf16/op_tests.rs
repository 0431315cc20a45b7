//! The operations in bf16 against the same operations in f64, with the operands of their products rounded as the operations round them.
//!
//! A result may differ by the rounding of sums in f32. Where an operand is itself computed in f32 (probabilities and their gradients), it
//! may also round to the next bf16 number, one part in 128 away.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;

use super::pack::{round, widen};
use crate::ops::Precision;
use crate::ops::extension::{FusedGradients, FusedOps, SavedLinear};
use crate::ops::flex::tensor::{from_values, values};
use crate::ops::simd::tests::with_every_width;

/// Distance between neighbouring bf16 numbers, relative to them, at most.
const STEP: f64 = 1.0 / 128.0;

/// Relative error of a sum of `terms` products in f32, with a few more operations.
fn sums(terms: usize) -> f64 {
    (terms + 8) as f64 * f64::from(f32::EPSILON)
}

fn rounded(value: f32) -> f64 {
    f64::from(widen(round(value)))
}

/// Values between -2 and 2 that do not repeat.
fn some(length: usize, seed: usize) -> Vec<f32> {
    (0..length).map(|i| 4.0 * ((i + 17 * seed) as f32 * 0.618_034).fract() - 2.0).collect()
}

fn tensor<const D: usize>(shape: [usize; D], seed: usize) -> FlexTensor {
    from_values(some(shape.iter().product(), seed), shape)
}

/// A matrix in f64.
#[derive(Clone)]
struct Wide {
    columns: usize,
    values: Vec<f64>,
}

impl Wide {
    /// Of rounded values.
    fn rounded(columns: usize, values: &[f32]) -> Self {
        Self { columns, values: values.iter().copied().map(rounded).collect() }
    }

    fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { columns: self.columns, values: self.values.iter().copied().map(f).collect() }
    }

    fn zip(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| f(*a, *b)).collect();
        Self { columns: self.columns, values }
    }

    fn transposed(&self) -> Self {
        let values = (0..self.columns).flat_map(|j| (0..self.rows()).map(move |i| self.at(i, j))).collect();
        Self { columns: self.rows(), values }
    }

    fn times(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows());
        let entry = |i: usize, j: usize| (0..self.columns).map(|p| self.at(i, p) * other.at(p, j)).sum();
        let values = (0..self.rows()).flat_map(|i| (0..other.columns).map(move |j| entry(i, j))).collect();
        Self { columns: other.columns, values }
    }

    fn abs(&self) -> Self {
        self.map(f64::abs)
    }

    /// Rounded to bf16, as f32 values are.
    fn narrow(&self) -> Self {
        self.map(|value| rounded(value as f32))
    }

    /// Some columns of some rows.
    fn part(&self, rows: std::ops::Range<usize>, columns: std::ops::Range<usize>) -> Self {
        let values = rows.flat_map(|i| columns.clone().map(move |j| self.at(i, j))).collect();
        Self { columns: columns.len(), values }
    }
}

/// Every value is within its bound.
fn close(what: &str, actual: &[f32], expected: &Wide, bound: &Wide) {
    assert_eq!(actual.len(), expected.values.len(), "{what}");
    for (index, actual) in actual.iter().enumerate() {
        let (expected, bound) = (expected.values[index], bound.values[index] + 1e-12);
        let error = (f64::from(*actual) - expected).abs();
        assert!(error <= bound, "{what}, {index}: {actual} instead of {expected}, off by {error:e} of {bound:e}");
    }
}

fn gelu(x: f64) -> f64 {
    x * cdf(x)
}

fn gelu_derivative(x: f64) -> f64 {
    cdf(x) + x * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

/// The normal distribution function, by its series, which suffices for the values here.
fn cdf(x: f64) -> f64 {
    if x.abs() > 6.0 {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= x * x / f64::from(2 * n + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

#[test]
fn linear_layers_and_their_gradients() {
    with_every_width(|bits| {
        for [m, k, n] in [[1, 1, 1], [7, 37, 19], [13, 64, 130], [3, 5, 66], [40, 600, 9]] {
            let what = |name: &str| format!("{name} of {m}x{k}x{n}, {bits} bits");
            let (x, weight, bias) = (tensor([m, k], 1), tensor([k, n], 2), tensor([n], 3));
            let (residual, dy) = (tensor([m, n], 4), tensor([m, n], 5));
            let (wide_x, wide_weight) = (Wide::rounded(k, values(&x)), Wide::rounded(n, values(&weight)));
            let z = wide_x.times(&wide_weight);
            let row_of = |column: &[f32], i: usize| f64::from(column[i % n]);
            let with_bias = Wide {
                columns: n,
                values: z.values.iter().enumerate().map(|(i, z)| z + row_of(values(&bias), i)).collect(),
            };
            let bound = wide_x.abs().times(&wide_weight.abs()).map(|sum| sums(k) * (sum + 4.0));
            Precision::Bf16.within(|| {
                close(&what("product"), values(&Flex::fused_linear(x.clone(), weight.clone())), &z, &bound);
                let y = Flex::fused_linear_bias(x.clone(), weight.clone(), bias.clone());
                close(&what("bias"), values(&y), &with_bias, &bound);
                let y = Flex::fused_linear_residual(x.clone(), weight.clone(), bias.clone(), residual.clone());
                let residual = Wide { columns: n, values: values(&residual).iter().map(|v| f64::from(*v)).collect() };
                close(&what("residual"), values(&y), &with_bias.zip(&residual, |a, b| a + b), &bound);
                // GELU's slope is at most 1.13, and its own error at most 3e-7, relative to arguments above one.
                let bound = bound.zip(&with_bias, |bound, z| 1.2 * bound + 4e-7 * z.abs().max(1.0));
                let y = Flex::fused_linear_gelu(x.clone(), weight.clone(), bias.clone());
                close(&what("GELU"), values(&y), &with_bias.map(gelu), &bound);
                let (y, derivative) = Flex::linear_gelu_with_derivative(x.clone(), weight.clone(), bias.clone());
                close(&what("GELU in training"), values(&y), &with_bias.map(gelu), &bound);
                for derivative in [None, Some(derivative)] {
                    let saved = SavedLinear {
                        x: Some(Flex::kept_input(x.clone())),
                        weight: Some(weight.clone()),
                        derivative,
                        d_input: k,
                        precision: Precision::current(),
                    };
                    check_linear_backward(saved, &dy, [&wide_x, &wide_weight, &with_bias], &what("gradients"));
                }
            });
        }
    });
}

/// The gradients of a linear layer with input `x`, whose output with its bias is `z`.
fn check_linear_backward(saved: SavedLinear<Flex>, dy: &FlexTensor, [x, weight, z]: [&Wide; 3], what: &str) {
    let has_gelu = saved.derivative.is_some();
    let slopes = z.map(|z| if has_gelu { rounded(gelu_derivative(z) as f32) } else { 1.0 });
    let wide_dy = Wide { columns: z.columns, values: values(dy).iter().map(|v| f64::from(*v)).collect() };
    let dz = slopes.zip(&wide_dy, |slope, dy| slope * dy);
    let [dx, dweight, dbias] = Flex::linear_backward(saved, dy.clone(), true).map(|gradient| gradient.unwrap());
    let (size, narrow) = (dz.abs(), dz.narrow());
    // A derivative, and its product with a gradient of at most 2, may have been rounded to the next number.
    let slack = if has_gelu { STEP } else { 0.0 };
    let unsure = size.map(|dz| slack * (dz + 2.5));
    let error = size.map(|dz| sums(z.columns) * dz).zip(&unsure, |a, b| a + b).times(&weight.abs().transposed());
    close(&format!("dx: {what}"), values(&dx), &narrow.times(&weight.transposed()), &error);
    let error = size.map(|dz| sums(x.rows()) * dz).zip(&unsure, |a, b| a + b);
    let of_weight = x.abs().transposed().times(&error);
    close(&format!("dweight: {what}"), values(&dweight), &x.transposed().times(&narrow), &of_weight);
    let ones = Wide { columns: x.rows(), values: vec![1.0; x.rows()] };
    close(&format!("dbias: {what}"), values(&dbias), &ones.times(&dz), &ones.times(&error));
}

/// Softmax of the rows of `scale` times a matrix.
fn softmax(scores: &Wide, scale: f64) -> Wide {
    let row = |row: &[f64]| {
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = row.iter().map(|score| (scale * (score - largest)).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    Wide { columns: scores.columns, values: scores.values.chunks(scores.columns).flat_map(row).collect() }
}

/// The gradients of unscaled scores from those of their softmax.
fn softmax_backward(p: &Wide, dp: &Wide) -> Wide {
    let rows = p.values.chunks(p.columns).zip(dp.values.chunks(p.columns));
    let row = |(p, dp): (&[f64], &[f64])| {
        let mean: f64 = p.iter().zip(dp).map(|(p, dp)| p * dp).sum();
        p.iter().zip(dp).map(|(p, dp)| p * (dp - mean)).collect::<Vec<_>>()
    };
    Wide { columns: p.columns, values: rows.flat_map(row).collect() }
}

/// What single roundings to the next number can change, besides sums in f32.
fn unsure(size: &Wide, other: &Wide) -> Wide {
    size.abs().map(|value| STEP * value + 1e-5).times(&other.abs())
}

#[test]
fn attention_and_its_gradients() {
    with_every_width(|bits| {
        for [batch, n, m, width, heads] in [[1, 1, 1, 1, 1], [2, 7, 21, 6, 2], [1, 70, 13, 5, 3], [1, 5, 130, 16, 1]] {
            let d = width * heads;
            let [q, k, v] = [([batch, n, d], 1), ([batch, m, d], 2), ([batch, m, d], 3)].map(|(s, i)| tensor(s, i));
            let doutput = tensor([batch, n, d], 4);
            let (output, saved) =
                Precision::Bf16.within(|| Flex::attention_for_training(q.clone(), k.clone(), v.clone(), heads));
            let without = Precision::Bf16.within(|| Flex::fused_attention(q.clone(), k.clone(), v.clone(), heads));
            assert_eq!(values(&output), values(&without));
            let gradients =
                Flex::attention_backward(saved, doutput.clone(), [true; 3]).map(|gradient| gradient.unwrap());
            let scale = (width as f64).sqrt().recip();
            for (item, head) in (0..batch).flat_map(|item| (0..heads).map(move |head| (item, head))) {
                let what = |name: &str| format!("{name}, item {item}, head {head} of {n}x{m}, {bits} bits");
                let of = |x: &[f32], tokens: usize| {
                    Wide::rounded(d, x).part(item * tokens..(item + 1) * tokens, head * width..(head + 1) * width)
                };
                let exact = |x: &[f32], tokens: usize| -> Vec<f32> {
                    let rows = x.chunks(d).skip(item * tokens).take(tokens);
                    rows.flat_map(|row| row[head * width..(head + 1) * width].to_vec()).collect()
                };
                let (q, k, v) = (of(values(&q), n), of(values(&k), m), of(values(&v), m));
                let doutput = of(values(&doutput), n);
                let p = softmax(&q.times(&k.transposed()), scale);
                close(&what("output"), &exact(values(&output), n), &p.narrow().times(&v), &unsure(&p, &v));
                let dv = p.narrow().transposed().times(&doutput);
                let ds = softmax_backward(&p, &doutput.times(&v.transposed()));
                let dq = ds.narrow().times(&k).map(|x| scale * x);
                let dk = ds.narrow().transposed().times(&q).map(|x| scale * x);
                let [of_q, of_k, of_v] =
                    [exact(values(&gradients[0]), n), exact(values(&gradients[1]), m), exact(values(&gradients[2]), m)];
                close(&what("dv"), &of_v, &dv, &unsure(&p.transposed(), &doutput));
                close(&what("dq"), &of_q, &dq, &unsure(&ds, &k));
                close(&what("dk"), &of_k, &dk, &unsure(&ds.transposed(), &q));
            }
        }
    });
}

#[test]
fn linear_maps_along_the_sequence_and_their_gradients() {
    with_every_width(|bits| {
        for [batch, tokens, k, d] in [[1, 1, 1, 1], [3, 17, 5, 33], [2, 50, 64, 12]] {
            let (weight, x, dy) = (tensor([tokens, k], 1), tensor([batch, tokens, d], 2), tensor([batch, k, d], 3));
            let y = Precision::Bf16.within(|| Flex::fused_project_tokens(weight.clone(), x.clone()));
            let [dweight, dx] =
                Flex::project_tokens_backward(weight.clone(), x.clone(), dy.clone(), [true; 2]).map(Option::unwrap);
            let weight = Wide::rounded(k, values(&weight));
            let mut expected_dweight = weight.map(|_| 0.0);
            let mut bound_dweight = weight.map(|_| 0.0);
            for item in 0..batch {
                let what = |name: &str| format!("{name}, item {item} of {tokens}x{k}x{d}, {bits} bits");
                let x = Wide::rounded(d, &values(&x)[item * tokens * d..][..tokens * d]);
                let dy = Wide::rounded(d, &values(&dy)[item * k * d..][..k * d]);
                let bound =
                    |left: &Wide, right: &Wide, terms| left.abs().times(&right.abs()).map(|sum| sums(terms) * sum);
                let transposed = weight.transposed();
                close(
                    &what("y"),
                    &values(&y)[item * k * d..][..k * d],
                    &transposed.times(&x),
                    &bound(&transposed, &x, tokens),
                );
                close(
                    &what("dx"),
                    &values(&dx)[item * tokens * d..][..tokens * d],
                    &weight.times(&dy),
                    &bound(&weight, &dy, k),
                );
                expected_dweight = expected_dweight.zip(&x.times(&dy.transposed()), |a, b| a + b);
                bound_dweight = bound_dweight.zip(&bound(&x, &dy.transposed(), batch * d), |a, b| a + b);
            }
            close("dweight", values(&dweight), &expected_dweight, &bound_dweight);
        }
    });
}

#[test]
fn channel_attention_and_its_gradient() {
    with_every_width(|bits| {
        for [batch, n, width, heads] in [[1, 1, 1, 1], [2, 5, 8, 3], [1, 40, 3, 2]] {
            let channels = width * heads;
            let (qkv, doutput) = (tensor([batch, n, 3 * channels], 1), tensor([batch, n, channels], 2));
            let (output, saved) = Precision::Bf16.within(|| Flex::channel_attention_for_training(qkv.clone(), width));
            let without = Precision::Bf16.within(|| Flex::fused_channel_attention(qkv.clone(), width));
            assert_eq!(values(&output), values(&without));
            let dqkv = Flex::channel_attention_backward(saved, doutput.clone());
            let scale = (width as f64).sqrt().recip();
            for (item, head) in (0..batch).flat_map(|item| (0..heads).map(move |head| (item, head))) {
                let what = |name: &str| format!("{name}, item {item}, head {head} of {n}, {bits} bits");
                // `[positions, width]` of a part of the columns.
                let of = |x: &[f32], columns: usize, part: usize| {
                    let first = part * channels + head * width;
                    Wide::rounded(columns, x).part(item * n..(item + 1) * n, first..first + width)
                };
                let exact = |x: &[f32], columns: usize, part: usize| -> Vec<f32> {
                    let first = part * channels + head * width;
                    x.chunks(columns)
                        .skip(item * n)
                        .take(n)
                        .flat_map(|row| row[first..first + width].to_vec())
                        .collect()
                };
                let [q, k, v] = [0, 1, 2].map(|part| of(values(&qkv), 3 * channels, part));
                let doutput = of(values(&doutput), channels, 0);
                // Rows are keys, columns queries, so that the softmax over queries is one of rows.
                let p = softmax(&k.transposed().times(&q), scale);
                let expected = v.times(&p.narrow());
                let bound = unsure(&p.transposed(), &v.transposed()).transposed();
                close(&what("output"), &exact(values(&output), channels, 0), &expected, &bound);
                let dv = doutput.times(&p.narrow().transposed());
                let bound = unsure(&p, &doutput.transposed()).transposed();
                close(&what("dv"), &exact(values(&dqkv), 3 * channels, 2), &dv, &bound);
                let ds = softmax_backward(&p, &v.transposed().times(&doutput)).map(|x| scale * x);
                let dk = q.times(&ds.narrow().transposed());
                let bound = unsure(&ds, &q.transposed()).transposed();
                close(&what("dk"), &exact(values(&dqkv), 3 * channels, 1), &dk, &bound);
                let dq = k.times(&ds.narrow());
                let bound = unsure(&ds.transposed(), &k.transposed()).transposed();
                close(&what("dq"), &exact(values(&dqkv), 3 * channels, 0), &dq, &bound);
            }
        }
    });
}
