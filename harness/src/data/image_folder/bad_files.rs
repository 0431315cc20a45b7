//! Handles files that cannot be decoded: the config says whether they are an error or are left out.

use std::path::Path;

use rayon::prelude::*;

use super::SHOWN;
use super::decode::{decode_into, read, relative};
use super::listing::Listing;
use crate::config::data::OnBadFile;
use crate::data::dataset::BadFile;
use crate::data::images::{allocate, image_bytes};
use crate::data::resize::SquareResizer;
use crate::error::{Error, Result};

/// The pixels of all files in a listing, and the reasons why some could not be decoded. The pixels of those files are black.
pub(super) struct Decoded {
    /// `[files, size, size, 3]`.
    pub(super) pixels: Vec<u8>,
    /// Index in the listing, and reason.
    pub(super) bad: Vec<(usize, String)>,
}

/// Decodes the files in parallel and resizes them to `size` x `size` pixels.
pub(super) fn decode_all(listing: &Listing, size: usize) -> Result<Decoded> {
    let mut pixels = allocate(listing.paths.len(), size)?;
    let bad = pixels
        .par_chunks_exact_mut(image_bytes(size))
        .zip(&listing.paths)
        .enumerate()
        .map_init(
            || SquareResizer::new(size),
            |resizer, (index, (out, path))| {
                let outcome = read(path).and_then(|content| decode_into(&content, resizer, out));
                outcome.err().map(|reason| (index, reason))
            },
        )
        .flatten()
        .collect();
    Ok(Decoded { pixels, bad })
}

/// Returns the indices of the good files in a listing, and the bad files.
///
/// # Errors
/// Fails if there are bad files and the config does not exclude them, or if a class has no good file.
pub(super) fn without_bad(
    root: &Path,
    listing: &Listing,
    bad: &[(usize, String)],
    on_bad_file: OnBadFile,
) -> Result<(Vec<usize>, Vec<BadFile>)> {
    let named = |(index, reason): &(usize, String)| BadFile {
        file: relative(root, &listing.paths[*index]),
        reason: reason.clone(),
    };
    let bad_files: Vec<BadFile> = bad.iter().map(named).collect();
    let total = listing.paths.len();
    if on_bad_file == OnBadFile::Error && !bad.is_empty() {
        return Err(cannot_be_decoded(root, &bad_files, total));
    }
    let mut good: Vec<usize> = (0..total).collect();
    good.retain(|index| bad.binary_search_by_key(index, |(bad, _)| *bad).is_err());
    let mut left = vec![false; listing.labels.iter().max().map_or(0, |last| *last as usize + 1)];
    good.iter().for_each(|index| left[listing.labels[*index] as usize] = true);
    match listing.labels.iter().find(|label| !left[**label as usize]) {
        // Otherwise the class would stay in the dataset without a single image.
        Some(_) => Err(cannot_be_decoded(root, &bad_files, total)),
        None => Ok((good, bad_files)),
    }
}

fn cannot_be_decoded(root: &Path, bad: &[BadFile], total: usize) -> Error {
    let shown: String = bad.iter().take(SHOWN).map(|bad| format!("\n    {}: {}", bad.file, bad.reason)).collect();
    let more = if bad.len() > SHOWN { "\n    ..." } else { "" };
    let problem = format!("{} of {total} images cannot be decoded:{shown}{more}", bad.len());
    let help = "repair or remove these files (`vitbench data verify` lists all of them), or leave them out with \
                data.on_bad_file = \"exclude\" (every class must keep at least one image)";
    Error::damaged(root.display(), problem, help)
}
