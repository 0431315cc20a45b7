//! Deterministic inputs, and a function that runs an operation and its backward pass.

use burn::tensor::{Device, Tensor, TensorData};
use layers::random::{Purpose, stream};
use rand_distr::{Distribution, StandardNormal};

/// The backends under test.
#[cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "Burn discourages NdArray; the suite compares it all the same")
)]
pub(crate) fn devices() -> Vec<(&'static str, Device)> {
    vec![
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", Device::ndarray()),
    ]
}

/// `length` normally distributed values with the standard deviation `scale`.
pub(crate) fn normal(length: usize, scale: f32, seed: u64) -> Vec<f32> {
    let mut rng = stream(Purpose::Initialisation, [seed, length as u64, 1]);
    StandardNormal.sample_iter(&mut rng).take(length).map(|x: f32| scale * x).collect()
}

/// An operation over tensors of three axes. Weights and vectors come with leading axes of one, see [`matrix`], [`vector`].
pub(crate) type Operation<'a> = &'a (dyn Fn(&[Tensor<3>]) -> Tensor<3> + Sync);

/// An input of an operation: shape and values.
#[derive(Clone)]
pub(crate) struct Input {
    pub(crate) shape: [usize; 3],
    pub(crate) values: Vec<f32>,
}

impl Input {
    pub(crate) fn normal(shape: [usize; 3], scale: f32, seed: u64) -> Self {
        Self { shape, values: normal(shape.iter().product(), scale, seed) }
    }

    pub(crate) fn tensor(&self, device: &Device) -> Tensor<3> {
        Tensor::from_data(TensorData::new(self.values.clone(), self.shape), device)
    }
}

/// Inputs of the given shapes; all weights and vectors have values of typical size.
pub(crate) fn inputs(shapes: &[[usize; 3]]) -> Vec<Input> {
    shapes.iter().enumerate().map(|(seed, shape)| Input::normal(*shape, 0.7, seed as u64)).collect()
}

/// `[1, rows, columns]` as a matrix.
pub(crate) fn matrix(x: &Tensor<3>) -> Tensor<2> {
    let [_, rows, columns] = x.dims();
    x.clone().reshape([rows, columns])
}

/// `[1, 1, length]` as a vector.
pub(crate) fn vector(x: &Tensor<3>) -> Tensor<1> {
    let length = x.dims()[2];
    x.clone().reshape([length])
}

/// The outcome: the output in training and in inference, and the gradient of every input.
#[derive(PartialEq)]
pub(crate) struct Outcome {
    pub(crate) training: Vec<f32>,
    pub(crate) inference: Vec<f32>,
    pub(crate) gradients: Vec<Vec<f32>>,
}

/// Runs the operation, and its backward pass with a fixed random gradient of the output.
pub(crate) fn run(operation: Operation, inputs: &[Input], device: &Device) -> Outcome {
    let plain: Vec<_> = inputs.iter().map(|input| input.tensor(device)).collect();
    let inference = operation(&plain);
    let device = device.clone().autodiff();
    let tracked: Vec<_> = inputs.iter().map(|input| input.tensor(&device).require_grad()).collect();
    let output = operation(&tracked);
    let doutput = Input::normal(output.dims(), 1.0, 99).tensor(&device);
    let gradients = (output.clone() * doutput).sum().backward();
    let gradient = |x: &Tensor<3>| values(x.grad(&gradients).expect("the operation depends on every input"));
    Outcome {
        training: values(output.inner()),
        inference: values(inference),
        gradients: tracked.iter().map(gradient).collect(),
    }
}

pub(crate) fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("a tensor of f32")
}

/// Distance relative to the norm of the expected values.
pub(crate) fn distance(actual: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut actual.iter().zip(expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    if difference == 0.0 { 0.0 } else { difference / norm(&mut expected.iter().map(|x| f64::from(*x))) }
}

/// Asserts that two operations agree to 1e-5 of the norm in every output and gradient.
pub(crate) fn assert_agree(what: &str, actual: Operation, expected: Operation, inputs: &[Input], device: &Device) {
    let (actual, expected) = (run(actual, inputs, device), run(expected, inputs, device));
    let check = |part: &str, actual: &[f32], expected: &[f32]| {
        let distance = distance(actual, expected);
        assert!(distance <= 1e-5, "{what}, {part}: off by {distance:e} of the norm");
    };
    check("training", &actual.training, &expected.training);
    check("inference", &actual.inference, &expected.inference);
    for (index, (actual, expected)) in actual.gradients.iter().zip(&expected.gradients).enumerate() {
        check(&format!("gradient {index}"), actual, expected);
    }
}
