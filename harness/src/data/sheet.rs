//! Contact sheets: several images side by side in one picture.

use std::io::Cursor;

use image::imageops::{FilterType, overlay, resize};
use image::{ImageFormat, RgbImage};

use super::images::Images;

/// Encodes the images at these positions side by side as a PNG. Images with sides longer than `max_size` pixels are scaled down to
/// it.
///
/// # Errors
/// Fails if the sheet is wider than a PNG may be.
pub fn contact_sheet(images: &Images, positions: &[usize], max_size: u32) -> image::ImageResult<Vec<u8>> {
    let size = (images.size() as u32).min(max_size);
    let mut sheet = RgbImage::new(size * positions.len() as u32, size);
    for (column, position) in positions.iter().enumerate() {
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

    #[test]
    fn images_stand_side_by_side_and_large_ones_are_scaled_down() {
        let images = |size: usize| {
            let pixels = [[10; 3], [200; 3]].map(|rgb| rgb.repeat(size * size)).concat();
            Images::new(size, pixels, vec![0, 1], vec!["a".to_owned(), "b".to_owned()])
        };
        for (size, expected) in [(16, 16), (100, 64)] {
            let sheet = contact_sheet(&images(size), &[1, 0, 1], 64).unwrap();
            let sheet = image::load_from_memory(&sheet).unwrap().into_rgb8();
            assert_eq!(sheet.dimensions(), (3 * expected, expected));
            assert_eq!([0, expected, 2 * expected].map(|x| sheet.get_pixel(x, 5)[0]), [200, 10, 200]);
        }
    }
}
