//! Flips, and affine transforms with nearest-neighbour sampling.

use super::canvas::Canvas;

pub(super) fn flip(canvas: &mut Canvas) {
    let size = canvas.size;
    for row in canvas.values.chunks_exact_mut(size) {
        row.reverse();
    }
}

/// Maps a pixel of the result to its position in the source, both relative to the centre of the image: `x a + y b + c`,
/// `x d + y e + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Affine {
    rows: [[f64; 3]; 2],
}

impl Affine {
    /// Shifts every row sideways in proportion to its distance from the top of the image.
    pub(super) fn shear_x(amount: f64, size: usize) -> Self {
        Self { rows: [[1.0, amount, amount * size as f64 / 2.0], [0.0, 1.0, 0.0]] }
    }

    /// Shifts every column up or down in proportion to its distance from the left edge of the image.
    pub(super) fn shear_y(amount: f64, size: usize) -> Self {
        Self { rows: [[1.0, 0.0, 0.0], [amount, 1.0, amount * size as f64 / 2.0]] }
    }

    /// Moves the image right and down by whole pixels.
    pub(super) fn translate(x: f64, y: f64) -> Self {
        Self { rows: [[1.0, 0.0, -x.trunc()], [0.0, 1.0, -y.trunc()]] }
    }

    /// Rotates the image counterclockwise around its centre.
    pub(super) fn rotate(degrees: f64) -> Self {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Self { rows: [[cos, -sin, 0.0], [sin, cos, 0.0]] }
    }

    /// Transforms the image. Pixels from outside the image become black.
    pub(super) fn apply(self, canvas: &mut Canvas) {
        let Canvas { size, values, spare, .. } = canvas;
        let size = *size;
        let middle = (size as f64 - 1.0) / 2.0;
        let plane = size * size;
        for y in 0..size {
            for x in 0..size {
                let (from_x, from_y) = (x as f64 - middle, y as f64 - middle);
                let place = self.rows.map(|[a, b, c]| nearest(a * from_x + b * from_y + c + middle, size));
                let target = y * size + x;
                for channel in 0..3 {
                    spare[channel * plane + target] = match place {
                        [Some(x), Some(y)] => values[channel * plane + y * size + x],
                        _ => 0,
                    };
                }
            }
        }
        std::mem::swap(values, spare);
    }
}

/// The nearest pixel, with ties to the even one, or `None` outside the image.
fn nearest(place: f64, size: usize) -> Option<usize> {
    // In the range of image sizes the addition rounds to an integer, because the last bit of the sum is worth one.
    const TWO_TO_52: f64 = 4_503_599_627_370_496.0;
    if place < -0.5 {
        return None;
    }
    let rounded = (place + TWO_TO_52 - TWO_TO_52) as usize;
    (rounded < size).then_some(rounded)
}
