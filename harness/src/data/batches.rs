//! Training and evaluation batches: the order of the images, and their conversion to the values that a model reads.

use std::ops::Range;

use rand::seq::SliceRandom;

use layers::random::{Purpose, stream};

use super::augment::{Canvas, Step, random_erasing, steps};
use super::images::Images;
use super::mixing::{Mixing, one_hot};
use crate::config::data::{AugmentConfig, DataConfig};

/// BLAKE3 digest of one sample, as the model sees it.
pub type Digest = [u8; 32];

/// The order in which an epoch visits `n` images: a permutation of `0..n` that depends only on seed and epoch.
pub fn epoch_order(n: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    order.shuffle(&mut stream(Purpose::EpochOrder, [seed, epoch, 0]));
    order
}

/// Training samples in host memory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TrainingSamples {
    /// `[samples, 3, size, size]`.
    pub values: Vec<f32>,
    /// The class of every sample. For two mixed images it is the class with the greater weight.
    pub labels: Vec<i64>,
    /// Probability of every class, `[samples, classes]`.
    pub targets: Vec<f32>,
    /// Digest of every sample's values and label, or of its values and targets if images are mixed.
    pub digests: Vec<Digest>,
}

/// Fills batches from images. The values of an image depend only on the seed, the epoch and the image's index, so several threads
/// can fill parts of a batch with one reader.
pub struct BatchReader<'a> {
    images: &'a Images,
    /// Per channel: a pixel value from 0 to 255 becomes `pixel * scale + shift`.
    scale: [f32; 3],
    shift: [f32; 3],
    steps: Vec<Step>,
    augment: AugmentConfig,
    seed: u64,
}

impl<'a> BatchReader<'a> {
    /// A reader of training images, with the config's augmentation.
    pub fn training(images: &'a Images, config: &DataConfig, seed: u64) -> Self {
        let (steps, augment) = (steps(&config.augment), config.augment.clone());
        Self { steps, augment, seed, ..Self::evaluation(images, config) }
    }

    /// A reader that normalises but does not augment.
    pub fn evaluation(images: &'a Images, config: &DataConfig) -> Self {
        let scale = config.std.map(|std| 1.0 / (255.0 * std));
        let shift = std::array::from_fn(|channel| -config.mean[channel] / config.std[channel]);
        Self { scale, shift, ..Self::plain(images) }
    }

    /// A reader that only scales pixels to values from 0 to 1.
    pub fn plain(images: &'a Images) -> Self {
        Self {
            images,
            scale: [1.0 / 255.0; 3],
            shift: [0.0; 3],
            steps: Vec::new(),
            augment: AugmentConfig::default(),
            seed: 0,
        }
    }

    /// Number of values per image.
    pub fn values_per_image(&self) -> usize {
        3 * self.images.size() * self.images.size()
    }

    /// Fills `out` with the images at these indices, augmented for this epoch. Appends their labels to `labels` and, if it is
    /// given, the digests of values and label to `digests`. The digests of a batch do not depend on how it is divided into calls.
    ///
    /// # Shapes
    ///
    /// - `out`: `[indices.len(), 3, size, size]`, `(pixel / 255 - mean) / std`
    ///
    /// # Panics
    ///
    /// Panics if `out` has a different length, or an index is out of range.
    pub fn fill(
        &self,
        indices: &[u32],
        epoch: u64,
        out: &mut [f32],
        labels: &mut Vec<i64>,
        mut digests: Option<&mut Vec<Digest>>,
    ) {
        assert_eq!(out.len(), indices.len() * self.values_per_image(), "`out` must hold {} images", indices.len());
        let mut canvas = Canvas::new(self.images.size());
        for (&index, out) in indices.iter().zip(out.chunks_exact_mut(self.values_per_image())) {
            canvas.place(self.images.pixels(index as usize));
            for step in &self.steps {
                step.apply(&mut canvas, self.seed, epoch, u64::from(index));
            }
            self.normalise(&canvas.values, out);
            if let Some(erasing) = &self.augment.random_erasing {
                random_erasing(erasing, out, self.images.size(), [self.seed, epoch, u64::from(index)]);
            }
            let label = self.images.labels()[index as usize];
            labels.push(i64::from(label));
            if let Some(digests) = digests.as_deref_mut() {
                digests.push(digest(out, &label.to_le_bytes()));
            }
        }
    }

    /// Reads `part` of training batch `step` of an epoch: images as [`fill`](Self::fill) writes them, mixed with one another if the
    /// config says so. The samples do not depend on how a batch is divided into parts.
    ///
    /// # Panics
    ///
    /// Panics if `part` is not within `batch`, or an index is out of range.
    pub fn read(&self, batch: &[u32], part: Range<usize>, [epoch, step]: [u64; 2], classes: usize) -> TrainingSamples {
        let (mut labels, mut digests) = (Vec::new(), Vec::new());
        let indices = &batch[part.clone()];
        let Some(mixing) = Mixing::draw(&self.augment, self.images.size(), [self.seed, epoch, step]) else {
            let mut values = vec![0.0; indices.len() * self.values_per_image()];
            self.fill(indices, epoch, &mut values, &mut labels, Some(&mut digests));
            return TrainingSamples { targets: one_hot(&labels, classes), values, labels, digests };
        };
        // Reads one more image at the front, because every image is mixed with the one before it in the batch, and the first
        // with the last.
        let before = batch[(part.start + batch.len() - 1) % batch.len()];
        let indices: Vec<u32> = std::iter::once(before).chain(indices.iter().copied()).collect();
        let mut read = vec![0.0; indices.len() * self.values_per_image()];
        self.fill(&indices, epoch, &mut read, &mut labels, None);
        let mut values = read.split_off(self.values_per_image());
        read.extend_from_slice(&values[..values.len() - self.values_per_image()]);
        mixing.mix(&mut values, &read, self.images.size());
        let (others, own) = (&labels[..part.len()], &labels[1..]);
        let targets = mixing.targets(own, others, classes);
        let samples = values.chunks_exact(self.values_per_image()).zip(targets.chunks_exact(classes));
        let bytes = |targets: &[f32]| targets.iter().flat_map(|target| target.to_le_bytes()).collect::<Vec<u8>>();
        let digests = samples.map(|(values, targets)| digest(values, &bytes(targets))).collect();
        let labels = if mixing.own >= 0.5 { own } else { others }.to_vec();
        TrainingSamples { values, labels, targets, digests }
    }

    fn normalise(&self, values: &[u8], out: &mut [f32]) {
        let plane = values.len() / 3;
        for (channel, (values, out)) in values.chunks_exact(plane).zip(out.chunks_exact_mut(plane)).enumerate() {
            let (scale, shift) = (self.scale[channel], self.shift[channel]);
            for (out, value) in out.iter_mut().zip(values) {
                // Two operations instead of a fused one give the same bits on every machine.
                *out = f32::from(*value) * scale + shift;
            }
        }
    }
}

/// Digest of an image's values and its target, given as bytes.
fn digest(values: &[f32], target: &[u8]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = [0; 4096];
    for values in values.chunks(bytes.len() / 4) {
        for (bytes, value) in bytes.chunks_exact_mut(4).zip(values) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        hasher.update(&bytes[..values.len() * 4]);
    }
    hasher.update(target);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::augment::torchvision_batches;

    fn config(table: &str) -> DataConfig {
        toml::from_str(&format!("dataset = 'shapes'\n{table}")).unwrap()
    }

    /// Eight asymmetric images of 4x4 pixels.
    fn images() -> Images {
        let pixels = (0..8 * 48_u32).map(|i| (i * i % 251) as u8).collect();
        Images::new(4, pixels, (0..8).collect(), (0..8).map(|i| i.to_string()).collect())
    }

    const AUGMENTED: &str = "augment = { random_resized_crop = { scale = [0.3, 1.0] }, horizontal_flip = true }";

    fn fill(reader: &BatchReader<'_>, indices: &[u32], epoch: u64) -> (Vec<f32>, Vec<i64>, Vec<Digest>) {
        let mut out = vec![f32::NAN; indices.len() * reader.values_per_image()];
        let (mut labels, mut digests) = (Vec::new(), Vec::new());
        reader.fill(indices, epoch, &mut out, &mut labels, Some(&mut digests));
        (out, labels, digests)
    }

    #[test]
    fn an_order_is_a_permutation_that_differs_by_epoch_and_seed() {
        let order = epoch_order(1000, 3, 0);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_eq!(order, epoch_order(1000, 3, 0));
        assert_ne!(order, epoch_order(1000, 3, 1));
        assert_ne!(order, epoch_order(1000, 4, 0));
        assert_eq!(epoch_order(0, 0, 0), [0; 0]);
    }

    #[test]
    fn evaluation_normalises_into_planes() {
        let images = Images::new(1, vec![0, 51, 255, 255, 0, 102], vec![3, 4], vec!["a".into(), "b".into()]);
        let config = config("mean = [0.5, 0.25, 0.0]\nstd = [0.25, 0.5, 2.0]");
        let (out, labels, _) = fill(&BatchReader::evaluation(&images, &config), &[1, 0], 0);
        let expected = [2.0, -0.5, 0.2, -2.0, -0.1, 0.5];
        assert!(out.iter().zip(expected).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6), "{out:?}");
        assert_eq!(labels, [4, 3]);
        let two = Images::new(2, (0..12).collect(), vec![0], vec!["a".into()]);
        let plain = self::config("mean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]");
        let (out, _, _) = fill(&BatchReader::evaluation(&two, &plain), &[0], 0);
        let rounded: Vec<i32> = out.iter().map(|value| (value * 255.0).round() as i32).collect();
        assert_eq!(rounded, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11], "channels first, then rows");
    }

    #[test]
    fn training_without_steps_is_evaluation() {
        let (images, config) = (images(), config(""));
        let training = fill(&BatchReader::training(&images, &config, 7), &[0, 5], 3);
        assert_eq!(training, fill(&BatchReader::evaluation(&images, &config), &[0, 5], 0));
    }

    #[test]
    fn a_sample_depends_on_seed_epoch_and_index_alone() {
        let (images, config) = (images(), config(AUGMENTED));
        let reader = BatchReader::training(&images, &config, 7);
        let (whole, labels, digests) = fill(&reader, &[0, 1, 2, 3, 4, 5, 6, 7], 2);
        for cut in [1, 3, 8] {
            let parts: Vec<_> =
                labels.chunks(cut).map(|part| part.iter().map(|&i| i as u32).collect::<Vec<_>>()).collect();
            let filled: Vec<_> = parts.iter().map(|part| fill(&reader, part, 2)).collect();
            assert_eq!(filled.iter().flat_map(|part| part.0.clone()).collect::<Vec<_>>(), whole, "cut into {cut}");
            assert_eq!(filled.iter().flat_map(|part| part.2.clone()).collect::<Vec<_>>(), digests, "cut into {cut}");
        }
        assert_ne!(whole, fill(&reader, &[0, 1, 2, 3, 4, 5, 6, 7], 3).0);
        let other_seed = BatchReader::training(&images, &config, 8);
        assert_ne!(whole, fill(&other_seed, &[0, 1, 2, 3, 4, 5, 6, 7], 2).0);
    }

    /// Reads part of a batch of five images whose labels are their indices.
    fn read(augment: &str, part: Range<usize>, step: u64) -> TrainingSamples {
        let (images, config) = (images(), config(augment));
        BatchReader::training(&images, &config, 7).read(&[6, 2, 5, 0, 3], part, [1, step], 8)
    }

    #[test]
    fn every_image_is_mixed_with_the_one_before_it_however_a_batch_is_cut() {
        let (own, others) = ([6, 2, 5, 0, 3], [3, 6, 2, 5, 0]);
        for augment in ["augment.mixup.alpha = 0.5", "augment.cutmix.alpha = 1.0"] {
            let mut mixed = 0;
            for step in 0..20 {
                let whole = read(augment, 0..5, step);
                for cuts in [[0..1, 1..5], [0..3, 3..5], [0..4, 4..5]] {
                    let [first, second] = cuts.map(|part| read(augment, part, step));
                    assert_eq!([first.values, second.values].concat(), whole.values);
                    assert_eq!([first.targets, second.targets].concat(), whole.targets);
                    assert_eq!([first.digests, second.digests].concat(), whole.digests);
                    assert_eq!([first.labels, second.labels].concat(), whole.labels);
                }
                for ((targets, label), (own, other)) in
                    whole.targets.chunks(8).zip(&whole.labels).zip(own.into_iter().zip(others))
                {
                    let share = targets[own];
                    assert!((share + targets[other] - 1.0).abs() < 1e-6, "{targets:?}");
                    assert_eq!(*label as usize, if share >= 0.5 { own } else { other }, "the greater weight");
                    mixed += usize::from(share < 1.0);
                }
            }
            assert!(mixed > 50, "{mixed} of 100 samples are mixed");
        }
        // The images are mixed in the same pairs as the labels.
        let (images, config) = (images(), config(""));
        let plain = |indices: &[u32]| fill(&BatchReader::evaluation(&images, &config), indices, 0).0;
        let mixed = read("augment.mixup.alpha = 0.5", 0..5, 0);
        let share = mixed.targets[own[0]];
        assert!(share > 0.01 && share < 0.99, "{share}");
        let pairs = plain(&own.map(|index| index as u32)).into_iter().zip(plain(&others.map(|index| index as u32)));
        for (value, (own, other)) in mixed.values.iter().zip(pairs) {
            assert!((value - share * own - (1.0 - share) * other).abs() < 1e-5);
        }
    }

    #[test]
    fn normalised_values_are_those_of_torchvision() {
        let torchvision = torchvision_batches();
        let bytes = &torchvision["normalised/bytes"];
        let pixels = (0..169 * 3).map(|i| bytes[i % 3 * 169 + i / 3] as u8).collect();
        let images = Images::new(13, pixels, vec![0], vec![String::new()]);
        let config = config("mean = [0.4914, 0.4822, 0.4465]\nstd = [0.2471, 0.2435, 0.2616]");
        let (ours, _, _) = fill(&BatchReader::evaluation(&images, &config), &[0], 0);
        let theirs = &torchvision["normalised/values"];
        assert!(ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn digests_tell_mixtures_apart() {
        let digests = |augment| read(augment, 0..5, 3).digests;
        assert_eq!(digests(""), digests("augment.horizontal_flip = false"));
        assert_ne!(digests(""), digests("augment.mixup.alpha = 0.5"));
        assert_ne!(digests("augment.mixup.alpha = 0.6"), digests("augment.mixup.alpha = 0.5"));
    }

    #[test]
    fn a_digest_covers_values_and_label() {
        let digest_of = |values: &[f32], label: u32| digest(values, &label.to_le_bytes());
        let long: Vec<f32> = (0..3000).map(|i| i as f32).collect();
        let bytes: Vec<u8> = long.iter().flat_map(|v| v.to_le_bytes()).chain(9_u32.to_le_bytes()).collect();
        assert_eq!(digest_of(&long, 9), *blake3::hash(&bytes).as_bytes());
        assert_ne!(digest_of(&long, 9), digest_of(&long, 8));
        assert_ne!(digest_of(&[0.0], 0), digest_of(&[-0.0], 0), "the digest covers bits, not values");
    }

    #[test]
    fn half_of_the_images_are_mirrored() {
        let images = Images::new(
            2,
            [[0, 0, 0, 9, 9, 9, 0, 0, 0, 9, 9, 9]; 400].concat(),
            vec![0; 400],
            vec![String::new(); 400],
        );
        let config = config("augment.horizontal_flip = true\nmean = [0.0, 0.0, 0.0]");
        let (out, _, _) = fill(&BatchReader::training(&images, &config, 1), &(0..400).collect::<Vec<_>>(), 0);
        let mirrored = out.chunks(12).filter(|image| image[0] > image[1]).count();
        assert!((150..250).contains(&mirrored), "{mirrored} of 400");
    }
}
