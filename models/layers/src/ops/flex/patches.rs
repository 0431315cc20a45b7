//! Cuts images into patches. Burn's reshape and permutation gather a copy value by value; this reads contiguous runs of a row.

use std::mem::MaybeUninit;

use burn::backend::TensorMetadata;
use burn::backend::flex::FlexTensor;

use super::tensor::{contiguous, filled, from_values, values};

/// `[b, c, h, w]` to `[b, (h / size) * (w / size), size * size * c]`.
pub(super) fn forward(images: FlexTensor, size: usize) -> FlexTensor {
    let [b, c, h, w] = images.shape().dims();
    let images = contiguous(images);
    let cut = |patches: &mut [MaybeUninit<f32>]| {
        for (image, patches) in values(&images).chunks_exact(c * h * w).zip(patches.chunks_exact_mut(c * h * w)) {
            cut_image(image, [c, h, w], size, patches);
        }
    };
    // SAFETY: the patches of an image have as many values as the image, and `cut_image` writes all of them.
    let patches = unsafe { filled(b * c * h * w, cut) };
    from_values(patches, [b, (h / size) * (w / size), size * size * c])
}

/// Writes every value of `patches`.
fn cut_image(image: &[f32], [c, h, w]: [usize; 3], size: usize, patches: &mut [MaybeUninit<f32>]) {
    let mut runs = patches.chunks_exact_mut(size * c);
    for top in (0..h).step_by(size) {
        for left in (0..w).step_by(size) {
            for y in top..top + size {
                let run = runs.next().expect("as many runs as the image has");
                if c == 3 {
                    let [red, green, blue] = [0, 1, 2].map(|channel| &image[(channel * h + y) * w + left..][..size]);
                    for (((rgb, red), green), blue) in run.chunks_exact_mut(3).zip(red).zip(green).zip(blue) {
                        rgb[0].write(*red);
                        rgb[1].write(*green);
                        rgb[2].write(*blue);
                    }
                } else {
                    for channel in 0..c {
                        let source = &image[(channel * h + y) * w + left..][..size];
                        for (value, source) in run[channel..].iter_mut().step_by(c).zip(source) {
                            value.write(*source);
                        }
                    }
                }
            }
        }
    }
}
