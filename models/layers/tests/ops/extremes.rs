//! Values at the limits of f32: whatever the composition keeps finite stays finite.

use burn::tensor::{Device, Tensor};
use layers::ops::{self, composed};

use crate::support::{Input, Operation, devices, distance, inputs, matrix, normal, run, values, vector};

/// Asserts that the operation is finite wherever its composition is, and agrees with it there.
fn assert_as_robust(what: &str, actual: Operation, expected: Operation, inputs: &[Input]) {
    for (name, device) in devices() {
        let (actual, expected) = (run(actual, inputs, &device), run(expected, inputs, &device));
        let check = |part: &str, actual: &[f32], expected: &[f32]| {
            let finite = actual.iter().zip(expected).filter(|(_, expected)| expected.is_finite());
            let (actual, expected): (Vec<f32>, Vec<f32>) = finite.unzip();
            assert!(
                actual.iter().all(|x| x.is_finite()),
                "{what} on {name}, {part}: {actual:?} instead of {expected:?}"
            );
            // Denormal numbers have too few bits for a relative comparison.
            let mut both = actual.iter().zip(&expected);
            if both.any(|(actual, expected)| (actual - expected).abs() > f32::MIN_POSITIVE) {
                let distance = distance(&actual, &expected);
                assert!(distance <= 1e-5, "{what} on {name}, {part}: off by {distance:e}");
            }
        };
        check("training", &actual.training, &expected.training);
        check("inference", &actual.inference, &expected.inference);
        for (actual, expected) in actual.gradients.iter().zip(&expected.gradients) {
            check("gradient", actual, expected);
        }
    }
}

fn single(values: &[f32]) -> Input {
    Input { shape: [1, 1, values.len()], values: values.to_vec() }
}

#[test]
fn gelu_of_large_and_tiny_values() {
    let actual: Operation = &|x| ops::gelu(x[0].clone());
    let expected: Operation = &|x| composed::gelu(x[0].clone());
    for x in [1e-45, 1e-40, f32::MIN_POSITIVE, 1e-20, 1e-3, 3.7, 3.9, 5.42, 5.43, 13.0, 14.0, 1e4, 1e20, f32::MAX] {
        assert_as_robust("gelu", actual, expected, &[single(&[x])]);
    }
    for x in [1e-45_f32, 1e-40, 1e-20, 1e-3] {
        assert_as_robust("gelu", actual, expected, &[single(&[-x])]);
    }
    // Beyond these, the tail rounds to zero: the composition is zero, and so is the operation.
    for (name, device) in devices() {
        let x = [-15.0, -1e4, -1e20, f32::MIN];
        let outcome = run(actual, &[single(&x)], &device);
        assert_eq!(outcome.training, [0.0; 4], "{name}");
        assert_eq!(outcome.gradients[0], [0.0; 4], "{name}");
    }
}

#[test]
fn what_is_undefined_stays_undefined() {
    for (name, device) in devices() {
        let nan = |length: usize| {
            let mut values = normal(length, 1.0, 1);
            values[length / 2] = f32::NAN;
            values
        };
        let undefined = |operation: Operation, shape: [usize; 3]| {
            let output = run(operation, &[Input { shape, values: nan(shape.iter().product()) }], &device);
            output.training.iter().filter(|x| x.is_nan()).count()
        };
        assert_eq!(undefined(&|x| ops::gelu(x[0].clone()), [1, 3, 20]), 1, "{name}");
        // A row of the norm, a row of the attention (from its query), a head of the channel attention.
        let ones = |d| Tensor::<1>::ones([d], &device);
        let norm: Operation = &|x| {
            let ones = if x[0].device().is_autodiff() { ones(20).autodiff() } else { ones(20) };
            ops::layer_norm(x[0].clone(), ones.clone(), ones, 1e-5)
        };
        assert_eq!(undefined(norm, [1, 3, 20]), 20, "{name}");
        let attention: Operation = &|x| {
            let keys = x[0].clone().zeros_like();
            ops::attention(x[0].clone(), keys.clone(), keys, 2)
        };
        assert_eq!(undefined(attention, [1, 3, 20]), 10, "{name}");
    }
}

#[test]
fn layer_norm_of_large_and_tiny_rows() {
    let actual: Operation = &|x| ops::layer_norm(x[0].clone(), vector(&x[1]), vector(&x[2]), 1e-5);
    let expected: Operation = &|x| composed::layer_norm(x[0].clone(), vector(&x[1]), vector(&x[2]), 1e-5);
    for scale in [0.0, 1e-40, 1e-20, 1e-3, 1e4, 1e15] {
        let mut inputs = inputs(&[[2, 3, 37], [1, 1, 37], [1, 1, 37]]);
        inputs[0].values.iter_mut().for_each(|x| *x *= scale);
        assert_as_robust(&format!("layer norm of {scale:e}"), actual, expected, &inputs);
    }
}

#[test]
fn attention_with_large_scores() {
    let actual: Operation = &|x| ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), 2);
    let expected: Operation = &|x| composed::attention(x[0].clone(), x[1].clone(), x[2].clone(), 2);
    // Powers of two, so that both sides compute the same scores to the last bit.
    for scale in [0.0, 1e-40, 4.0, 64.0, 4096.0, 65536.0, -65536.0] {
        let mut inputs = inputs(&[[1, 9, 8], [1, 21, 8], [1, 21, 8]]);
        inputs[0].values.iter_mut().for_each(|x| *x = (*x * 8.0).round() * scale / 8.0);
        inputs[1].values.iter_mut().for_each(|x| *x = (*x * 8.0).round() / 8.0);
        assert_as_robust(&format!("attention with scores of {scale:e}"), actual, expected, &inputs);
    }
}

/// Keys with a score of -1e9, as masks use it, have a weight of exactly zero.
#[test]
fn attention_ignores_what_is_far_below() {
    let device = Device::flex();
    let q = Tensor::<3>::ones([1, 2, 1], &device);
    let k = Tensor::<3>::from_floats([[[0.0], [-1e9], [0.0]]], &device);
    let v = Tensor::<3>::from_floats([[[1.0], [f32::MAX], [3.0]]], &device);
    assert_eq!(values(ops::attention(q, k, v, 1)), [2.0, 2.0]);
}

#[test]
fn channel_attention_with_large_scores() {
    for head_dim in [2, 4, 8] {
        let actual: Operation = &|x| ops::channel_attention(x[0].clone(), head_dim);
        let expected: Operation = &|x| composed::channel_attention(x[0].clone(), head_dim);
        for scale in [0.0, 1e-40, 1.0, 64.0, 4096.0] {
            let mut input = Input::normal([2, 5, 48], 1.0, 1);
            input.values.iter_mut().for_each(|x| *x = (*x * 4.0).round() * scale / 4.0);
            assert_as_robust(&format!("channel attention with {scale:e}"), actual, expected, &[input]);
        }
    }
}

#[test]
fn linear_layers_with_large_and_tiny_values() {
    for scale in [1e-40, 1e-20, 1e4, 1e15] {
        let mut inputs = inputs(&[[2, 3, 17], [1, 17, 9], [1, 1, 9]]);
        inputs[0].values.iter_mut().for_each(|x| *x *= scale);
        let actual: Operation = &|x| ops::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])));
        let expected: Operation = &|x| composed::linear_gelu(x[0].clone(), matrix(&x[1]), Some(vector(&x[2])));
        assert_as_robust(&format!("linear with GELU of {scale:e}"), actual, expected, &inputs);
    }
}
