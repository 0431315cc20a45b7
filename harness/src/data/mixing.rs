//! Mixes the images of a batch with one another: Mixup (Zhang et al. 2017, <https://arxiv.org/abs/1710.09412>) and CutMix (Yun et
//! al. 2019, <https://arxiv.org/abs/1905.04899>). Like torchvision's transforms of these names, they draw once per batch and mix
//! every image with the one before it.

use std::ops::Range;

use layers::random::{Purpose, stream};
use rand::RngExt;
use rand_distr::{Beta, Distribution};

use crate::config::data::AugmentConfig;

/// One-hot targets of the labels, `[labels.len(), classes]`.
pub fn one_hot(labels: &[i64], classes: usize) -> Vec<f32> {
    let mut targets = vec![0.0; labels.len() * classes];
    for (row, label) in targets.chunks_exact_mut(classes).zip(labels) {
        row[*label as usize] = 1.0;
    }
    targets
}

/// How the images of a batch are mixed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mixing {
    /// The weight of an image's own label.
    pub(super) own: f32,
    /// The rows and columns that CutMix copies from the other image. `None` for Mixup, which blends all pixels.
    patch: Option<[Range<usize>; 2]>,
}

impl Mixing {
    /// Draws the mixing of a batch from the counters `[seed, epoch, step]`. `None` if the config has neither Mixup nor CutMix.
    pub(super) fn draw(config: &AugmentConfig, size: usize, counters: [u64; 3]) -> Option<Self> {
        let mut rng = stream(Purpose::Mixing, counters);
        let (alpha, is_cutmix) = match (config.mixup, config.cutmix) {
            (None, None) => return None,
            (Some(mixup), None) => (mixup.alpha, false),
            (None, Some(cutmix)) => (cutmix.alpha, true),
            (Some(mixup), Some(cutmix)) => {
                let is_cutmix = rng.random_bool(0.5);
                (if is_cutmix { cutmix.alpha } else { mixup.alpha }, is_cutmix)
            }
        };
        let beta = Beta::new(f64::from(alpha), f64::from(alpha)).expect("the config was checked for a positive alpha");
        let own: f64 = beta.sample(&mut rng);
        if !is_cutmix {
            return Some(Self { own: own as f32, patch: None });
        }
        let middle = [(); 2].map(|()| rng.random_range(0..size));
        Some(Self::around(middle, own, size))
    }

    /// CutMix of a square around this row and column. Its size leaves the fraction `own` of the image if the square lies entirely
    /// within the image; a square that crosses the edge is clipped.
    fn around(middle: [usize; 2], own: f64, size: usize) -> Self {
        let half = (0.5 * (1.0 - own).sqrt() * size as f64) as usize;
        let patch = middle.map(|middle| middle.saturating_sub(half)..(middle + half).min(size));
        let area = patch[0].len() * patch[1].len();
        Self { own: (1.0 - area as f64 / (size * size) as f64) as f32, patch: Some(patch) }
    }

    /// Mixes each image of `values` with the image at the same index of `others`, both `[images, 3, size, size]`.
    pub(super) fn mix(&self, values: &mut [f32], others: &[f32], size: usize) {
        let Some([rows, columns]) = &self.patch else {
            for (value, other) in values.iter_mut().zip(others) {
                *value = self.own * *value + (1.0 - self.own) * other;
            }
            return;
        };
        for (plane, other) in values.chunks_exact_mut(size * size).zip(others.chunks_exact(size * size)) {
            for row in rows.clone() {
                let range = row * size + columns.start..row * size + columns.end;
                plane[range.clone()].copy_from_slice(&other[range]);
            }
        }
    }

    /// Probability of every class, `[images, classes]`.
    pub(super) fn targets(&self, labels: &[i64], others: &[i64], classes: usize) -> Vec<f32> {
        let mut targets = vec![0.0; labels.len() * classes];
        for ((row, label), other) in targets.chunks_exact_mut(classes).zip(labels).zip(others) {
            row[*label as usize] += self.own;
            row[*other as usize] += 1.0 - self.own;
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::data::MixConfig;
    use crate::data::augment::torchvision_batches;

    fn config(mixup: Option<f32>, cutmix: Option<f32>) -> AugmentConfig {
        let mix = |alpha| MixConfig { alpha };
        AugmentConfig { mixup: mixup.map(mix), cutmix: cutmix.map(mix), ..AugmentConfig::default() }
    }

    #[test]
    fn nothing_is_mixed_unless_asked_for() {
        assert_eq!(Mixing::draw(&config(None, None), 8, [0; 3]), None);
    }

    #[test]
    fn shares_are_spread_as_the_distribution_says() {
        let shares: Vec<f32> =
            (0..4000).map(|step| Mixing::draw(&config(Some(0.2), None), 8, [1, 2, step]).unwrap().own).collect();
        let mean = shares.iter().sum::<f32>() / 4000.0;
        let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f32>() / 4000.0;
        // Beta(a, a): mean 1/2, variance 1 / (4 (2 a + 1)).
        assert!((mean - 0.5).abs() < 0.03 && (variance - 1.0 / 5.6).abs() < 0.01, "{mean}, {variance}");
    }

    #[test]
    fn both_are_drawn_where_both_are_named() {
        let both = config(Some(0.2), Some(1.0));
        let cut = (0..1000).filter(|step| Mixing::draw(&both, 8, [1, 2, *step]).unwrap().patch.is_some()).count();
        assert!((400..600).contains(&cut), "{cut} of 1000");
    }

    #[test]
    fn mixup_is_the_weighted_mean_of_images_and_labels() {
        let mixing = Mixing { own: 0.75, patch: None };
        let mut values = vec![1.0; 12];
        mixing.mix(&mut values, &[5.0; 12], 2);
        assert_eq!(values, [2.0; 12]);
        assert_eq!(mixing.targets(&[0, 1], &[2, 1], 3), [0.75, 0.0, 0.25, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn batches_are_mixed_as_torchvision_mixes_them() {
        let torchvision = torchvision_batches();
        let (size, classes) = (13, 5);
        let (images, labels) = (&torchvision["images"], [0, 3, 1, 4]);
        let (mut others, mut other_labels) = (images.clone(), labels);
        others.rotate_right(3 * size * size);
        other_labels.rotate_right(1);
        let mut compared = 0;
        for (name, theirs) in torchvision.iter().filter(|(name, _)| name.ends_with("/images")) {
            let mixing = match name.split('/').collect::<Vec<_>>()[..] {
                ["mixup", own, _] => Mixing { own: own.parse().unwrap(), patch: None },
                ["cutmix", row, column, own, _] => {
                    Mixing::around([row, column].map(|at| at.parse().unwrap()), own.parse().unwrap(), size)
                }
                _ => panic!("{name} is neither Mixup nor CutMix"),
            };
            let mut mixed = images.clone();
            mixing.mix(&mut mixed, &others, size);
            let targets = mixing.targets(&labels, &other_labels, classes);
            for (ours, theirs) in [(mixed, theirs), (targets, &torchvision[&name.replace("images", "targets")])] {
                assert_eq!(ours.len(), theirs.len(), "{name}");
                assert!(ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-6), "{name}");
            }
            compared += 1;
        }
        assert_eq!(compared, 8);
    }

    #[test]
    fn cutmix_takes_over_a_patch_and_its_share_of_the_label() {
        let mut some = 0;
        for step in 0..200 {
            let mixing = Mixing::draw(&config(None, Some(1.0)), 16, [3, 0, step]).unwrap();
            let mut values = vec![0.0; 2 * 3 * 256];
            mixing.mix(&mut values, &[1.0; 2 * 3 * 256], 16);
            let taken = values.iter().sum::<f32>() / values.len() as f32;
            assert!((1.0 - taken - mixing.own).abs() < 1e-6, "{taken} of {mixing:?}");
            some += usize::from(taken > 0.0);
        }
        assert!(some > 150, "{some} of 200 batches were mixed");
    }
}
