//! Caches decoded images on disk, so that a folder is decoded once rather than for every run of a plan.
//!
//! A cache file is named by the digest of everything that its pixels depend on: the contents of the images in order, the size they
//! are resized to, and the version of this format, which also changes with the decoder. So it never goes stale. It holds a header
//! (magic, size, count, digest of the rest), the files that could not be decoded with their reasons, and the pixels. It is written to
//! a temporary file and then renamed. A damaged cache file is written again. If the disk is full, loading works without a cache.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use rayon::prelude::*;

use super::bad_files::{Decoded, decode_all, without_bad};
use super::decode::{read, relative};
use super::listing::Listing;
use crate::config::data::OnBadFile;
use crate::data::dataset::BadFile;
use crate::data::images::{Images, image_bytes};
use crate::error::Result;

/// Must change whenever the same files would decode to different pixels.
const MAGIC: &[u8; 32] = b"vitbench decoded images, form 2\n";
/// Magic, image size, number of images, length of the list of bad files, digest of that list and the pixels.
const HEAD: usize = 32 + 8 + 8 + 8 + 32;

/// The files that could not be decoded: index in the listing, and reason.
type Bad = Vec<(usize, String)>;

/// Decodes the images of a listing and resizes them to `size` x `size` pixels, or reads them from the folder `cache` if they are
/// there. Freshly decoded images are written to the cache. Image names are paths relative to `root`. Also returns the files that were
/// left out.
///
/// # Errors
/// Fails if a file cannot be read or decoded, unless the config leaves such files out.
pub(super) fn decoded(
    root: &Path,
    listing: Listing,
    size: usize,
    on_bad_file: OnBadFile,
    cache: Option<&Path>,
) -> Result<(Images, Vec<BadFile>)> {
    let digests = digests(&listing.paths);
    let path = cache.map(|cache| cache.join(format!("{}.pixels", key(&digests, size).to_hex())));
    let count = listing.paths.len();
    let cached = path.as_deref().and_then(|path| open(path, size, count));
    let (bad, block) = match cached {
        Some((bad, map, start)) => (bad, Block::Mapped(map, start)),
        None => {
            let Decoded { pixels, bad } = decode_all(&listing, size)?;
            (bad, Block::Decoded(pixels))
        }
    };
    let (good, left_out) = without_bad(root, &listing, &bad, on_bad_file)?;
    if let (Block::Decoded(pixels), Some(path)) = (&block, path) {
        // A failed write, such as on a full disk, only costs time.
        let _ = write(&path, size, count, &bad, pixels);
    }
    let names = listing.paths.iter().map(|path| relative(root, path)).collect();
    let images = match block {
        Block::Mapped(map, start) => Images::mapped(size, map, start, listing.labels, names),
        Block::Decoded(pixels) => Images::new(size, pixels, listing.labels, names),
    };
    let images = images.with_digests(digests);
    Ok((if left_out.is_empty() { images } else { images.select(&good) }, left_out))
}

/// Where the pixels are: in a memory-mapped file from an offset on, or in memory.
enum Block {
    Mapped(Mmap, usize),
    Decoded(Vec<u8>),
}

/// Digests of the contents of files. For a file that cannot be read, the reason is hashed instead.
fn digests(paths: &[PathBuf]) -> Vec<blake3::Hash> {
    let digest = |path: &PathBuf| match read(path) {
        Ok(content) => blake3::hash(&content.bytes),
        Err(reason) => blake3::hash(reason.as_bytes()),
    };
    paths.par_iter().map(digest).collect()
}

/// Digest of everything that the pixels depend on.
fn key(digests: &[blake3::Hash], size: usize) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(MAGIC).update(&(size as u64).to_le_bytes());
    for digest in digests {
        hasher.update(digest.as_bytes());
    }
    hasher.finalize()
}

/// Opens a cache file. Returns the bad files, the memory map of the file, and the offset of the pixels in it, or `None` if the file
/// does not exist or is not intact.
#[expect(
    unsafe_code,
    reason = "a memory map is safe only while nobody changes the file, which the compiler cannot check"
)]
fn open(path: &Path, size: usize, count: usize) -> Option<(Bad, Mmap, usize)> {
    let mut file = File::open(path).ok()?;
    let mut head = [0; HEAD];
    file.read_exact(&mut head).ok()?;
    let list_bytes = usize::try_from(u64::from_le_bytes(head[48..56].try_into().ok()?)).ok()?;
    let start = HEAD.checked_add(list_bytes)?;
    let expected_length = start.checked_add(count.checked_mul(image_bytes(size))?)?;
    if file.metadata().ok()?.len() != expected_length as u64 || expected_length == start {
        return None;
    }
    // SAFETY: the map is read-only. This program never changes a cache file in place: it renames complete files into the folder,
    // and replaces them in the same way. If a user edits one by hand while it is in use, its pixels may change.
    let map = unsafe { Mmap::map(&file) }.ok()?;
    if head != self::head(size, count, &map[HEAD..start], &map[start..]) {
        return None;
    }
    let bad: Bad = serde_json::from_slice(&map[HEAD..start]).ok()?;
    bad.iter().all(|(place, _)| *place < count).then_some((bad, map, start))
}

fn head(size: usize, count: usize, list: &[u8], pixels: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..32].copy_from_slice(MAGIC);
    head[32..40].copy_from_slice(&(size as u64).to_le_bytes());
    head[40..48].copy_from_slice(&(count as u64).to_le_bytes());
    head[48..56].copy_from_slice(&(list.len() as u64).to_le_bytes());
    head[56..].copy_from_slice(blake3::Hasher::new().update(list).update(pixels).finalize().as_bytes());
    head
}

fn write(path: &Path, size: usize, count: usize, bad: &Bad, pixels: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().expect("the path was joined to a folder");
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".writing-").tempfile_in(folder)?;
    let list = serde_json::to_vec(bad)?;
    file.write_all(&head(size, count, &list, pixels))?;
    file.write_all(&list)?;
    file.write_all(pixels)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// A folder with three small images and a place for the cache.
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
        decoded(dir.path(), listing.clone(), size, OnBadFile::Error, Some(&dir.path().join("cache"))).unwrap().0
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
        let plain = decoded(dir.path(), listing.clone(), 5, OnBadFile::Error, None).unwrap().0;
        assert_eq!(load(&dir, &listing, 5), plain);
        assert_eq!(cached(&dir).len(), 1);
        let written = fs::metadata(&cached(&dir)[0]).unwrap().modified().unwrap();
        assert_eq!(load(&dir, &listing, 5), plain);
        assert_eq!(plain.names(), ["0.png", "1.png", "2.png"]);
        assert_eq!(
            fs::metadata(&cached(&dir)[0]).unwrap().modified().unwrap(),
            written,
            "the file was read, not written again"
        );
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
    fn bad_files_are_remembered_with_their_reasons() {
        let (dir, mut listing) = folder();
        fs::write(dir.path().join("bad.png"), "no image").unwrap();
        listing.paths.insert(1, dir.path().join("bad.png"));
        listing.labels.insert(1, 0);
        let load = |on_bad_file| decoded(dir.path(), listing.clone(), 5, on_bad_file, Some(&dir.path().join("cache")));
        assert!(load(OnBadFile::Error).is_err());
        let first = load(OnBadFile::Exclude).unwrap();
        assert_eq!(first.0.names(), ["0.png", "1.png", "2.png"]);
        let expected = BadFile { file: "bad.png".into(), reason: "not a JPEG, PNG or WebP file".into() };
        assert_eq!(first.1, [expected]);
        assert_eq!(cached(&dir).len(), 1);
        assert_eq!(load(OnBadFile::Exclude).unwrap(), first, "from the cache");
        let error = load(OnBadFile::Error).unwrap_err();
        assert!(error.exit_code() == 3 && error.to_string().contains("bad.png: not a JPEG"), "{error}");
    }

    #[test]
    fn without_room_things_go_on() {
        let (dir, listing) = folder();
        fs::write(dir.path().join("cache"), "a file in place of the folder").unwrap();
        assert_eq!(load(&dir, &listing, 5).len(), 3);
    }
}
