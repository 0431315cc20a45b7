//! Agreement with PyTorch: a model with the weights of a fixture gives its logits, loss, gradients and the losses of a few
//! optimiser steps, on any device. `tests/fixtures/make_fixtures.py` makes fixtures.

mod compare;
mod fixture;

use std::path::Path;

use burn::tensor::Device;

use layers::random::{Purpose, stream};
use rand::RngExt;

use crate::architecture::Architecture;
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
    /// How far our own values move if every weight is changed in its last bit; 0 where nobody had to ask.
    pub rounding: f64,
    found: Values,
    measure: Measure,
}

/// How the distance of two tensors becomes an error.
#[derive(Debug, Clone, Copy)]
enum Measure {
    /// The norm of the difference over this norm.
    Norm(f64),
    /// The largest difference of two values over the second.
    Largest,
}

impl Measure {
    fn error(self, found: &Values, expected: &Values) -> f64 {
        match self {
            Self::Norm(scale) => difference(found, expected) / scale.max(f64::MIN_POSITIVE),
            Self::Largest => {
                let pairs = found.data.iter().zip(&expected.data);
                let errors = pairs.map(|(a, b)| ((f64::from(*a) - f64::from(*b)) / f64::from(*b)).abs());
                // In the total order a NaN is greater than all numbers, if its sign is positive.
                errors.map(f64::abs).max_by(f64::total_cmp).unwrap_or(f64::NAN)
            }
        }
    }
}

/// What a comparison says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The error is within its bound.
    Agrees,
    /// It is not, but rounding alone moves this tensor as far: the model is ill-conditioned here, and 32-bit floats cannot tell.
    Rounding,
    /// The models differ.
    Disagrees,
}

/// Rounding happens in every operation, and not only in the weights: an error up to this many times what a change of the
/// weights' last bits makes is no sign of another model. What PyTorch makes in 32 and in 64 bits differs as much.
const ROUNDING_FACTOR: f64 = 10.0;

impl Comparison {
    fn new(tensor: &str, found: Values, expected: &Values, measure: Measure, bound: f64) -> Self {
        let error = measure.error(&found, expected);
        let shape = expected.shape.clone();
        Self { tensor: tensor.to_owned(), shape, error, bound, rounding: 0.0, found, measure }
    }

    /// What to make of the error.
    pub fn verdict(&self) -> Verdict {
        if self.error <= self.bound {
            Verdict::Agrees
        } else if self.error <= ROUNDING_FACTOR * self.rounding {
            Verdict::Rounding
        } else {
            Verdict::Disagrees
        }
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
    let mut rows = compare::all(&fixture, &model, device)?;
    if rows.iter().any(|row| row.verdict() != Verdict::Agrees) {
        for seed in 0..ROUNDED_MODELS {
            let rounded = compare::all(&fixture, &with_last_bits_changed(&model, seed), device)?;
            for (row, rounded) in rows.iter_mut().zip(rounded) {
                let moved = row.measure.error(&rounded.found, &row.found);
                // `max` passes over what is no number, which is no excuse for an error.
                row.rounding = row.rounding.max(moved);
            }
        }
    }
    Ok(rows)
}

/// How many times the effect of rounding is looked at.
const ROUNDED_MODELS: u64 = 4;

/// The model with every weight moved to one of its neighbours among the 32-bit floats, up or down by chance.
fn with_last_bits_changed(model: &Architecture, seed: u64) -> Architecture {
    let mut draws = stream(Purpose::Rounding, [seed, 0, 0]);
    let mut values = parameters::values(model);
    for value in values.values_mut().flat_map(|values| &mut values.data) {
        *value = if draws.random_bool(0.5) { value.next_up() } else { value.next_down() };
    }
    parameters::replace(model.clone(), values)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_excuses_what_it_can_explain_and_no_more() {
        let verdict = |found: f32, rounding| {
            let (found, expected) = (Values::new([1], vec![found]), Values::new([1], vec![1.0]));
            let row = Comparison::new("tensor", found, &expected, Measure::Largest, 1e-3);
            Comparison { rounding, ..row }.verdict()
        };
        assert_eq!(verdict(1.0005, 0.0), Verdict::Agrees);
        assert_eq!(verdict(1.05, 1e-7), Verdict::Disagrees);
        assert_eq!(verdict(1.05, 0.02), Verdict::Rounding);
        assert_eq!(verdict(f32::NAN, 0.02), Verdict::Disagrees);
    }

    #[test]
    fn the_last_bits_of_all_weights_change_and_nothing_else() {
        let config: crate::architecture::ArchitectureConfig = toml::from_str(
            "architecture = 'conv_vit'\npatch_size = 2\nd_model = 8\ndepth = 1\nhead_channels = 4\nd_ff = 8",
        )
        .unwrap();
        let model = config.for_images(4, 3).init(0, &Device::flex());
        let rounded = with_last_bits_changed(&model, 1);
        let (before, after) = (parameters::values(&model), parameters::values(&rounded));
        assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
        for (path, before) in before {
            for (before, after) in before.data.iter().zip(&after[&path].data) {
                assert!(*after == before.next_up() || *after == before.next_down(), "{path}: {before} to {after}");
            }
        }
    }
}
