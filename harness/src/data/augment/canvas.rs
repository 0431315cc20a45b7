//! An image during augmentation.

/// One image, `[3, size, size]`, and space for the result of a step.
pub(in crate::data) struct Canvas {
    pub(super) size: usize,
    pub(in crate::data) values: Vec<u8>,
    pub(super) spare: Vec<u8>,
    /// Space for one row.
    pub(super) row: Vec<f32>,
}

impl Canvas {
    pub(in crate::data) fn new(size: usize) -> Self {
        let values = vec![0; 3 * size * size];
        Self { size, spare: values.clone(), values, row: vec![0.0; size] }
    }

    /// Puts an image onto the canvas: `[size, size, 3]`, interleaved.
    pub(in crate::data) fn place(&mut self, pixels: &[u8]) {
        let (red, rest) = self.values.split_at_mut(self.size * self.size);
        let (green, blue) = rest.split_at_mut(self.size * self.size);
        for (((rgb, red), green), blue) in pixels.chunks_exact(3).zip(red).zip(green).zip(blue) {
            [*red, *green, *blue] = [rgb[0], rgb[1], rgb[2]];
        }
    }

    /// Red, green and blue.
    pub(super) fn planes(&self) -> [&[u8]; 3] {
        let (red, rest) = self.values.split_at(self.size * self.size);
        let (green, blue) = rest.split_at(self.size * self.size);
        [red, green, blue]
    }

    /// Red, green and blue.
    pub(super) fn planes_mut(&mut self) -> [&mut [u8]; 3] {
        let (red, rest) = self.values.split_at_mut(self.size * self.size);
        let (green, blue) = rest.split_at_mut(self.size * self.size);
        [red, green, blue]
    }
}
