//! Labelled images in memory.

use std::sync::Arc;

use memmap2::Mmap;

use crate::error::{Error, Result};

/// Decoded, labelled images of one size. Clones and selections share the pixels.
#[derive(Debug, Clone)]
pub struct Images {
    size: usize,
    block: Arc<Block>,
    /// Index of each image in the block.
    rows: Vec<u32>,
    labels: Vec<u32>,
    names: Vec<String>,
    /// Digests of the files that the images come from; empty unless every image has one.
    digests: Vec<blake3::Hash>,
}

/// The pixels of many images, one after the other.
#[derive(Debug)]
enum Block {
    Memory(Vec<u8>),
    /// A memory-mapped file from byte `start` on. Pages are read on first access and shared between processes.
    File {
        map: Mmap,
        start: usize,
    },
}

impl Block {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::File { map, start } => &map[*start..],
        }
    }
}

impl Images {
    /// Combines `pixels` (`[n, size, size, 3]`, interleaved RGB) with one label and one name per image.
    ///
    /// # Panics
    ///
    /// Panics if the three are not for the same number of images.
    pub fn new(size: usize, pixels: Vec<u8>, labels: Vec<u32>, names: Vec<String>) -> Self {
        Self::of_block(size, Block::Memory(pixels), labels, names)
    }

    /// Like [`new`](Self::new), with the pixels in a file, from byte `start` to its end.
    pub(super) fn mapped(size: usize, map: Mmap, start: usize, labels: Vec<u32>, names: Vec<String>) -> Self {
        Self::of_block(size, Block::File { map, start }, labels, names)
    }

    fn of_block(size: usize, block: Block, labels: Vec<u32>, names: Vec<String>) -> Self {
        let count = labels.len();
        assert_eq!(block.bytes().len(), count * image_bytes(size), "pixels of {count} images of size {size}");
        assert_eq!(count, names.len(), "labels and names");
        Self { size, block: Arc::new(block), rows: (0..count as u32).collect(), labels, names, digests: Vec::new() }
    }

    /// The same images with the digests of their files.
    ///
    /// # Panics
    ///
    /// Panics if there is not one digest for each image.
    pub(super) fn with_digests(self, digests: Vec<blake3::Hash>) -> Self {
        assert_eq!(digests.len(), self.len(), "digests");
        Self { digests, ..self }
    }

    /// An empty set of images of this size.
    pub fn empty(size: usize) -> Self {
        Self::new(size, Vec::new(), Vec::new(), Vec::new())
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
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
    /// Panics if there is no image at this index.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let bytes = image_bytes(self.size);
        let start = self.rows[index] as usize * bytes;
        &self.block.bytes()[start..start + bytes]
    }

    /// The class of every image, an index into [`Dataset::classes`](super::Dataset::classes).
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The name of every image in its source: `test/00042`, or the path of a file relative to the dataset's folder.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// BLAKE3 digests of the files that the images come from, in the order of the images; empty if they do not come from files of their
    /// own.
    pub fn digests(&self) -> &[blake3::Hash] {
        &self.digests
    }

    /// Selects the images at these indices, in this order.
    pub(super) fn select(&self, indices: &[usize]) -> Self {
        let digest = |&i: &usize| self.digests.get(i).copied();
        Self {
            size: self.size,
            block: self.block.clone(),
            rows: indices.iter().map(|&i| self.rows[i]).collect(),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            names: indices.iter().map(|&i| self.names[i].clone()).collect(),
            digests: indices.iter().filter_map(digest).collect(),
        }
    }
}

impl PartialEq for Images {
    fn eq(&self, other: &Self) -> bool {
        let heads = |images: &Self| (images.size, images.labels.clone(), images.names.clone());
        heads(self) == heads(other) && (0..self.len()).all(|index| self.pixels(index) == other.pixels(index))
    }
}

/// Number of bytes of one image.
pub(super) fn image_bytes(size: usize) -> usize {
    size * size * 3
}

/// Allocates zeroed memory for the pixels of `n` images of this size. Fails if there is not enough memory.
pub(super) fn allocate(n: usize, size: usize) -> Result<Vec<u8>> {
    let mut pixels = Vec::new();
    let bytes = n.checked_mul(image_bytes(size));
    if bytes.is_none_or(|bytes| pixels.try_reserve_exact(bytes).is_err()) {
        let gib = n as f64 * image_bytes(size) as f64 / f64::from(1 << 30);
        let problem = format!("{n} images of {size}x{size} pixels do not fit into memory ({gib:.1} GiB)");
        return Err(Error::input("data.image_size", problem, "reduce it, or set data.train_limit and data.test_limit"));
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
    fn select_gives_the_order_asked_for() {
        let chosen = three().select(&[2, 0]);
        assert_eq!(chosen.labels(), [9, 7]);
        assert_eq!(chosen.names(), ["c", "a"]);
        assert_eq!([chosen.pixels(0)[0], chosen.pixels(1)[11]], [3, 1]);
    }

    #[test]
    fn a_selection_of_a_selection_is_one_of_the_whole() {
        let chosen = three().select(&[2, 0, 1]).select(&[1, 2]);
        assert_eq!(chosen, three().select(&[0, 1]));
        assert_ne!(chosen, three().select(&[1, 0]));
        assert_eq!(three().select(&[]), Images::empty(2));
    }

    #[test]
    fn more_memory_than_there_can_be_is_an_error() {
        let error = allocate(usize::MAX / 1000, 100).unwrap_err().to_string();
        assert!(error.contains("do not fit into memory"), "{error}");
        assert_eq!(allocate(2, 3).unwrap(), vec![0; 54]);
    }
}
