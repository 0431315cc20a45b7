//! Checksums and lengths put right after a change, where the format has them: else every change would end at them.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use serde_json::Value;

/// A compressed archive of these bytes.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}

/// The checksums of a PNG file's chunks, the length of a WebP file.
pub(crate) fn image(bytes: &mut [u8]) {
    if bytes.starts_with(b"\x89PNG") {
        png(bytes);
    } else if bytes.starts_with(b"RIFF") && bytes.len() >= 12 {
        let length = (bytes.len() - 8) as u32;
        bytes[4..8].copy_from_slice(&length.to_le_bytes());
    }
}

fn png(bytes: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let (start, end) = (at + 4, at + 8 + length);
        if bytes.len() < end + 4 {
            return;
        }
        let mut crc = Crc::new();
        crc.update(&bytes[start..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
}

/// The checksums of an archive's headers. Every block could be one; who reads a file's content does not mind.
pub(crate) fn tar(bytes: &mut [u8]) {
    const SUM: std::ops::Range<usize> = 148..156;
    for block in bytes.as_chunks_mut::<512>().0.iter_mut().filter(|block| block[257..262] == *b"ustar") {
        block[SUM].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[SUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// The length of the header, and of the tensors as it says, as long as it can be read and they are few.
pub(crate) fn safetensors(bytes: &mut Vec<u8>) {
    let Some(header) = bytes.get(8..) else { return };
    let mut values = serde_json::Deserializer::from_slice(header).into_iter::<Value>();
    let Some(Ok(Value::Object(entries))) = values.next() else { return };
    let length = values.byte_offset();
    let ends = entries.values().filter_map(|entry| entry.get("data_offsets")?.get(1)?.as_u64());
    let data = ends.max().unwrap_or(0).min(1 << 16) as usize;
    bytes[..8].copy_from_slice(&(length as u64).to_le_bytes());
    bytes.resize(8 + length + data, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_stays_as_it_is() {
        let whole = include_bytes!("../seeds/image/rgb.png");
        let mut mended = whole.to_vec();
        image(&mut mended);
        assert_eq!(mended, whole);
        let whole = include_bytes!("../seeds/tar/gnu.tar");
        let mut mended = whole.to_vec();
        tar(&mut mended);
        assert_eq!(mended, whole);
        let header = r#"{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#;
        let mut file = [&[99; 8], header.as_bytes(), &[1; 3]].concat();
        safetensors(&mut file);
        assert_eq!(file, [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &[1, 1, 1, 0, 0, 0, 0, 0]].concat());
    }

    #[test]
    fn a_changed_chunk_gets_its_checksum() {
        let whole = include_bytes!("../seeds/image/rgb.png");
        let mut changed = whole.to_vec();
        changed[19] ^= 1;
        image(&mut changed);
        assert_ne!(changed[29..33], whole[29..33]);
        assert_eq!(changed[33..], whole[33..]);
    }
}
