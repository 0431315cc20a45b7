//! Tests decoding of hostile images, and of ordinary ones in every format and colour mode.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ImageEncoder, ImageFormat, RgbImage};

use super::decode::{decode_into, probe, read};
use crate::data::resize::SquareResizer;

/// Decodes a file to 2 x 2 pixels, or says why that fails.
fn outcome(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    fs::write(&path, bytes).unwrap();
    read_at(&path)
}

fn read_at(path: &Path) -> Result<Vec<u8>, String> {
    let mut out = vec![0; 12];
    let content = read(path)?;
    decode_into(&content, &mut SquareResizer::new(2), &mut out)?;
    Ok(out)
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// The upper half is red, the lower half blue.
fn flag() -> DynamicImage {
    RgbImage::from_fn(16, 16, |_, y| image::Rgb(if y < 8 { [250, 0, 0] } else { [0, 0, 250] })).into()
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let body = [&name[..], content].concat();
    let mut crc = flate2::Crc::new();
    crc.update(&body);
    [&(content.len() as u32).to_be_bytes()[..], &body, &crc.sum().to_be_bytes()].concat()
}

/// An RGB PNG with these sides in its header and `rows` rows of zeros, which compress to a few bytes.
fn png_of_zeros(width: u32, height: u32, rows: usize) -> Vec<u8> {
    let mut head = [width.to_be_bytes(), height.to_be_bytes()].concat();
    head.extend([8, 2, 0, 0, 0]);
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let row = vec![0; 1 + 3 * width as usize];
    for _ in 0..rows {
        std::io::Write::write_all(&mut deflated, &row).unwrap();
    }
    let data = deflated.finish().unwrap();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &head), &chunk(b"IDAT", &data), &chunk(b"IEND", b"")].concat()
}

#[test]
fn hostile_images_are_refused_with_a_reason() {
    let jpeg = encoded(&flag(), ImageFormat::Jpeg);
    let mut deep = png_of_zeros(4, 4, 4);
    deep[24] = 77;
    for (bytes, reason) in [
        (Vec::new(), "not a JPEG, PNG or WebP file"),
        (b"<svg/>".to_vec(), "not a JPEG, PNG or WebP file"),
        (b"GIF89a\x01\x00\x01\x00".to_vec(), "not a JPEG, PNG or WebP file"),
        (png_of_zeros(50_000, 50_000, 1), "too large"),
        (png_of_zeros(20_000, 20_000, 1), "has 20000 x 20000 pixels"),
        (png_of_zeros(0, 5, 0), ""),
        (png_of_zeros(64, 64, 3), "not have enough data for image"),
        (jpeg[..jpeg.len() / 2].to_vec(), "the file is cut off"),
        (jpeg[..4].to_vec(), ""),
        (encoded(&flag(), ImageFormat::WebP)[..60].to_vec(), ""),
        (deep, ""),
    ] {
        match outcome(&bytes) {
            Err(said) => assert!(said.contains(reason), "{reason}: {said}"),
            Ok(_) => panic!("{reason}"),
        }
    }
}

#[test]
fn a_compressed_bomb_takes_the_memory_of_its_pixels_and_no_more() {
    // 60 megapixels of zeros in a few hundred kilobytes: treated like any other large image.
    let bytes = png_of_zeros(10_000, 6_000, 6_000);
    assert!(bytes.len() < 300_000, "{}", bytes.len());
    assert_eq!(outcome(&bytes).unwrap(), [0; 12]);
    // Rows beyond the height in the header are ignored.
    assert_eq!(outcome(&png_of_zeros(10, 10, 1_000_000)).unwrap(), [0; 12]);
}

#[test]
fn every_cut_is_found() {
    let image: DynamicImage =
        RgbImage::from_fn(20, 20, |x, y| image::Rgb([(x * 11) as u8, (y * 12) as u8, (x * y) as u8])).into();
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let bytes = encoded(&image, format);
        assert!(outcome(&bytes).is_ok());
        for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1, bytes.len() - 5, bytes.len() - 9]) {
            assert!(outcome(&bytes[..length]).is_err(), "{format:?} cut off after {length} of {} bytes", bytes.len());
        }
    }
}

#[test]
fn the_smallest_image_is_one() {
    let image: DynamicImage = RgbImage::from_pixel(1, 1, image::Rgb([9, 99, 199])).into();
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        assert_eq!(outcome(&encoded(&image, format)).unwrap(), [9, 99, 199].repeat(4));
    }
}

#[test]
fn a_pipe_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe.jpg");
    if !std::process::Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()) {
        testing::skipped("a named pipe in place of an image", "mkfifo is not installed");
        return;
    }
    assert_eq!(read_at(&path).unwrap_err(), "not a regular file");
    assert_eq!(read_at(folder.path()).unwrap_err(), "not a regular file");
}

#[test]
fn an_image_is_turned_as_its_notes_say() {
    // EXIF data: TIFF, little-endian, with the orientation as its only entry.
    let notes = |turn: u8| {
        let entry =
            [&0x0112_u16.to_le_bytes()[..], &3_u16.to_le_bytes(), &1_u32.to_le_bytes(), &[turn, 0, 0, 0]].concat();
        [&b"II*\0\x08\0\0\0\x01\0"[..], &entry, &[0; 4]].concat()
    };
    let (red, blue) = ([250, 0, 0], [0, 0, 250]);
    let image = flag();
    let rgb = image.as_bytes();
    for (turn, expected) in [
        (1, [red, red, blue, blue]),
        (3, [blue, blue, red, red]),
        (6, [blue, red, blue, red]),
        (8, [red, blue, red, blue]),
        (99, [red, red, blue, blue]),
    ] {
        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
        encoder.set_exif_metadata(notes(turn)).unwrap();
        encoder.write_image(rgb, 16, 16, image::ExtendedColorType::Rgb8).unwrap();
        let mut png = Vec::new();
        let mut encoder = PngEncoder::new(&mut png);
        encoder.set_exif_metadata(notes(turn)).unwrap();
        encoder.write_image(rgb, 16, 16, image::ExtendedColorType::Rgb8).unwrap();
        let mut webp = Vec::new();
        let mut encoder = WebPEncoder::new_lossless(&mut webp);
        encoder.set_exif_metadata(notes(turn)).unwrap();
        encoder.write_image(rgb, 16, 16, image::ExtendedColorType::Rgb8).unwrap();
        for bytes in [jpeg, png, webp] {
            let out = outcome(&bytes).unwrap();
            let near = out.iter().zip(expected.as_flattened()).all(|(a, b)| a.abs_diff(*b) < 40);
            assert!(near, "{turn}: {out:?}");
        }
    }
}

#[test]
fn notes_without_end_are_passed_over() {
    let jpeg = encoded(&flag(), ImageFormat::Jpeg);
    // 300 segments of 64 kB between the start marker and the rest.
    let segment = [&[0xff, 0xe1, 0xff, 0xff][..], b"Exif\0\0", &[0x41; 65_527]].concat();
    let bytes = [&jpeg[..2], &segment.repeat(300), &jpeg[2..]].concat();
    assert_eq!(outcome(&bytes).unwrap().len(), 12);
    let too_long = [&jpeg[..2], &segment.repeat(1100), &jpeg[2..]].concat();
    assert!(outcome(&too_long).unwrap_err().contains("expected at most 67108864"));
    // The same as one chunk of a PNG, below and above the limit.
    let png = encoded(&flag(), ImageFormat::Png);
    let with = |name: &[u8; 4], content: &[u8]| [&png[..33], &chunk(name, content), &png[33..]].concat();
    assert_eq!(outcome(&with(b"eXIf", &vec![0x41; 4 << 20])), outcome(&png));
    assert!(outcome(&with(b"eXIf", &vec![0x41; 40 << 20])).unwrap_err().contains("too large"));
    // A colour profile of one gigabyte, compressed to about a megabyte.
    let mut deflated = flate2::write::ZlibEncoder::new(b"a\0\0".to_vec(), flate2::Compression::fast());
    for _ in 0..1024 {
        std::io::Write::write_all(&mut deflated, &vec![0; 1 << 20]).unwrap();
    }
    let started = std::time::Instant::now();
    assert_eq!(outcome(&with(b"iCCP", &deflated.finish().unwrap())), outcome(&png));
    assert!(started.elapsed().as_millis() < 500, "most of it is not unpacked");
}

/// The smallest CMYK JPEG: one block with only its mean coded. `inks` are means from 0 to 255, inverted as Adobe stores them.
fn cmyk(inks: [u8; 4]) -> Vec<u8> {
    let mut out = vec![0xff, 0xd8];
    let mut segment = |marker: u8, content: &[u8]| {
        out.extend([0xff, marker]);
        out.extend(((content.len() + 2) as u16).to_be_bytes());
        out.extend(content);
    };
    segment(0xee, b"Adobe\0\x64\0\0\0\0\0");
    segment(0xdb, &[&[0][..], &[8; 64]].concat());
    segment(0xc0, &[8, 0, 8, 0, 8, 4, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0]);
    // Two tables: the difference of a mean always has 8 bits, and a block ends after it.
    segment(0xc4, &[&[0x00, 0, 1][..], &[0; 14], &[8]].concat());
    segment(0xc4, &[&[0x10, 0, 1][..], &[0; 14], &[0]].concat());
    segment(0xda, &[4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);
    let mut bits = String::new();
    for ink in inks {
        // A mean m is coded as m - 128: the DC coefficient is 8 x (m - 128), and the quantisation step is 8.
        let value = i16::from(ink) - 128;
        assert!((128..256).contains(&value.unsigned_abs()), "eight bits");
        let coded = if value < 0 { value + 255 } else { value };
        bits.push_str(&format!("00{coded:08b}00"));
    }
    while !bits.len().is_multiple_of(8) {
        bits.push('1');
    }
    for byte in bits.as_bytes().chunks(8) {
        let byte = u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap();
        out.push(byte);
        if byte == 0xff {
            out.push(0);
        }
    }
    out.extend([0xff, 0xd9]);
    out
}

#[test]
fn four_inks_become_three_lights() {
    // Only a mean of 0, which is full ink, needs eight bits and stays in range.
    let bytes = cmyk([0; 4]);
    assert_eq!(outcome(&bytes).unwrap(), [0; 12]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jpg"), &bytes).unwrap();
    let about = probe(&read(&folder.path().join("a.jpg")).unwrap()).unwrap();
    assert_eq!((about.format, about.mode, about.width), ("JPEG", "CMYK", 8));
}

#[test]
fn of_an_animation_the_first_frame_is_taken() {
    // An animated PNG is a PNG whose first frame is the image.
    let png = encoded(&flag(), ImageFormat::Png);
    let control = chunk(b"acTL", &[0, 0, 0, 2, 0, 0, 0, 0]);
    let frame = |number: u8| {
        let mut content = vec![0, 0, 0, number];
        content.extend([16_u32.to_be_bytes(), 16_u32.to_be_bytes(), [0; 4], [0; 4]].concat());
        content.extend([0, 1, 0, 10, 0, 0]);
        chunk(b"fcTL", &content)
    };
    let bytes = [&png[..33], &control, &frame(0), &png[33..]].concat();
    assert_eq!(outcome(&bytes), outcome(&png));
    // An animated WebP of two frames: the first green, the second black.
    let frame = |rgb: [u8; 3]| {
        let image: DynamicImage = RgbImage::from_pixel(8, 8, image::Rgb(rgb)).into();
        // Skips the 12 bytes of the header that mark the file as WebP.
        let still = encoded(&image, ImageFormat::WebP)[12..].to_vec();
        let still = [&[0; 6][..], &[7, 0, 0, 7, 0, 0, 10, 0, 0, 0], &still].concat();
        [&b"ANMF"[..], &(still.len() as u32).to_le_bytes(), &still].concat()
    };
    let body = [
        &b"WEBPVP8X\x0a\0\0\0\x02\0\0\0\x07\0\0\x07\0\0ANIM\x06\0\0\0\0\0\0\0\0\0"[..],
        &frame([0, 200, 0]),
        &frame([0, 0, 0]),
    ]
    .concat();
    let bytes = [&b"RIFF"[..], &(body.len() as u32).to_le_bytes(), &body].concat();
    assert!(outcome(&bytes).unwrap()[1].abs_diff(200) < 3, "{:?}", outcome(&bytes));
}
