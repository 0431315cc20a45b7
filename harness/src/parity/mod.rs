//! Agreement with PyTorch: a model with the weights of a fixture gives its logits, loss, gradients and the losses of a few
//! optimiser steps, on any device. `tests/fixtures/make_fixtures.py` makes fixtures.

mod compare;
mod fixture;

use std::path::Path;

use burn::tensor::Device;

use crate::error::Result;
use crate::weights::{Values, parameters};
use fixture::Fixture;

/// A tensor of ours beside PyTorch's.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Its name in the fixture.
    pub tensor: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// Norm of the difference, relative to the norm of what is expected.
    pub error: f64,
    /// What the error may be.
    pub bound: f64,
}

impl Comparison {
    fn new(tensor: &str, found: &Values, expected: &Values, scale: f64, bound: f64) -> Self {
        let error = difference(found, expected) / scale.max(f64::MIN_POSITIVE);
        Self { tensor: tensor.to_owned(), shape: expected.shape.clone(), error, bound }
    }

    /// Whether the error is within its bound.
    pub fn agrees(&self) -> bool {
        self.error <= self.bound
    }
}

/// Builds the model that a fixture describes, with its weights, and compares all that the fixture records.
///
/// # Errors
/// If the file is no fixture. That a model disagrees is no error but a row.
pub fn compare(path: &Path, device: &Device) -> Result<Vec<Comparison>> {
    let fixture = Fixture::read(path)?;
    let model = fixture.config.init(0, &device.clone().autodiff());
    let model = parameters::replace(model, fixture.matching.read(&fixture.weights)?);
    compare::all(&fixture, &model, device)
}

/// The norm of a tensor's values.
fn norm(values: &Values) -> f64 {
    values.data.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// The norm of a difference; infinite if the shapes differ.
fn difference(found: &Values, expected: &Values) -> f64 {
    if found.shape != expected.shape {
        return f64::INFINITY;
    }
    let pairs = found.data.iter().zip(&expected.data);
    pairs.map(|(found, expected)| (f64::from(*found) - f64::from(*expected)).powi(2)).sum::<f64>().sqrt()
}
