//! Reads the markers of a JPEG file, to check it before anything is decoded.

/// What the markers of a JPEG file say about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Markers {
    /// Whether the file has its end marker. Bytes after it, which some cameras append, are harmless.
    pub(super) whole: bool,
    /// Whether the image is stored in several scans, whose coefficients a decoder has to keep in memory.
    pub(super) progressive: bool,
    /// Number of colour channels: 1 for grey, 3 for colour, 4 for CMYK.
    pub(super) channels: u8,
}

impl Markers {
    /// Reads the markers of a file.
    pub(super) fn read(bytes: &[u8]) -> Self {
        const END: u8 = 0xd9;
        let mut markers = Self::default();
        let mut at = 2;
        while let Some(offset) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == 0xff)) {
            at += offset + 1;
            match bytes.get(at) {
                None => return markers,
                Some(&END) => return Self { whole: true, ..markers },
                // Inside a scan: a stuffed 0xff, a restart marker, or padding before the marker.
                Some(0x00 | 0x01 | 0xd0..=0xd7) => at += 1,
                Some(0xff) => {}
                // A segment starts with its length. The data of a scan follows its header without a length, and the search for
                // the next marker skips it.
                Some(marker) => {
                    let Some(length) = bytes.get(at + 1..at + 3) else { return markers };
                    if matches!(marker, 0xc0..=0xc2) {
                        markers.progressive |= *marker == 0xc2;
                        markers.channels = bytes.get(at + 8).copied().unwrap_or_default();
                    }
                    at += 1 + usize::from(u16::from_be_bytes([length[0], length[1]]));
                }
            }
        }
        markers
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, RgbImage};

    use super::*;

    #[test]
    fn a_file_is_whole_only_with_its_end_marker() {
        let image = RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8]));
        let jpeg = |image: &DynamicImage| {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, ImageFormat::Jpeg).unwrap();
            bytes.into_inner()
        };
        let bytes = jpeg(&image.clone().into());
        assert_eq!(Markers::read(&bytes), Markers { whole: true, progressive: false, channels: 3 });
        assert!(Markers::read(&[bytes.as_slice(), b"left by a camera"].concat()).whole);
        for length in 0..bytes.len() {
            assert!(!Markers::read(&bytes[..length]).whole, "cut off after {length} of {} bytes", bytes.len());
        }
        assert_eq!(Markers::read(&jpeg(&DynamicImage::from(image).into_luma8().into())).channels, 1);
    }
}
