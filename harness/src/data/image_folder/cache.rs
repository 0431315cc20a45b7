//! Decoded images on disk, so that a folder is decoded once and not for every run of a plan.
//!
//! A file is named by the digest of everything that its pixels depend on: the content of the images in their order, the size that
//! they are brought to, and the version of this format, which changes with the decoder as well. So it never goes stale. It holds
//! a head (magic, size, count, digest of the pixels) and the pixels, is written beside its place and renamed into it, and what
//! is not whole is made again. Without room for it, things go on as without a cache.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

use super::decode::{decode_all, relative};
use super::listing::Listing;
use crate::data::Images;
use crate::data::images::image_bytes;
use crate::error::{Error, Result};

/// To be changed whenever the same files would become other pixels.
const MAGIC: &[u8; 32] = b"vitbench decoded images, form 1\n";
/// Magic, image size, number of images, digest.
const HEAD: usize = 32 + 8 + 8 + 32;

/// The images of a listing, decoded and brought to `size` x `size` pixels; from the folder `cache` if they are there, and into it
/// if not. Names are the paths relative to `root`.
///
/// # Errors
/// If a file cannot be read or decoded.
pub(super) fn decoded(root: &Path, listing: Listing, size: usize, cache: Option<&Path>) -> Result<Images> {
    let Listing { paths, labels } = listing;
    let names = paths.iter().map(|path| relative(root, path)).collect();
    let Some(cache) = cache else {
        return Ok(Images::new(size, decode_all(root, &paths, size)?, labels, names));
    };
    let path = cache.join(format!("{}.pixels", key(&paths, size)?.to_hex()));
    if let Some(map) = open(&path, size, paths.len()) {
        return Ok(Images::mapped(size, map, HEAD, labels, names));
    }
    let pixels = decode_all(root, &paths, size)?;
    // Nothing is lost but time if there is no room.
    let _ = write(&path, size, paths.len(), &pixels);
    Ok(Images::new(size, pixels, labels, names))
}

/// Digest of what the pixels depend on.
fn key(paths: &[PathBuf], size: usize) -> Result<blake3::Hash> {
    let digests: Vec<blake3::Hash> = paths
        .par_iter()
        .map(|path| fs::read(path).map(|bytes| blake3::hash(&bytes)).map_err(Error::io("read", path)))
        .collect::<Result<_>>()?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(MAGIC).update(&(size as u64).to_le_bytes());
    for digest in &digests {
        hasher.update(digest.as_bytes());
    }
    Ok(hasher.finalize())
}

/// The file as a map of memory, if it is there, whole, and what it says it is.
fn open(path: &Path, size: usize, count: usize) -> Option<Mmap> {
    let mut file = File::open(path).ok()?;
    let mut head = [0; HEAD];
    file.read_exact(&mut head).ok()?;
    let expected_length = HEAD + count.checked_mul(image_bytes(size))?;
    if file.metadata().ok()?.len() != expected_length as u64 || expected_length == HEAD {
        return None;
    }
    // SAFETY: the map is read only. Files of this folder are never changed in place: they are renamed into it when complete, and
    // replaced in the same way. Who edits one by hand while it is read may see other pixels.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    (head == self::head(size, count, &map[HEAD..])).then_some(map)
}

fn head(size: usize, count: usize, pixels: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..32].copy_from_slice(MAGIC);
    head[32..40].copy_from_slice(&(size as u64).to_le_bytes());
    head[40..48].copy_from_slice(&(count as u64).to_le_bytes());
    head[48..].copy_from_slice(blake3::hash(pixels).as_bytes());
    head
}

fn write(path: &Path, size: usize, count: usize, pixels: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().expect("the path was joined to a folder");
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
    file.write_all(&head(size, count, pixels))?;
    file.write_all(pixels)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// Three small images in a folder, and a cache beside it.
    fn folder() -> (TempDir, Listing) {
        let dir = TempDir::new().unwrap();
        let mut listing = Listing::default();
        for index in 0..3_u8 {
            let path = dir.path().join(format!("{index}.png"));
            image::RgbImage::from_fn(9, 7, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, index])).save(&path).unwrap();
            listing.paths.push(path);
            listing.labels.push(u32::from(index));
        }
        (dir, listing)
    }

    fn load(dir: &TempDir, listing: &Listing, size: usize) -> Images {
        decoded(dir.path(), listing.clone(), size, Some(&dir.path().join("cache"))).unwrap()
    }

    fn cached(dir: &TempDir) -> Vec<PathBuf> {
        let entries = fs::read_dir(dir.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
        let mut paths: Vec<_> = entries.collect();
        paths.sort();
        paths
    }

    #[test]
    fn what_comes_out_of_the_cache_is_what_was_decoded() {
        let (dir, listing) = folder();
        let plain = decoded(dir.path(), listing.clone(), 5, None).unwrap();
        assert_eq!(load(&dir, &listing, 5), plain);
        assert_eq!(cached(&dir).len(), 1);
        let written = fs::metadata(&cached(&dir)[0]).unwrap().modified().unwrap();
        assert_eq!(load(&dir, &listing, 5), plain);
        assert_eq!(plain.names(), ["0.png", "1.png", "2.png"]);
        assert_eq!(fs::metadata(&cached(&dir)[0]).unwrap().modified().unwrap(), written, "it was read, not made again");
    }

    #[test]
    fn other_content_order_or_size_is_another_file() {
        let (dir, listing) = folder();
        load(&dir, &listing, 5);
        load(&dir, &listing, 6);
        assert_eq!(cached(&dir).len(), 2);
        let mut turned = listing.clone();
        turned.paths.swap(0, 1);
        assert_eq!(load(&dir, &turned, 5).pixels(0), load(&dir, &listing, 5).pixels(1));
        assert_eq!(cached(&dir).len(), 3);
        image::RgbImage::new(9, 7).save(&listing.paths[0]).unwrap();
        assert!(load(&dir, &listing, 5).pixels(0).iter().all(|value| *value == 0));
        assert_eq!(cached(&dir).len(), 4);
    }

    #[test]
    fn a_damaged_file_is_made_again() {
        let (dir, listing) = folder();
        let plain = load(&dir, &listing, 5);
        let path = cached(&dir).remove(0);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[HEAD + 7] ^= 1;
        let longer = [whole.as_slice(), b"x"].concat();
        for damaged in [&whole[..whole.len() - 1], &whole[..HEAD], &whole[..3], b"", &flipped, &longer] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(load(&dir, &listing, 5), plain);
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn without_room_things_go_on() {
        let (dir, listing) = folder();
        fs::write(dir.path().join("cache"), "a file where the folder would be").unwrap();
        assert_eq!(load(&dir, &listing, 5).len(), 3);
    }
}
