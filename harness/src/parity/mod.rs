//! Agreement with PyTorch: a model with the weights of a fixture must reproduce its logits, loss, hidden states, attention weights,
//! gradients and the losses of a few optimiser steps, on any device. `tests/fixtures/make_fixtures.py` makes fixtures.

mod compare;
mod comparison;
mod fixture;

use std::path::Path;

use burn::tensor::Device;

use layers::random::{Purpose, stream};
use rand::RngExt;

use crate::architecture::Architecture;
use crate::error::Result;
use crate::weights::parameters;
pub use comparison::{Comparison, Verdict};
use fixture::Fixture;

/// Builds the model that a fixture describes, with its weights, and compares everything that the fixture records.
///
/// # Errors
/// If the file is not a fixture. A tensor that disagrees is not an error but a row.
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
                // `max` skips NaN, which must not excuse an error.
                row.rounding = row.rounding.max(moved);
            }
        }
    }
    Ok(rows)
}

/// Number of models with changed last bits.
const ROUNDED_MODELS: u64 = 4;

/// The model with every weight moved to a neighbouring 32-bit float, up or down at random.
fn with_last_bits_changed(model: &Architecture, seed: u64) -> Architecture {
    let mut draws = stream(Purpose::Rounding, [seed, 0, 0]);
    let mut values = parameters::values(model);
    for value in values.values_mut().flat_map(|values| &mut values.data) {
        *value = if draws.random_bool(0.5) { value.next_up() } else { value.next_down() };
    }
    parameters::replace(model.clone(), values)
}

#[cfg(test)]
mod tests {
    use super::*;

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
