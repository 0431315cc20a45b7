//! Pictures of test images that a run keeps for its report, which has no other way to them.

use std::io::Cursor;

use image::imageops::{FilterType, overlay, resize};
use image::{ImageFormat, RgbImage};

use super::evaluate::Prediction;
use super::run::RunContext;
use crate::data::Images;
use crate::error::{Error, Result};
use crate::results::KeptImage;

/// How many pictures a run keeps.
const COUNT: usize = 24;

/// Their greatest height and width, in pixels.
const SIZE: u32 = 64;

/// Keeps pictures of the test images that the run was most sure of and wrong, unless the config says no.
pub(super) fn keep_images(context: &RunContext<'_>, predictions: &[Prediction]) -> Result<()> {
    let images = &context.dataset.test;
    let kept = most_sure_and_wrong(images.labels(), predictions);
    if !context.config.data.keeps_images() || kept.is_empty() {
        return Ok(());
    }
    let record = |position: &usize| KeptImage { position: *position, image: images.names()[*position].clone() };
    let png = sheet(images, &kept).map_err(|error| {
        Error::io("encode", &context.folder.path().join("images.png"))(std::io::Error::other(error))
    })?;
    context.folder.write_images(&kept.iter().map(record).collect::<Vec<_>>(), &png)
}

/// Positions of wrong predictions, the surest first; equally sure ones in their order.
fn most_sure_and_wrong(labels: &[u32], predictions: &[Prediction]) -> Vec<usize> {
    let is_wrong = |position: &usize| predictions[*position].class != labels[*position] as usize;
    let mut wrong: Vec<usize> = (0..predictions.len()).filter(is_wrong).collect();
    wrong.sort_by(|a, b| predictions[*b].probability.total_cmp(&predictions[*a].probability));
    wrong.truncate(COUNT);
    wrong
}

/// The pictures side by side, as PNG.
fn sheet(images: &Images, kept: &[usize]) -> image::ImageResult<Vec<u8>> {
    let size = (images.size() as u32).min(SIZE);
    let mut sheet = RgbImage::new(size * kept.len() as u32, size);
    for (column, position) in kept.iter().enumerate() {
        let side = images.size() as u32;
        let picture = RgbImage::from_raw(side, side, images.pixels(*position).to_vec());
        let picture = picture.expect("an image has the pixels of its size");
        let picture = if side > size { resize(&picture, size, size, FilterType::Triangle) } else { picture };
        overlay(&mut sheet, &picture, (column as u32 * size).into(), 0);
    }
    let mut png = Cursor::new(Vec::new());
    sheet.write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(class: usize, probability: f32) -> Prediction {
        Prediction { class, probability, label_probability: 0.0, top5: Vec::new() }
    }

    #[test]
    fn the_surest_mistakes_come_first() {
        let predictions = [prediction(0, 0.9), prediction(1, 0.5), prediction(1, 0.7), prediction(1, 0.7)];
        assert_eq!(most_sure_and_wrong(&[0, 0, 0, 2], &predictions), [2, 3, 1]);
        assert_eq!(most_sure_and_wrong(&[1; 30], &vec![prediction(0, 0.5); 30]), (0..COUNT).collect::<Vec<_>>());
    }

    #[test]
    fn pictures_stand_side_by_side_and_large_ones_are_made_smaller() {
        let images = |size: usize| {
            let pixels = [[10; 3], [200; 3]].map(|rgb| rgb.repeat(size * size)).concat();
            Images::new(size, pixels, vec![0, 1], vec!["a".to_owned(), "b".to_owned()])
        };
        for (size, expected) in [(16, 16), (100, 64)] {
            let sheet = image::load_from_memory(&sheet(&images(size), &[1, 0, 1]).unwrap()).unwrap().into_rgb8();
            assert_eq!(sheet.dimensions(), (3 * expected, expected));
            assert_eq!([0, expected, 2 * expected].map(|x| sheet.get_pixel(x, 5)[0]), [200, 10, 200]);
        }
    }
}
