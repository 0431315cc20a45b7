//! RandAugment (Cubuk et al. 2019, <https://arxiv.org/abs/1909.13719>) with torchvision's operations and magnitudes.

use rand::{Rng, RngExt};

use super::canvas::Canvas;
use super::colour;
use super::geometry::Affine;
use crate::config::data::RandAugmentConfig;

/// Number of magnitudes, which start at 0.
const BINS: u32 = 31;

/// All operations, drawn with equal probability.
const OPERATIONS: [Operation; 14] = [
    Operation::Identity,
    Operation::ShearX,
    Operation::ShearY,
    Operation::TranslateX,
    Operation::TranslateY,
    Operation::Rotate,
    Operation::Brightness,
    Operation::Color,
    Operation::Contrast,
    Operation::Sharpness,
    Operation::Posterize,
    Operation::Solarize,
    Operation::AutoContrast,
    Operation::Equalize,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
}

pub(super) fn apply(config: &RandAugmentConfig, canvas: &mut Canvas, rng: &mut impl Rng) {
    for _ in 0..config.operations {
        let operation = OPERATIONS[rng.random_range(0..OPERATIONS.len())];
        // Always drawn, so that an operation without a sign does not shift the draws of the next.
        let sign = if rng.random_bool(0.5) { -1.0 } else { 1.0 };
        operation.apply(canvas, config.magnitude, sign);
    }
}

impl Operation {
    /// Applies the operation with a magnitude from 0 to 30 and a sign of 1 or -1.
    pub(super) fn apply(self, canvas: &mut Canvas, magnitude: u32, sign: f64) {
        let strength = |greatest| sign * linear(greatest, magnitude);
        let size = canvas.size;
        match self {
            Self::Identity => {}
            Self::ShearX => Affine::shear_x(strength(0.3), size).apply(canvas),
            Self::ShearY => Affine::shear_y(strength(0.3), size).apply(canvas),
            Self::TranslateX => Affine::translate(strength(translation(size)), 0.0).apply(canvas),
            Self::TranslateY => Affine::translate(0.0, strength(translation(size))).apply(canvas),
            Self::Rotate => Affine::rotate(strength(30.0)).apply(canvas),
            Self::Brightness => colour::brightness(canvas, 1.0 + strength(0.9)),
            Self::Color => colour::saturation(canvas, 1.0 + strength(0.9)),
            Self::Contrast => colour::contrast(canvas, 1.0 + strength(0.9)),
            Self::Sharpness => colour::sharpness(canvas, 1.0 + strength(0.9)),
            // Keeps from eight bits down to four.
            Self::Posterize => {
                let lost = (f64::from(magnitude) / (f64::from(BINS - 1) / 4.0)).round_ties_even();
                colour::posterize(canvas, 8 - lost as u32);
            }
            // Multiplying before dividing keeps integer thresholds exact.
            Self::Solarize => colour::solarize(canvas, 255.0 * f64::from(BINS - 1 - magnitude) / f64::from(BINS - 1)),
            Self::AutoContrast => colour::autocontrast(canvas),
            Self::Equalize => colour::equalize(canvas),
        }
    }
}

/// The value at `magnitude` on an even scale from 0 to `greatest`, rounded like `torch.linspace` in 32 bits: blended bytes are
/// truncated to integers, so the last bit can matter.
fn linear(greatest: f64, magnitude: u32) -> f64 {
    let (end, last) = (greatest as f32, BINS - 1);
    let step = end / last as f32;
    f64::from(if magnitude < BINS / 2 { step * magnitude as f32 } else { end - step * (last - magnitude) as f32 })
}

/// The greatest translation, in pixels: 150 of the 331 pixels of the paper's ImageNet models.
fn translation(size: usize) -> f64 {
    150.0 / 331.0 * size as f64
}

/// The operation with this torchvision name.
#[cfg(test)]
pub(super) fn named(name: &str) -> Operation {
    let found = OPERATIONS.into_iter().find(|operation| format!("{operation:?}") == name);
    found.unwrap_or_else(|| panic!("{name} is not an operation"))
}
