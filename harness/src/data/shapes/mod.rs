//! The built-in dataset of generated geometric figures, so that a first comparison needs no files.
//!
//! Each of the ten classes is one figure, drawn at a random position, size, angle and colour, on a gradient or stripes, among small
//! clutter, with noise. An image is a pure function of its split and index. The arithmetic uses only IEEE additions,
//! multiplications, divisions and square roots, so every machine draws the same bits.

mod figure;
mod scene;

use layers::random::{Purpose, stream};
use rayon::prelude::*;

use self::figure::Figure;
use self::scene::Scene;
use super::dataset::Source;
use super::images::{Images, allocate, image_bytes};
use crate::config::data::DataConfig;
use crate::error::Result;

const DEFAULT_TRAIN: usize = 5_000;
const DEFAULT_TEST: usize = 1_000;

/// Number of training and of test images.
pub(super) fn counts(config: &DataConfig) -> [usize; 2] {
    [config.train_limit.unwrap_or(DEFAULT_TRAIN), config.test_limit.unwrap_or(DEFAULT_TEST)]
}

/// Generates both splits. Their sizes are the config's limits.
pub(super) fn generate(config: &DataConfig) -> Result<Source> {
    let [train, test] = counts(config);
    Ok(Source {
        classes: Figure::ALL.iter().map(|figure| figure.name().to_owned()).collect(),
        train: split("train", 0, train, config.image_size)?,
        val: None,
        test: split("test", 1, test, config.image_size)?,
        excluded: Vec::new(),
    })
}

/// The first `n` images of a split. The classes alternate, so they are balanced.
fn split(name: &str, number: u64, n: usize, size: usize) -> Result<Images> {
    let mut pixels = allocate(n, size)?;
    pixels.par_chunks_exact_mut(image_bytes(size)).enumerate().for_each(|(index, out)| {
        let mut rng = stream(Purpose::Shapes, [number, index as u64, 0]);
        Scene::random(Figure::ALL[index % Figure::ALL.len()], &mut rng).draw(size, &mut rng, out);
    });
    let labels = (0..n).map(|index| (index % Figure::ALL.len()) as u32).collect();
    let names = (0..n).map(|index| format!("{name}/{index:05}")).collect();
    Ok(Images::new(size, pixels, labels, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_balanced() {
        let images = split("train", 0, 200, 16).unwrap();
        for class in 0..10 {
            assert_eq!(images.labels().iter().filter(|&&label| label == class).count(), 20);
        }
    }

    #[test]
    fn an_image_depends_on_split_and_index_alone() {
        let few = split("train", 0, 15, 32).unwrap();
        let more = split("train", 0, 40, 32).unwrap();
        assert_eq!(few, more.select(&(0..15).collect::<Vec<_>>()));
        let test = split("test", 1, 15, 32).unwrap();
        assert!((0..15).all(|i| test.pixels(i) != few.pixels(i)));
    }

    #[test]
    fn no_two_images_are_alike() {
        let images = split("train", 0, 300, 16).unwrap();
        let distinct: std::collections::HashSet<&[u8]> = (0..300).map(|i| images.pixels(i)).collect();
        assert_eq!(distinct.len(), 300);
    }
}
