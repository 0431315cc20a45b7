//! The image that augmentation steps work on.

/// An image `[3, size, size]`, and a buffer for the output of a step.
pub(in crate::data) struct Canvas {
    pub(super) size: usize,
    pub(in crate::data) values: Vec<u8>,
    pub(super) spare: Vec<u8>,
    /// Buffer for a row interpolated between two rows.
    pub(super) row: Vec<f32>,
}

impl Canvas {
    pub(in crate::data) fn new(size: usize) -> Self {
        let values = vec![0; 3 * size * size];
        Self { size, spare: values.clone(), values, row: vec![0.0; size] }
    }

    /// Copies an interleaved image `[size, size, 3]` onto the canvas.
    pub(in crate::data) fn place(&mut self, pixels: &[u8]) {
        let (red, rest) = self.values.split_at_mut(self.size * self.size);
        let (green, blue) = rest.split_at_mut(self.size * self.size);
        for (((rgb, red), green), blue) in pixels.chunks_exact(3).zip(red).zip(green).zip(blue) {
            [*red, *green, *blue] = [rgb[0], rgb[1], rgb[2]];
        }
    }

    /// The red, green and blue plane.
    pub(super) fn planes(&self) -> [&[u8]; 3] {
        let (red, rest) = self.values.split_at(self.size * self.size);
        let (green, blue) = rest.split_at(self.size * self.size);
        [red, green, blue]
    }

    /// The red, green and blue plane, mutable.
    pub(super) fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (red, rest) = self.values.split_at_mut(self.size * self.size);
        let (green, blue) = rest.split_at_mut(self.size * self.size);
        [red, green, blue]
    }
}
