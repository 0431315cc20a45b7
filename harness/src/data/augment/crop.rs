//! Crops: of random size, resized, and of a padded image.

use rand::{Rng, RngExt};

use super::Canvas;
use crate::config::data::RandomResizedCropConfig;

/// Room for a crop in work: one row between two rows of the image, and where each column lies in it.
pub(super) struct Rows {
    row: Vec<f32>,
    columns: Vec<Between>,
}

/// A place between two neighbours of a line: `(1 - weight) * line[low] + weight * line[high]`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Between {
    low: usize,
    high: usize,
    weight: f32,
}

impl Rows {
    pub(super) fn new(size: usize) -> Self {
        Self { row: vec![0.0; size], columns: vec![Between::default(); size] }
    }
}

/// Part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Window {
    /// Draws as torchvision's `RandomResizedCrop` does: area and logarithm of the aspect ratio are uniform; after ten draws
    /// that do not fit, the largest window in the middle whose aspect ratio is allowed.
    pub(super) fn random(config: &RandomResizedCropConfig, size: usize, rng: &mut impl Rng) -> Self {
        let side = size as f64;
        let [scale, ratio] = [config.scale, config.ratio].map(|bounds| bounds.map(f64::from));
        let log_ratio = ratio.map(f64::ln);
        let mut uniform = |[low, high]: [f64; 2]| low + (high - low) * rng.random::<f64>();
        for _ in 0..10 {
            let area = side * side * uniform(scale);
            let aspect = uniform(log_ratio).exp();
            let width = (area * aspect).sqrt().round_ties_even() as usize;
            let height = (area / aspect).sqrt().round_ties_even() as usize;
            if (1..=size).contains(&width) && (1..=size).contains(&height) {
                let top = rng.random_range(0..=size - height);
                let left = rng.random_range(0..=size - width);
                return Self { top, left, height, width };
            }
        }
        Self::central(ratio, size)
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

    /// Fills the canvas with this part of it: bilinear, pixel centres at halves, nothing from beyond the window's edge.
    ///
    /// A window is never larger than the canvas, so this only ever enlarges, and antialiasing would change nothing.
    pub(super) fn resize(self, canvas: &mut Canvas) {
        let Canvas { size, values, spare, rows: Rows { row, columns } } = canvas;
        let size = *size;
        for (target, column) in columns.iter_mut().enumerate() {
            *column = between(target, size, self.width);
        }
        let row = &mut row[..self.width];
        for (source, target) in values.chunks_exact(size * size).zip(spare.chunks_exact_mut(size * size)) {
            for (y, target) in target.chunks_exact_mut(size).enumerate() {
                let Between { low, high, weight } = between(y, size, self.height);
                let line = |row: usize| &source[(self.top + row) * size + self.left..][..self.width];
                for ((value, low), high) in row.iter_mut().zip(line(low)).zip(line(high)) {
                    let [low, high] = [low, high].map(|value| f32::from(*value));
                    *value = low + (high - low) * weight;
                }
                for (value, column) in target.iter_mut().zip(columns.iter()) {
                    *value = rounded(row[column.low] + (row[column.high] - row[column.low]) * column.weight);
                }
            }
        }
        std::mem::swap(values, spare);
    }
}

/// Where the `target`-th of `targets` pixels lies among `sources` pixels over the same length.
fn between(target: usize, targets: usize, sources: usize) -> Between {
    let place = (target as f32 + 0.5) * (sources as f32 / targets as f32) - 0.5;
    let place = place.clamp(0.0, (sources - 1) as f32);
    let low = place as usize;
    Between { low, high: (low + 1).min(sources - 1), weight: place - low as f32 }
}

/// The nearest byte, the even one of two, of a number from 0 to 255. The sum's last bit stands for one, so that the addition rounds;
/// the instruction for that is not on every machine.
pub(super) fn rounded(value: f32) -> u8 {
    const TWO_TO_23: f32 = 8_388_608.0;
    (value + TWO_TO_23).to_bits() as u8
}

/// The window at `[top, left]` of the image with `padding` black pixels around it.
pub(super) fn shift(canvas: &mut Canvas, padding: usize, [top, left]: [usize; 2]) {
    let Canvas { size, values, spare, .. } = canvas;
    let size = *size;
    spare.fill(0);
    // Columns of the target whose source is within the image.
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
