//! Decodes image files to RGB pixels of one size.

use std::path::Path;

use image::{ImageReader, ImageResult, Limits, RgbImage};
use rayon::prelude::*;

use super::listing::Listing;
use crate::data::Images;
use crate::data::images::{allocate, image_bytes};
use crate::data::resize::SquareResizer;
use crate::error::{Error, Result};

/// Greatest width and height of a file, in pixels, and greatest memory that decoding one may take, in bytes. They are beyond
/// any photograph; a header that claims more is damaged or hostile.
const MAX_SIDE: u32 = 30_000;
const MAX_ALLOCATION: u64 = 1 << 30;

/// Decodes the files in parallel and brings them to `size` x `size` pixels. Names are the paths relative to `root`.
///
/// # Errors
///
/// Names the files that cannot be decoded: ten of them, and how many there are.
pub(super) fn decode_all(root: &Path, listing: Listing, size: usize) -> Result<Images> {
    let Listing { paths, labels } = listing;
    let mut pixels = allocate(paths.len(), size)?;
    let failures: Vec<String> = pixels
        .par_chunks_exact_mut(image_bytes(size))
        .zip(&paths)
        .map_init(
            || SquareResizer::new(size),
            |resizer, (out, path)| {
                let image = decode(path).map_err(|error| format!("{}: {error}", relative(root, path)))?;
                resizer.resize(image.as_raw(), [image.height(), image.width()], out);
                Ok(())
            },
        )
        .filter_map(std::result::Result::err)
        .collect();
    if failures.is_empty() {
        let names = paths.iter().map(|path| relative(root, path)).collect();
        return Ok(Images::new(size, pixels, labels, names));
    }
    let shown = failures.iter().take(10).map(|failure| format!("\n    {failure}")).collect::<String>();
    let more = if failures.len() > 10 { "\n    ..." } else { "" };
    let problem = format!("{} of {} images cannot be decoded:{shown}{more}", failures.len(), paths.len());
    Err(Error::input(root.display(), problem, "repair these files, or remove them"))
}

/// Decodes one file by its content, whatever its extension. Grey and palettes become RGB, 16 bits become 8, and transparency
/// is dropped, as Pillow's `convert("RGB")` does.
fn decode(path: &Path) -> ImageResult<RgbImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_ALLOCATION);
    let mut reader = ImageReader::open(path)?.with_guessed_format()?;
    reader.limits(limits);
    Ok(reader.decode()?.into_rgb8())
}

/// A path within `root`, with slashes on every system.
fn relative(root: &Path, path: &Path) -> String {
    let parts: Vec<_> = path.strip_prefix(root).unwrap_or(path).iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
