//! Labelled images in memory.

use crate::error::{Error, Result};

/// Labelled images of one size, decoded, in one block of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    size: usize,
    pixels: Vec<u8>,
    labels: Vec<u32>,
    names: Vec<String>,
}

impl Images {
    /// Puts together `pixels` (`[n, size, size, 3]`, interleaved RGB), one label and one name per image.
    ///
    /// # Panics
    ///
    /// If the three do not speak of the same number of images.
    pub fn new(size: usize, pixels: Vec<u8>, labels: Vec<u32>, names: Vec<String>) -> Self {
        assert_eq!(pixels.len(), labels.len() * size * size * 3, "pixels of {} images of size {size}", labels.len());
        assert_eq!(labels.len(), names.len(), "labels and names");
        Self { size, pixels, labels, names }
    }

    /// No images of this size.
    pub fn empty(size: usize) -> Self {
        Self { size, pixels: Vec::new(), labels: Vec::new(), names: Vec::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height and width of every image, in pixels.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The pixels of one image: `[size, size, 3]`, interleaved RGB.
    ///
    /// # Panics
    ///
    /// If there is no image of this index.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let bytes = image_bytes(self.size);
        &self.pixels[index * bytes..(index + 1) * bytes]
    }

    /// The pixels of all images: `[n, size, size, 3]`.
    pub fn all_pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The class of every image, an index into [`Dataset::classes`](super::Dataset::classes).
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// What every image is called in its source: `test/00042`, or a file's path relative to the folder.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Copies the images of these indices, in their order.
    pub(super) fn select(&self, indices: &[usize]) -> Self {
        Self {
            size: self.size,
            pixels: indices.iter().flat_map(|&i| self.pixels(i)).copied().collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            names: indices.iter().map(|&i| self.names[i].clone()).collect(),
        }
    }

    /// Drops all images but those of these ascending indices, in place: a copy of a large set might not fit into memory.
    pub(super) fn keep(&mut self, indices: &[usize]) {
        let bytes = image_bytes(self.size);
        for (to, &from) in indices.iter().enumerate() {
            debug_assert!(from >= to, "indices are ascending and distinct");
            self.pixels.copy_within(from * bytes..(from + 1) * bytes, to * bytes);
            self.labels[to] = self.labels[from];
            self.names.swap(to, from);
        }
        self.pixels.truncate(indices.len() * bytes);
        self.pixels.shrink_to_fit();
        self.labels.truncate(indices.len());
        self.names.truncate(indices.len());
    }
}

/// Bytes of one image.
pub(super) fn image_bytes(size: usize) -> usize {
    size * size * 3
}

/// Room for the pixels of `n` images of this size, zeroed; an error if there is not so much memory.
pub(super) fn allocate(n: usize, size: usize) -> Result<Vec<u8>> {
    let mut pixels = Vec::new();
    let bytes = n.checked_mul(image_bytes(size));
    if bytes.is_none_or(|bytes| pixels.try_reserve_exact(bytes).is_err()) {
        let gib = n as f64 * image_bytes(size) as f64 / f64::from(1 << 30);
        let problem = format!("{n} images of {size}x{size} pixels do not fit into memory ({gib:.1} GiB)");
        return Err(Error::input("data.image_size", problem, "lower it, or set data.train_limit and data.test_limit"));
    }
    pixels.resize(n * image_bytes(size), 0);
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Images {
        let pixels = [[1; 12], [2; 12], [3; 12]].concat();
        Images::new(2, pixels, vec![7, 8, 9], ["a", "b", "c"].map(String::from).to_vec())
    }

    #[test]
    fn select_copies_in_the_order_asked_for() {
        let chosen = three().select(&[2, 0]);
        assert_eq!(chosen.labels(), [9, 7]);
        assert_eq!(chosen.names(), ["c", "a"]);
        assert_eq!([chosen.pixels(0)[0], chosen.pixels(1)[11]], [3, 1]);
    }

    #[test]
    fn keep_is_select_in_place() {
        for indices in [vec![], vec![0], vec![1, 2], vec![0, 2], vec![0, 1, 2]] {
            let mut kept = three();
            kept.keep(&indices);
            assert_eq!(kept, three().select(&indices), "{indices:?}");
        }
    }

    #[test]
    fn more_memory_than_there_can_be_is_an_error() {
        let error = allocate(usize::MAX / 1000, 100).unwrap_err().to_string();
        assert!(error.contains("do not fit into memory"), "{error}");
        assert_eq!(allocate(2, 3).unwrap(), vec![0; 54]);
    }
}
