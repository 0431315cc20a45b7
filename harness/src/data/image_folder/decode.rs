//! Decodes image files from untrusted sources: the size that a file claims is checked before memory is allocated for it.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::LazyLock;

use image::metadata::Orientation;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::budget::{Budget, Share};
use super::jpeg::Markers;
use crate::data::resize::SquareResizer;

/// Maximum width and height of an image, in pixels.
const MAX_SIDE: u32 = 30_000;

/// Maximum memory for decoding one file, in bytes: enough for a photo of 60 megapixels.
const MAX_MEMORY: u64 = 240 << 20;

/// Maximum memory for the metadata of a PNG file, in bytes. Its colour profile is compressed and may unpack to a thousand times its
/// length. The decoder skips a profile beyond this limit; no colour profile is ever used.
const MAX_NOTES: u64 = 8 << 20;

/// Maximum length of a file, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// A file longer than this, in bytes, is read only once the whole memory budget is free, because it may need all of it.
const LARGE_FILE: u64 = 24 << 20;

/// Maximum memory for decoding an ordinary photo, in bytes.
const ORDINARY: u64 = 64 << 20;

/// Memory budget of all threads together: enough for the largest image, and for one ordinary photo per thread.
static BUDGET: LazyLock<Budget> = LazyLock::new(|| {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    Budget::new(MAX_MEMORY.max(threads * ORDINARY))
});

/// What a file's header says about its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::data) struct About {
    /// "JPEG", "PNG" or "WebP".
    pub(in crate::data) format: &'static str,
    /// In pixels, before rotation.
    pub(in crate::data) width: u32,
    /// In pixels, before rotation.
    pub(in crate::data) height: u32,
    /// "RGB", "grey", "CMYK", ...
    pub(in crate::data) mode: &'static str,
    /// Whether the EXIF orientation asks for a rotation or a reflection.
    pub(in crate::data) turned: bool,
}

/// Reads a regular file of at most [`MAX_FILE`] bytes.
///
/// # Errors
/// Returns what is wrong with the file.
pub(in crate::data) fn read(path: &Path) -> Result<Content, String> {
    let problem = |error: std::io::Error| format!("cannot be read: {error}");
    // Checked before the file is opened, because opening a pipe would block.
    let about = std::fs::metadata(path).map_err(problem)?;
    if !about.is_file() {
        return Err("not a regular file".into());
    }
    if about.len() > MAX_FILE {
        return Err(format!("has {} bytes, expected at most {MAX_FILE}", about.len()));
    }
    let share = (about.len() > LARGE_FILE).then(|| BUDGET.take(u64::MAX));
    let mut bytes = Vec::with_capacity(about.len() as usize);
    File::open(path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes)).map_err(problem)?;
    Ok(Content { bytes, share })
}

/// The content of a file.
pub(in crate::data) struct Content {
    pub(in crate::data) bytes: Vec<u8>,
    /// The share of the memory budget that a file longer than [`LARGE_FILE`] holds.
    share: Option<Share<'static>>,
}

/// Reads what a file's header says about its image, without decoding the image.
///
/// # Errors
/// Returns what is wrong with the file.
pub(in crate::data) fn probe(content: &Content) -> Result<About, String> {
    Head::read(&content.bytes).map(|head| head.about)
}

/// Decodes a file, whatever the extension of its name, and passes the image and its orientation to `use_image`. Only the first frame
/// of an animation is decoded.
///
/// # Errors
/// Returns what is wrong with the file.
pub(in crate::data) fn decode<T>(
    content: &Content,
    use_image: impl FnOnce(DynamicImage, Orientation) -> T,
) -> Result<T, String> {
    let head = Head::read(&content.bytes)?;
    let _share = content.share.is_none().then(|| BUDGET.take(head.memory));
    let decoder = decoder(&content.bytes, head.format)?;
    let image = DynamicImage::from_decoder(decoder).map_err(|error| said(&error))?;
    Ok(use_image(image, head.orientation))
}

/// Decodes a file into `[size, size, 3]`, rotated as its EXIF orientation says. Like Pillow's `convert("RGB")`, this converts grey
/// and palette images to RGB and 16 bits to 8, and drops transparency.
///
/// # Errors
/// Returns what is wrong with the file.
pub(super) fn decode_into(content: &Content, resizer: &mut SquareResizer, out: &mut [u8]) -> Result<(), String> {
    decode(content, |image, orientation| {
        resizer.resize_image(image, out);
        // Rotating after resizing avoids a second image of the original's size.
        resizer.turn(orientation, out);
    })
}

/// The name and the checksum of the last chunk of a PNG file.
const PNG_END: &[u8] = b"IEND\xae\x42\x60\x82";

/// A file's header, with everything that decides whether and how the file is decoded.
struct Head {
    format: ImageFormat,
    about: About,
    orientation: Orientation,
    /// Approximate memory for decoding, in bytes.
    memory: u64,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let format = image::guess_format(bytes).ok().and_then(known).ok_or("not a JPEG, PNG or WebP file")?;
        let (format, name) = format;
        let markers = if format == ImageFormat::Jpeg { Markers::read(bytes) } else { Markers::default() };
        if !is_whole(bytes, format, markers) {
            return Err("the file is cut off".into());
        }
        let mut decoder = decoder(bytes, format)?;
        let (width, height) = decoder.dimensions();
        let mode = if markers.channels == 4 { "CMYK" } else { mode(decoder.original_color_type()) };
        // Measured memory of the decoders: copies of the file, and coefficients or planes in addition to the pixels.
        let (copies, factor) = match format {
            ImageFormat::Jpeg if markers.progressive => (2, 3),
            ImageFormat::Jpeg => (2, 1),
            ImageFormat::WebP => (1, 3),
            _ => (1, 1),
        };
        let memory = decoder.total_bytes().saturating_mul(factor).saturating_add(copies * bytes.len() as u64);
        if memory > MAX_MEMORY {
            let mib = memory >> 20;
            return Err(format!(
                "has {width} x {height} pixels, which take {mib} MiB to decode; the limit is {} MiB",
                MAX_MEMORY >> 20
            ));
        }
        // If its EXIF data is damaged, the image is not rotated.
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let about = About { format: name, width, height, mode, turned: orientation != Orientation::NoTransforms };
        Ok(Self { format, about, orientation, memory })
    }
}

/// Whether a file has the end that its format requires. The decoders fill in missing data or do not check the end.
fn is_whole(bytes: &[u8], format: ImageFormat, markers: Markers) -> bool {
    match format {
        ImageFormat::Jpeg => markers.whole,
        ImageFormat::Png => bytes.windows(PNG_END.len()).rev().any(|end| end == PNG_END),
        // The header of a WebP file says how many bytes follow the first eight.
        _ => bytes.get(4..8).is_some_and(|length| {
            let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            bytes.len() as u64 >= 8 + length
        }),
    }
}

fn known(format: ImageFormat) -> Option<(ImageFormat, &'static str)> {
    match format {
        ImageFormat::Jpeg => Some((format, "JPEG")),
        ImageFormat::Png => Some((format, "PNG")),
        ImageFormat::WebP => Some((format, "WebP")),
        _ => None,
    }
}

fn decoder(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder + '_, String> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    // Limits what the decoders allocate in addition to the pixels. The memory for the pixels is checked in `Head::read`.
    limits.max_alloc = Some(if format == ImageFormat::Png { MAX_NOTES } else { MAX_MEMORY });
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| said(&error))
}

fn said(error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => format!("is too large: {error}"),
        ImageError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => "the file is cut off".into(),
        error => error.to_string(),
    }
}

fn mode(colour: ExtendedColorType) -> &'static str {
    use ExtendedColorType as C;
    match colour {
        C::L1 | C::L2 | C::L4 | C::L8 => "grey",
        C::La1 | C::La2 | C::La4 | C::La8 => "grey with alpha",
        C::Rgb1 | C::Rgb2 | C::Rgb4 | C::Rgb8 => "RGB",
        C::Rgba1 | C::Rgba2 | C::Rgba4 | C::Rgba8 => "RGB with alpha",
        C::L16 => "grey, 16-bit",
        C::La16 => "grey with alpha, 16-bit",
        C::Rgb16 => "RGB, 16-bit",
        C::Rgba16 => "RGB with alpha, 16-bit",
        C::Cmyk8 | C::Cmyk16 => "CMYK",
        _ => "other",
    }
}

/// A path relative to `root`, with slashes on every system.
pub(in crate::data) fn relative(root: &Path, path: &Path) -> String {
    let parts: Vec<_> = path.strip_prefix(root).unwrap_or(path).iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
