//! Random augmentation of training images, as a list of steps. Each step matches the torchvision transform of the same name applied
//! to 8-bit images, and is tested against torchvision's output for fixed parameters (`fixtures/`).

mod canvas;
mod colour;
mod crop;
mod erase;
mod geometry;
mod rand_augment;
mod window;

use layers::random::{Purpose, stream};
use rand::RngExt;

use crate::config::data::{AugmentConfig, ColorJitterConfig, PadAndCropConfig, RandAugmentConfig};
use crate::config::data::{RandomErasingConfig, RandomResizedCropConfig};
pub(super) use canvas::Canvas;
use window::Window;

/// An augmentation. Each has its own random stream, so that adding a step does not change the draws of the others.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    RandomResizedCrop(RandomResizedCropConfig),
    PadAndCrop(PadAndCropConfig),
    HorizontalFlip,
    RandAugment(RandAugmentConfig),
    ColorJitter(ColorJitterConfig),
}

/// The steps of a config, in the order in which they are applied.
pub(super) fn steps(config: &AugmentConfig) -> Vec<Step> {
    let steps = [
        config.random_resized_crop.map(Step::RandomResizedCrop),
        config.pad_and_crop.map(Step::PadAndCrop),
        config.horizontal_flip.then_some(Step::HorizontalFlip),
        config.rand_augment.map(Step::RandAugment),
        config.color_jitter.map(Step::ColorJitter),
    ];
    steps.into_iter().flatten().collect()
}

impl Step {
    /// Applies this step to the image at `index` in its split.
    pub(super) fn apply(self, canvas: &mut Canvas, seed: u64, epoch: u64, index: u64) {
        let mut rng = stream(self.purpose(), [seed, epoch, index]);
        match self {
            Self::RandomResizedCrop(config) => {
                Window::random(&config, canvas.size, &mut rng).resize(config.interpolation, canvas);
            }
            Self::PadAndCrop(config) => {
                let [top, left] = [(); 2].map(|()| rng.random_range(0..=2 * config.padding));
                crop::shift(canvas, config.padding, [top, left]);
            }
            Self::HorizontalFlip => {
                if rng.random_bool(0.5) {
                    geometry::flip(canvas);
                }
            }
            Self::RandAugment(config) => rand_augment::apply(&config, canvas, &mut rng),
            Self::ColorJitter(config) => colour::jitter(&config, canvas, &mut rng),
        }
    }

    fn purpose(self) -> Purpose {
        match self {
            Self::RandomResizedCrop(_) => Purpose::Crop,
            Self::PadAndCrop(_) => Purpose::Pad,
            Self::HorizontalFlip => Purpose::Flip,
            Self::RandAugment(_) => Purpose::RandAugment,
            Self::ColorJitter(_) => Purpose::ColorJitter,
        }
    }
}

/// Sets a random rectangle of the normalised image `[3, size, size]` to zero, with the probability that the config states.
pub(super) fn random_erasing(config: &RandomErasingConfig, values: &mut [f32], size: usize, counters: [u64; 3]) {
    let mut rng = stream(Purpose::Erasing, counters);
    if let Some(window) = Window::random_to_erase(config, size, &mut rng) {
        window.erase(values, size);
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::torchvision_batches;
