//! Brings images to the size that the models read.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rayon::prelude::*;

use super::Images;
use super::images::{allocate, image_bytes};
use crate::error::Result;

/// Resizes RGB images with a bilinear filter that widens with the reduction (antialiased, as torchvision's `Resize`).
///
/// The vector instructions are chosen at run time; all of them round alike, in fixed-point arithmetic. The library is built for
/// four channels alone (with every pixel type it would take most of this crate's build time), so a fourth one is carried along.
pub(super) struct SquareResizer {
    size: u32,
    resizer: Resizer,
    options: ResizeOptions,
    source: Vec<u8>,
    target: Vec<u8>,
}

impl SquareResizer {
    /// A resizer to `size` x `size` pixels.
    pub(super) fn new(size: usize) -> Self {
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        let target = vec![0; 4 * size * size];
        Self { size: size as u32, resizer: Resizer::new(), options, source: Vec::new(), target }
    }

    /// Resizes `[height, width, 3]` into `[size, size, 3]`; the aspect ratio is not kept.
    ///
    /// # Panics
    ///
    /// If the slices do not have these sizes.
    pub(super) fn resize(&mut self, pixels: &[u8], [height, width]: [u32; 2], out: &mut [u8]) {
        assert_eq!(pixels.len(), 3 * width as usize * height as usize, "`pixels` is [height, width, 3]");
        assert_eq!(out.len() / 3, self.target.len() / 4, "`out` is [size, size, 3]");
        self.source.clear();
        self.source.extend(pixels.chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 0]));
        let source = ImageRef::new(width, height, &self.source, PixelType::U8x4).expect("four bytes a pixel");
        let mut target =
            Image::from_slice_u8(self.size, self.size, &mut self.target, PixelType::U8x4).expect("four bytes a pixel");
        self.resizer.resize(&source, &mut target, &self.options).expect("both are U8x4");
        for (rgb, rgbx) in out.chunks_exact_mut(3).zip(self.target.chunks_exact(4)) {
            rgb.copy_from_slice(&rgbx[..3]);
        }
    }
}

/// The same images at another size.
pub(super) fn resize_all(images: Images, size: usize) -> Result<Images> {
    if images.size() == size {
        return Ok(images);
    }
    let mut pixels = allocate(images.len(), size)?;
    let side = images.size() as u32;
    pixels.par_chunks_exact_mut(image_bytes(size)).enumerate().for_each_init(
        || SquareResizer::new(size),
        |resizer, (index, out)| resizer.resize(images.pixels(index), [side, side], out),
    );
    Ok(Images::new(size, pixels, images.labels().to_vec(), images.names().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_averages_with_the_widened_triangle() {
        // One row, black left half and white right half: at half the size, an output column is the triangle-weighted mean of
        // four inputs (weights 1/8, 3/8, 3/8, 1/8), renormalised where it leaves the image.
        let row = [0, 0, 0, 0, 255, 255, 255, 255];
        let image: Vec<u8> = (0..8).flat_map(|_| row).flat_map(|v| [v; 3]).collect();
        let mut out = vec![0; 4 * 4 * 3];
        SquareResizer::new(4).resize(&image, [8, 8], &mut out);
        let first_row: Vec<u8> = out.chunks(3).take(4).map(|rgb| rgb[0]).collect();
        assert_eq!(first_row, [0, 32, 223, 255]);
    }

    #[test]
    fn a_set_is_resized_image_by_image() {
        let pixels = [[10; 12], [200; 12]].concat();
        let images = Images::new(2, pixels, vec![0, 1], vec!["a".into(), "b".into()]);
        let larger = resize_all(images, 5).unwrap();
        assert_eq!((larger.len(), larger.size()), (2, 5));
        assert!(larger.pixels(0).iter().all(|&v| v == 10) && larger.pixels(1).iter().all(|&v| v == 200));
    }
}
