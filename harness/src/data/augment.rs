//! Random changes of training images, as a list of steps.

use layers::random::generator;
use rand::{Rng, RngExt};

use crate::config::data::{AugmentConfig, RandomResizedCropConfig};

/// One image in work: `[3, size, size]`, values 0 to 255, and room for what comes out of a step.
pub(super) struct Canvas {
    size: usize,
    pub(super) values: Vec<f32>,
    spare: Vec<f32>,
    /// Of a crop in work: one row between two rows of the image, and where each column lies in it.
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

impl Canvas {
    pub(super) fn new(size: usize) -> Self {
        let values = vec![0.0; 3 * size * size];
        Self { size, spare: values.clone(), values, row: vec![0.0; size], columns: vec![Between::default(); size] }
    }

    /// Puts an image onto the canvas: `[size, size, 3]`, interleaved.
    pub(super) fn place(&mut self, pixels: &[u8]) {
        let (red, rest) = self.values.split_at_mut(self.size * self.size);
        let (green, blue) = rest.split_at_mut(self.size * self.size);
        for (((rgb, red), green), blue) in pixels.chunks_exact(3).zip(red).zip(green).zip(blue) {
            [*red, *green, *blue] = [rgb[0], rgb[1], rgb[2]].map(f32::from);
        }
    }
}

/// A random change. Its draws come from a generator of its own, so that adding a step leaves the others' draws alone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    RandomResizedCrop(RandomResizedCropConfig),
    HorizontalFlip,
}

/// The steps that a config names, in the order in which they are done.
pub(super) fn steps(config: &AugmentConfig) -> Vec<Step> {
    let crop = config.random_resized_crop.map(Step::RandomResizedCrop);
    let flip = config.horizontal_flip.then_some(Step::HorizontalFlip);
    [crop, flip].into_iter().flatten().collect()
}

impl Step {
    /// Changes the image that is the `index`-th of its split.
    pub(super) fn apply(self, canvas: &mut Canvas, seed: u64, epoch: u64, index: u64) {
        let mut rng = generator([seed, epoch, index, self.purpose()]);
        match self {
            Self::RandomResizedCrop(config) => {
                let window = Window::random(&config, canvas.size, &mut rng);
                window.resize(canvas);
            }
            Self::HorizontalFlip => {
                if rng.random_bool(0.5) {
                    flip(canvas);
                }
            }
        }
    }

    fn purpose(self) -> u64 {
        u64::from_le_bytes(match self {
            Self::RandomResizedCrop(_) => *b"aug crop",
            Self::HorizontalFlip => *b"aug flip",
        })
    }
}

fn flip(canvas: &mut Canvas) {
    for row in canvas.values.chunks_exact_mut(canvas.size) {
        row.reverse();
    }
}

/// Part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    top: usize,
    left: usize,
    height: usize,
    width: usize,
}

impl Window {
    /// Draws as torchvision's `RandomResizedCrop` does: area and logarithm of the aspect ratio are uniform; after ten draws
    /// that do not fit, the largest window in the middle whose aspect ratio is allowed.
    fn random(config: &RandomResizedCropConfig, size: usize, rng: &mut impl Rng) -> Self {
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

    fn central([least, greatest]: [f64; 2], size: usize) -> Self {
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
    fn resize(self, canvas: &mut Canvas) {
        let Canvas { size, values, spare, row, columns } = canvas;
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
                    *value = low + (high - low) * weight;
                }
                for (value, column) in target.iter_mut().zip(columns.iter()) {
                    *value = row[column.low] + (row[column.high] - row[column.low]) * column.weight;
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

#[cfg(test)]
mod tests;
