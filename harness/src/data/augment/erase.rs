//! Random erasing (Zhong et al. 2017, <https://arxiv.org/abs/1708.04896>).

use rand::{Rng, RngExt};

use super::window::{Window, random_sides};
use crate::config::data::RandomErasingConfig;

impl Window {
    /// Draws a window as torchvision's `RandomErasing` does, with the configured probability. Returns `None` if none of ten draws
    /// fits.
    pub(super) fn random_to_erase(config: &RandomErasingConfig, size: usize, rng: &mut impl Rng) -> Option<Self> {
        if !rng.random_bool(f64::from(config.probability)) {
            return None;
        }
        let height_and_width = random_sides(config.scale, config.ratio, 0..=size - 1, size, rng)?;
        Some(Self::somewhere(height_and_width, size, rng))
    }

    /// Sets this window of an image `[3, size, size]` to zero.
    pub(super) fn erase(self, values: &mut [f32], size: usize) {
        for plane in values.chunks_exact_mut(size * size) {
            for row in plane.chunks_exact_mut(size).skip(self.top).take(self.height) {
                row[self.left..self.left + self.width].fill(0.0);
            }
        }
    }
}
