//! Compares the operations with independent f64 implementations: values one by one, gradients by difference quotients.

use burn::tensor::{Tensor, TensorData};
use layers::ops;

use crate::support::{Input, Operation, devices, distance, inputs, matrix, normal, run, values, vector};

/// The normal distribution function, by its Taylor series near zero and Laplace's continued fraction for the tail.
fn normal_cdf(x: f64) -> f64 {
    let density = normal_density(x);
    if x.abs() < 3.0 {
        let (mut term, mut sum, mut k) = (x, x, 1.0);
        while term.abs() > 1e-18 {
            k += 2.0;
            term *= x * x / k;
            sum += term;
        }
        0.5 + density * sum
    } else {
        let fraction = (1..200).rev().fold(x.abs(), |fraction, k| x.abs() + f64::from(k) / fraction);
        let tail = density / fraction;
        if x > 0.0 { 1.0 - tail } else { tail }
    }
}

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

#[test]
fn the_reference_is_right() {
    // Φ(1), Φ(-2), Φ(-5) to fifteen digits (Abramowitz, Stegun 1964, table 26.1).
    for (x, expected) in [(1.0, 0.841344746068543), (-2.0, 0.0227501319481792), (-5.0, 2.86651571879194e-7)] {
        assert!((normal_cdf(x) / expected - 1.0).abs() < 1e-13, "{x}: {:e}", normal_cdf(x));
    }
}

/// GELU has its exact derivative on every backend; that of the tanh approximation would be off by 4e-4.
#[test]
fn gelu() {
    let grid: Vec<f32> = (-80_000..=80_000).map(|i| i as f32 * 1e-4).collect();
    for (name, device) in devices() {
        let x = Tensor::<1>::from_data(TensorData::from(grid.as_slice()), &device.autodiff()).require_grad();
        let y = ops::gelu(x.clone());
        let derivative = values(x.grad(&y.clone().sum().backward()).expect("tracked"));
        // Relative to the argument if it is above one, as values are.
        let error = |actual: Vec<f32>, exact: fn(f64) -> f64| {
            let pairs = actual.into_iter().zip(grid.iter().map(|x| f64::from(*x)));
            pairs.map(|(y, x)| (f64::from(y) - exact(x)).abs() / x.abs().max(1.0)).fold(0.0, f64::max)
        };
        let value_error = error(values(y.inner()), |x| x * normal_cdf(x));
        let derivative_error = error(derivative, |x| normal_cdf(x) + x * normal_density(x));
        println!("gelu on {name}: value off by {value_error:.1e}, derivative by {derivative_error:.1e}");
        assert!(value_error < 3e-7 && derivative_error < 3e-7, "{name}: {value_error:e}, {derivative_error:e}");
    }
}

type Reference = fn(&[Vec<f64>], &[[usize; 3]]) -> Vec<f64>;

fn layer_norm(x: &[Vec<f64>], shapes: &[[usize; 3]]) -> Vec<f64> {
    let d = shapes[0][2];
    let normalise = |row: &[f64]| {
        let mean = row.iter().sum::<f64>() / d as f64;
        let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / d as f64;
        let scale = (variance + 1e-5).sqrt().recip();
        (0..d).map(|j| (row[j] - mean) * scale * x[1][j] + x[2][j]).collect::<Vec<_>>()
    };
    x[0].chunks_exact(d).flat_map(normalise).collect()
}

fn linear_gelu(x: &[Vec<f64>], shapes: &[[usize; 3]]) -> Vec<f64> {
    let [_, d_input, d_output] = shapes[1];
    let unit = |row: &[f64], j: usize| {
        let sum = x[2][j] + (0..d_input).map(|i| row[i] * x[1][i * d_output + j]).sum::<f64>();
        sum * normal_cdf(sum)
    };
    x[0].chunks_exact(d_input).flat_map(|row| (0..d_output).map(move |j| unit(row, j))).collect()
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<_> = scores.iter().map(|x| (x - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|x| x / sum).collect()
}

const HEADS: usize = 2;

fn attention(x: &[Vec<f64>], shapes: &[[usize; 3]]) -> Vec<f64> {
    let ([batch, n, d], [_, m, _]) = (shapes[0], shapes[1]);
    let width = d / HEADS;
    let mut output = vec![0.0; batch * n * d];
    for (item, head) in (0..batch).flat_map(|item| (0..HEADS).map(move |head| (item, head))) {
        let at = |part: usize, token: usize, i: usize| x[part][(item * shapes[part][1] + token) * d + head * width + i];
        for query in 0..n {
            let score = |key| (0..width).map(|i| at(0, query, i) * at(1, key, i)).sum::<f64>() / (width as f64).sqrt();
            let weights = softmax(&(0..m).map(score).collect::<Vec<_>>());
            for i in 0..width {
                output[(item * n + query) * d + head * width + i] =
                    (0..m).map(|key| weights[key] * at(2, key, i)).sum();
            }
        }
    }
    output
}

const HEAD_CHANNELS: usize = 4;

fn channel_attention(x: &[Vec<f64>], shapes: &[[usize; 3]]) -> Vec<f64> {
    let [batch, n, columns] = shapes[0];
    let (channels, width) = (columns / 3, HEAD_CHANNELS);
    let mut output = vec![0.0; batch * n * channels];
    for (item, head) in (0..batch).flat_map(|item| (0..channels / width).map(move |head| (item, head))) {
        let at = |part: usize, t: usize, i: usize| x[0][(item * n + t) * columns + part * channels + head * width + i];
        for key in 0..width {
            let score = |query| (0..n).map(|t| at(0, t, query) * at(1, t, key)).sum::<f64>() / (width as f64).sqrt();
            let weights = softmax(&(0..width).map(score).collect::<Vec<_>>());
            for t in 0..n {
                for query in 0..width {
                    output[(item * n + t) * channels + head * width + query] += weights[query] * at(2, t, key);
                }
            }
        }
    }
    output
}

/// Compares values with the reference, and for each input the derivative along a random direction with a difference quotient.
fn check(name: &str, operation: Operation, reference: Reference, shapes: &[[usize; 3]]) {
    const STEP: f64 = 1e-5;
    let inputs = inputs(shapes);
    let exact: Vec<Vec<f64>> =
        inputs.iter().map(|input| input.values.iter().map(|x| f64::from(*x)).collect()).collect();
    let expected: Vec<f32> = reference(&exact, shapes).iter().map(|y| *y as f32).collect();
    for (device_name, device) in devices() {
        let outcome = run(operation, &inputs, &device);
        let error = distance(&outcome.training, &expected);
        assert!(error < 2e-6, "{name} on {device_name}: off by {error:e} of the norm");
        // The gradient of the output that `run` starts from.
        let doutput = normal(expected.len(), 1.0, 99);
        for (index, gradient) in outcome.gradients.iter().enumerate() {
            let direction = normal(gradient.len(), 1.0, 7 + index as u64);
            let loss = |step: f64| -> f64 {
                let mut moved = exact.clone();
                moved[index].iter_mut().zip(&direction).for_each(|(x, d)| *x += step * f64::from(*d));
                reference(&moved, shapes).iter().zip(&doutput).map(|(y, d)| y * f64::from(*d)).sum()
            };
            let quotient = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            let products = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d));
            let (slope, size) = products.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + x.abs()));
            let error = (slope - quotient).abs() / size;
            assert!(error < 2e-6, "{name} on {device_name}, gradient {index}: {slope} instead of {quotient}");
        }
    }
}

#[test]
fn layer_norms() {
    let operation: Operation = &|x| ops::layer_norm(x[0].clone(), vector(&x[1]), vector(&x[2]), 1e-5);
    check("layer norm", operation, layer_norm, &[[2, 7, 37], [1, 1, 37], [1, 1, 37]]);
}

#[test]
fn linear_layers_with_gelu() {
    let operation: Operation = &|x| ops::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])));
    check("linear with GELU", operation, linear_gelu, &[[2, 7, 19], [1, 19, 21], [1, 1, 21]]);
}

#[test]
fn attentions() {
    let operation: Operation = &|x| ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), HEADS);
    check("attention", operation, attention, &[[2, 19, 22], [2, 13, 22], [2, 13, 22]]);
}

#[test]
fn channel_attentions() {
    let operation: Operation = &|x| ops::channel_attention(x[0].clone(), HEAD_CHANNELS);
    check("channel attention", operation, channel_attention, &[[2, 11, 24]]);
}

/// Rounding errors of long sums: the gradients of bias, gamma and beta over 65536 rows of values that do not cancel.
#[test]
fn sums_over_many_rows() {
    let (rows, d) = (65_536, 3);
    let positive = |seed| normal(rows * d, 1.0, seed).into_iter().map(f32::abs).collect();
    let x = Input { shape: [1, rows, d], values: positive(1) };
    let expected: f64 = normal(rows * d, 1.0, 99).iter().map(|x| f64::from(*x)).step_by(d).sum();
    for (name, device) in devices() {
        let inputs = [x.clone(), Input::normal([1, d, d], 1.0, 2), Input::normal([1, 1, d], 1.0, 3)];
        let outcome = run(&|x| ops::linear(x[0].clone(), matrix(&x[1]), Some(vector(&x[2]))), &inputs, &device);
        let error = (f64::from(outcome.gradients[2][0]) - expected).abs() / (rows as f64).sqrt();
        assert!(error < 1e-5, "{name}: off by {error:e} of the norm");
    }
}
