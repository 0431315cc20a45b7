//! Files that cannot be decoded, and how a config treats them.

use std::path::Path;

use rayon::prelude::*;

use super::decode::{decode_into, read, relative};
use super::listing::Listing;
use crate::config::data::OnBadFile;
use crate::data::dataset::BadFile;
use crate::data::images::{allocate, image_bytes};
use crate::data::resize::SquareResizer;
use crate::error::{Error, Result};

/// Largest number of files that an error names.
const SHOWN: usize = 10;

/// Pixels of all files of a listing, and what is wrong with those that could not be decoded, whose pixels are black.
pub(super) struct Decoded {
    /// `[files, size, size, 3]`.
    pub(super) pixels: Vec<u8>,
    /// By their place in the listing.
    pub(super) bad: Vec<(usize, String)>,
}

/// Decodes the files in parallel and brings them to `size` x `size` pixels.
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

/// What is left of a listing without its bad files, by their places, if the config agrees to go on without them.
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
        // A class whose every file is bad would be trained on as if it existed.
        Some(_) => Err(cannot_be_decoded(root, &bad_files, total)),
        None => Ok((good, bad_files)),
    }
}

fn cannot_be_decoded(root: &Path, bad: &[BadFile], total: usize) -> Error {
    let shown: String = bad.iter().take(SHOWN).map(|bad| format!("\n    {}: {}", bad.file, bad.reason)).collect();
    let more = if bad.len() > SHOWN { "\n    ..." } else { "" };
    let problem = format!("{} of {total} images cannot be decoded:{shown}{more}", bad.len());
    let help = "repair or remove these files (`vitbench data verify` lists all of them), or leave them out with \
                data.on_bad_file = \"exclude\", as long as every class keeps some";
    Error::damaged(root.display(), problem, help)
}
