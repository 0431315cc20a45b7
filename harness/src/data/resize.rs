//! Resizes images to the size that the models read.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::metadata::Orientation;
use image::{DynamicImage, GenericImageView, RgbImage};
use rayon::prelude::*;

use super::images::{Images, allocate, image_bytes};
use crate::error::Result;

/// Resizes RGB images with a bilinear filter whose width grows with the reduction (antialiased, like torchvision's `Resize`).
///
/// The library chooses vector instructions at run time; all of them use fixed-point arithmetic and round identically. It is built
/// for four channels only, because building every pixel type would take most of this crate's build time. So images carry an
/// unused fourth channel here.
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

    /// Resizes `[height, width, 3]` into `[size, size, 3]`, without keeping the aspect ratio.
    ///
    /// # Panics
    ///
    /// Panics if the slices do not have these sizes.
    pub(super) fn resize(&mut self, pixels: &[u8], [height, width]: [u32; 2], out: &mut [u8]) {
        assert_eq!(pixels.len(), 3 * width as usize * height as usize, "`pixels` is [height, width, 3]");
        assert_eq!(out.len() / 3, self.target.len() / 4, "`out` is [size, size, 3]");
        let mut buffer = std::mem::take(&mut self.target);
        let mut target =
            Image::from_slice_u8(self.size, self.size, &mut buffer, PixelType::U8x4).expect("four bytes a pixel");
        self.convert(pixels, [height, width], &mut target);
        drop(target);
        drop_fourth(&buffer, out);
        self.target = buffer;
    }
}

/// Images with more pixels than this are resized vertically in strips, to save memory.
const LARGE: u64 = 4 << 20;
/// Width of a strip, in pixels.
const STRIP: u32 = 256;

impl SquareResizer {
    /// Like [`resize`](Self::resize), for an image of any pixel type. A large image takes little extra memory: the vertical pass
    /// comes first and treats columns independently, so strips give the same result as the whole image.
    pub(super) fn resize_image(&mut self, image: DynamicImage, out: &mut [u8]) {
        let (width, height) = image.dimensions();
        if u64::from(width) * u64::from(height) <= LARGE {
            return self.resize(image.into_rgb8().as_raw(), [height, width], out);
        }
        let (size, row) = (self.size, 3 * width as usize);
        let mut squat = vec![0; row * size as usize];
        for left in (0..width).step_by(STRIP as usize) {
            let columns = STRIP.min(width - left);
            let strip = image.crop_imm(left, 0, columns, height).into_rgb8();
            let mut target = Image::new(columns, size, PixelType::U8x4);
            self.convert(strip.as_raw(), [height, columns], &mut target);
            let (from, count) = (3 * left as usize, 3 * columns as usize);
            for (to, pixels) in squat.chunks_exact_mut(row).zip(target.buffer().chunks_exact(4 * columns as usize)) {
                drop_fourth(pixels, &mut to[from..from + count]);
            }
        }
        drop(image);
        self.resize(&squat, [size, width], out);
    }

    /// Rotates or mirrors the resized image in place, as its EXIF orientation says.
    pub(super) fn turn(&self, orientation: Orientation, out: &mut [u8]) {
        if orientation == Orientation::NoTransforms {
            return;
        }
        let image = RgbImage::from_raw(self.size, self.size, out.to_vec()).expect("`out` is [size, size, 3]");
        let mut image = DynamicImage::from(image);
        image.apply_orientation(orientation);
        out.copy_from_slice(image.as_bytes());
    }

    /// Resizes `[height, width, 3]` into `target`.
    fn convert(&mut self, pixels: &[u8], [height, width]: [u32; 2], target: &mut Image<'_>) {
        self.source.clear();
        self.source.extend(pixels.chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 0]));
        let source = ImageRef::new(width, height, &self.source, PixelType::U8x4).expect("four bytes a pixel");
        self.resizer.resize(&source, target, &self.options).expect("both are U8x4");
    }
}

fn drop_fourth(rgbx: &[u8], rgb: &mut [u8]) {
    for (rgb, rgbx) in rgb.chunks_exact_mut(3).zip(rgbx.chunks_exact(4)) {
        rgb.copy_from_slice(&rgbx[..3]);
    }
}

/// Resizes all images to `size` x `size` pixels.
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
        // Every row is black on the left and white on the right. At half the size, an output column is the triangle-weighted
        // mean of four input columns (weights 1/8, 3/8, 3/8, 1/8), renormalised at the edges of the image.
        let row = [0, 0, 0, 0, 255, 255, 255, 255];
        let image: Vec<u8> = (0..8).flat_map(|_| row).flat_map(|v| [v; 3]).collect();
        let mut out = vec![0; 4 * 4 * 3];
        SquareResizer::new(4).resize(&image, [8, 8], &mut out);
        let first_row: Vec<u8> = out.chunks(3).take(4).map(|rgb| rgb[0]).collect();
        assert_eq!(first_row, [0, 32, 223, 255]);
    }

    #[test]
    fn a_large_image_comes_out_as_if_it_were_resized_in_one_piece() {
        let image =
            RgbImage::from_fn(2701, 1999, |x, y| image::Rgb([(x * y / 7) as u8, (x ^ y) as u8, (x / 3 + y) as u8]));
        for size in [32, 224] {
            let (mut whole, mut strips) = (vec![0; 3 * size * size], vec![0; 3 * size * size]);
            let mut resizer = SquareResizer::new(size);
            resizer.resize(image.as_raw(), [1999, 2701], &mut whole);
            resizer.resize_image(image.clone().into(), &mut strips);
            assert!(whole == strips, "{size}");
        }
    }

    #[test]
    fn turning_keeps_the_square() {
        // Red is on top; rotated clockwise by 90 degrees, it is on the right.
        let mut out = [[255, 0, 0], [255, 0, 0], [0, 0, 255], [0, 0, 255]].concat();
        SquareResizer::new(2).turn(Orientation::Rotate90, &mut out);
        assert_eq!(out, [[0, 0, 255], [255, 0, 0], [0, 0, 255], [255, 0, 0]].concat());
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
