//! Decodes image files to RGB pixels of one size.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::error::{DecodingError, ImageFormatHint};
use image::{ImageError, ImageFormat, ImageReader, ImageResult, Limits, RgbImage};
use rayon::prelude::*;

use crate::data::images::{allocate, image_bytes};
use crate::data::resize::SquareResizer;
use crate::error::{Error, Result};

/// Greatest width and height of a file, in pixels, and greatest memory that decoding one may take, in bytes. They are beyond
/// any photograph; a header that claims more is damaged or hostile.
const MAX_SIDE: u32 = 30_000;
const MAX_ALLOCATION: u64 = 1 << 30;

/// Decodes the files in parallel and brings them to `size` x `size` pixels: `[files, size, size, 3]`.
///
/// # Errors
///
/// Names the files that cannot be decoded: ten of them, and how many there are.
pub(super) fn decode_all(root: &Path, paths: &[PathBuf], size: usize) -> Result<Vec<u8>> {
    let mut pixels = allocate(paths.len(), size)?;
    let failures: Vec<String> = pixels
        .par_chunks_exact_mut(image_bytes(size))
        .zip(paths)
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
        return Ok(pixels);
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
    let bytes = std::fs::read(path)?;
    let mut reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format()?;
    reader.limits(limits);
    // The JPEG decoder makes up what is missing of a file that was cut off.
    if reader.format() == Some(ImageFormat::Jpeg) && !jpeg_is_whole(&bytes) {
        let hint = ImageFormatHint::Exact(ImageFormat::Jpeg);
        return Err(ImageError::Decoding(DecodingError::new(hint, "the file is cut off: it has no end marker")));
    }
    Ok(reader.decode()?.into_rgb8())
}

/// Whether the markers of a JPEG file lead to its end marker. Bytes behind that, which some cameras leave, do no harm.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let mut at = 2;
    while let Some(offset) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff)) {
        at += offset + 1;
        match bytes.get(at) {
            None => return false,
            Some(&END) => return true,
            // Within a scan: a stuffed 0xff, a restart marker, or padding before the marker.
            Some(0x00 | 0x01 | 0xd0..=0xd7) => at += 1,
            Some(0xff) => {}
            // A segment says its length. A scan's data follows its header without one; the search for the next marker passes
            // over it.
            Some(_) => {
                let Some(length) = bytes.get(at + 1..at + 3) else { return false };
                at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]]));
            }
        }
    }
    false
}

/// A path within `root`, with slashes on every system.
pub(super) fn relative(root: &Path, path: &Path) -> String {
    let parts: Vec<_> = path.strip_prefix(root).unwrap_or(path).iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jpeg_is_whole_only_with_its_end_marker() {
        let image = RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8]));
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
        let bytes = bytes.into_inner();
        assert!(jpeg_is_whole(&bytes));
        assert!(jpeg_is_whole(&[bytes.as_slice(), b"left by a camera"].concat()));
        for length in 0..bytes.len() {
            assert!(!jpeg_is_whole(&bytes[..length]), "cut off after {length} of {} bytes", bytes.len());
        }
    }
}
