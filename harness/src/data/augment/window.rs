//! Random rectangles of an image, shared by cropping and erasing.

use std::ops::RangeInclusive;

use rand::{Rng, RngExt};

/// A rectangle within an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Window {
    /// A window of this height and width at a uniformly random position in the image.
    pub(super) fn somewhere([height, width]: [usize; 2], size: usize, rng: &mut impl Rng) -> Self {
        let top = rng.random_range(0..=size - height);
        let left = rng.random_range(0..=size - width);
        Self { top, left, height, width }
    }
}

/// Draws the sides of a rectangle as torchvision does: its fraction of the image's area and the logarithm of its aspect ratio (first
/// side over second) are uniform. Returns `None` if none of ten draws has both sides within `fitting`.
pub(super) fn random_sides(
    scale: [f32; 2],
    ratio: [f32; 2],
    fitting: RangeInclusive<usize>,
    size: usize,
    rng: &mut impl Rng,
) -> Option<[usize; 2]> {
    let side = size as f64;
    let [scale, log_ratio] = [scale.map(f64::from), ratio.map(|bound| f64::from(bound).ln())];
    let mut uniform = |[low, high]: [f64; 2]| low + (high - low) * rng.random::<f64>();
    let mut sides = || {
        let area = side * side * uniform(scale);
        let aspect = uniform(log_ratio).exp();
        [area * aspect, area / aspect].map(|square| square.sqrt().round_ties_even() as usize)
    };
    (0..10).map(|_| sides()).find(|sides| sides.iter().all(|side| fitting.contains(side)))
}
