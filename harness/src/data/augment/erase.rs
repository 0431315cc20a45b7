//! Random erasing (Zhong et al. 2017, <https://arxiv.org/abs/1708.04896>).

use rand::{Rng, RngExt};

use crate::config::data::RandomErasingConfig;

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Area {
    /// Draws as torchvision's `RandomErasing` does: with the stated probability, and not if ten draws do not fit.
    pub(super) fn random(config: &RandomErasingConfig, size: usize, rng: &mut impl Rng) -> Option<Self> {
        if !rng.random_bool(f64::from(config.probability)) {
            return None;
        }
        let side = size as f64;
        let [scale, ratio] = [config.scale, config.ratio].map(|bounds| bounds.map(f64::from));
        let log_ratio = ratio.map(f64::ln);
        for _ in 0..10 {
            let mut uniform = |[low, high]: [f64; 2]| low + (high - low) * rng.random::<f64>();
            let area = side * side * uniform(scale);
            let aspect = uniform(log_ratio).exp();
            let height = (area * aspect).sqrt().round_ties_even() as usize;
            let width = (area / aspect).sqrt().round_ties_even() as usize;
            if height < size && width < size {
                let top = rng.random_range(0..=size - height);
                let left = rng.random_range(0..=size - width);
                return Some(Self { top, left, height, width });
            }
        }
        None
    }

    /// Sets the rectangle of `[3, size, size]` to zero.
    pub(super) fn erase(self, values: &mut [f32], size: usize) {
        for plane in values.chunks_exact_mut(size * size) {
            for row in plane.chunks_exact_mut(size).skip(self.top).take(self.height) {
                row[self.left..self.left + self.width].fill(0.0);
            }
        }
    }
}
