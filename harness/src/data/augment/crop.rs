//! Random resized crops, and crops of a padded image.

use rand::Rng;

use super::canvas::Canvas;
use super::window::{Window, random_sides};
use crate::config::data::{Interpolation, RandomResizedCropConfig};

impl Window {
    /// Draws a window as torchvision's `RandomResizedCrop` does. After ten draws that do not fit, it falls back to the largest
    /// central window with an allowed aspect ratio.
    pub(super) fn random(config: &RandomResizedCropConfig, size: usize, rng: &mut impl Rng) -> Self {
        match random_sides(config.scale, config.ratio, 1..=size, size, rng) {
            Some([width, height]) => Self::somewhere([height, width], size, rng),
            None => Self::central(config.ratio.map(f64::from), size),
        }
    }

    pub(super) fn central([least, greatest]: [f64; 2], size: usize) -> Self {
        let shorter = |length: f64| (length.round_ties_even() as usize).max(1);
        let side = size as f64;
        let (height, width) = if 1.0 < least {
            (shorter(side / least), size)
        } else if 1.0 > greatest {
            (size, shorter(side * greatest))
        } else {
            (size, size)
        };
        Self { top: (size - height) / 2, left: (size - width) / 2, height, width }
    }

    /// Enlarges this window to the whole canvas. Pixel centres are at half-integers, and no pixel outside the window is used.
    ///
    /// A window is never larger than the canvas, so no antialiasing is needed.
    pub(super) fn resize(self, interpolation: Interpolation, canvas: &mut Canvas) {
        match interpolation {
            Interpolation::Bilinear => self.resize_by(bilinear, canvas),
            Interpolation::Bicubic => self.resize_by(bicubic, canvas),
        }
    }

    fn resize_by<const OTHERS: usize>(self, place: fn(usize, usize, usize) -> Place<OTHERS>, canvas: &mut Canvas) {
        let Canvas { size, values, spare, row } = canvas;
        let size = *size;
        let places = |sources| (0..size).map(|target| place(target, size, sources)).collect::<Vec<_>>();
        let (rows, columns) = (places(self.height), places(self.width));
        let row = &mut row[..self.width];
        for (source, target) in values.chunks_exact(size * size).zip(spare.chunks_exact_mut(size * size)) {
            for (target, place) in target.chunks_exact_mut(size).zip(&rows) {
                let line = |row: usize| &source[(self.top + row) * size + self.left..][..self.width];
                let (first, others) = (line(place.first), place.others.map(|(row, weight)| (line(row), weight)));
                for (x, value) in row.iter_mut().enumerate() {
                    *value = weighed(f32::from(first[x]), others.map(|(line, weight)| (f32::from(line[x]), weight)));
                }
                for (value, place) in target.iter_mut().zip(&columns) {
                    let sum = weighed(row[place.first], place.others.map(|(x, weight)| (row[x], weight)));
                    // A cubic can overshoot the values that it interpolates. A linear blend cannot, so it skips the clamp.
                    *value = rounded(if OTHERS > 1 { sum.clamp(0.0, 255.0) } else { sum });
                }
            }
        }
        std::mem::swap(values, spare);
    }
}

/// A position between the pixels of a line: a first pixel, and others with their weights. The first has the rest of the weight, so
/// that all weights sum to one.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place<const OTHERS: usize> {
    first: usize,
    others: [(usize, f32); OTHERS],
}

/// The weighted mean of the values at a [`Place`].
fn weighed<const OTHERS: usize>(first: f32, others: [(f32, f32); OTHERS]) -> f32 {
    others.into_iter().fold(first, |sum, (value, weight)| sum + (value - first) * weight)
}

/// The position of target pixel `target` of `targets` in source coordinates, if `sources` pixels span the same length.
fn middle(target: usize, targets: usize, sources: usize) -> f32 {
    (target as f32 + 0.5) * (sources as f32 / targets as f32) - 0.5
}

/// Interpolates between the two nearest pixels.
fn bilinear(target: usize, targets: usize, sources: usize) -> Place<1> {
    let middle = middle(target, targets, sources).clamp(0.0, (sources - 1) as f32);
    let low = middle as usize;
    Place { first: low, others: [((low + 1).min(sources - 1), middle - low as f32)] }
}

/// Interpolates between the four nearest pixels. At the ends of a line the weights of the existing pixels are renormalised, as in
/// PyTorch's antialiased interpolation. (Without antialiasing, PyTorch repeats the last pixel.)
fn bicubic(target: usize, targets: usize, sources: usize) -> Place<3> {
    let middle = middle(target, targets, sources);
    let below = middle.floor();
    let last = (sources - 1) as f32;
    let pixels = [below, below - 1.0, below + 1.0, below + 2.0].map(|pixel| {
        let weight = if (0.0..=last).contains(&pixel) { cubic((middle - pixel).abs()) } else { 0.0 };
        (pixel.clamp(0.0, last) as usize, weight)
    });
    let sum: f32 = pixels.iter().map(|(_, weight)| weight).sum();
    let [(first, _), others @ ..] = pixels;
    Place { first, others: others.map(|(pixel, weight)| (pixel, weight / sum)) }
}

/// The cubic convolution kernel at a distance of up to 2, with the constant -1/2 (Keys 1981,
/// <https://doi.org/10.1109/TASSP.1981.1163711>). PyTorch uses this constant when it antialiases.
fn cubic(distance: f32) -> f32 {
    let d = distance;
    if d <= 1.0 { (1.5 * d - 2.5) * d * d + 1.0 } else { ((2.5 - 0.5 * d) * d - 4.0) * d + 2.0 }
}

/// Rounds a number from 0 to 255 to the nearest byte, with ties to even. The addition does the rounding, because the last bit of the
/// sum is worth one; not every machine has a rounding instruction.
pub(super) fn rounded(value: f32) -> u8 {
    const TWO_TO_23: f32 = 8_388_608.0;
    (value + TWO_TO_23).to_bits() as u8
}

/// Crops the image, padded with `padding` black pixels on every side, to its size at `[top, left]`.
pub(super) fn shift(canvas: &mut Canvas, padding: usize, [top, left]: [usize; 2]) {
    let Canvas { size, values, spare, .. } = canvas;
    let size = *size;
    spare.fill(0);
    // Target columns whose source is inside the image.
    let columns = padding.saturating_sub(left)..(size + padding).saturating_sub(left).min(size);
    if columns.start < columns.end {
        for (source, target) in values.chunks_exact(size * size).zip(spare.chunks_exact_mut(size * size)) {
            for (y, target) in target.chunks_exact_mut(size).enumerate() {
                let Some(row) = (y + top).checked_sub(padding).filter(|row| *row < size) else { continue };
                let first = row * size + columns.start + left - padding;
                target[columns.clone()].copy_from_slice(&source[first..first + columns.len()]);
            }
        }
    }
    std::mem::swap(values, spare);
}
