//! Tests that hostile and damaged archives are refused.

use std::fs::File;
use std::io::{BufReader, Cursor};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const LIMITS: Limits = Limits { entries: 20, file_bytes: 10_000, bytes: 30_000 };

/// A tar entry with an arbitrary, unchecked name.
fn entry(name: &[u8], kind: EntryType, bytes: u64, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(0o644);
    header.set_cksum();
    let mut out = header.as_bytes().to_vec();
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(name.as_bytes(), EntryType::Regular, content.len() as u64, content)
}

fn gz(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    parts.iter().for_each(|part| encoder.write_all(part).unwrap());
    encoder.write_all(&[0; 1024]).unwrap();
    encoder.finish().unwrap()
}

/// The names and contents that the visitor received, or the error.
fn visited(visit: impl FnOnce(&mut Visitor<'_>) -> Result<()>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut seen = Vec::new();
    visit(&mut |entry| {
        let mut content = Vec::new();
        entry.copy(Path::new("test"), &mut content, Path::new("memory"))?;
        seen.push((entry.name.clone(), content));
        Ok(())
    })?;
    Ok(seen)
}

fn tar(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    visited(|visit| visit_tar_gz(Cursor::new(bytes), Path::new("a.tar.gz"), LIMITS, visit))
}

fn zip(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    visited(|visit| visit_zip(Cursor::new(bytes), Path::new("a.zip"), LIMITS, visit))
}

fn assert_refused(outcome: Result<Vec<(String, Vec<u8>)>>, problem: &str) {
    let error = outcome.map(|seen| seen.len()).expect_err(problem);
    assert!(matches!(error, Error::Damaged { .. }) && error.to_string().contains(problem), "{problem}: {error}");
}

#[test]
fn files_are_shown_in_order_and_folders_are_not() {
    let folder = |name: &str| entry(name.as_bytes(), EntryType::Directory, 0, b"");
    let extension = entry(b"PaxHeaders/a", EntryType::XHeader, 30, b"30 mtime=1234567890.123456789\n");
    let archive = gz(&[folder("./"), folder("./a/"), extension, file("./a/1", b"one"), file("a/2", &[7; 600])]);
    let expected = vec![("a/1".to_owned(), b"one".to_vec()), ("a/2".to_owned(), vec![7; 600])];
    assert_eq!(tar(&archive).unwrap(), expected);
}

#[test]
fn hostile_tar_archives_are_refused() {
    let link = |kind| vec![entry(b"a", kind, 0, b"")];
    let long = [b'n'; 300];
    let mut bad_header = file("a", b"x");
    bad_header[10] ^= 1;
    for (parts, problem) in [
        (vec![file("/etc/passwd", b"x")], "`/etc/passwd` has an absolute name"),
        (vec![file("a/../../b", b"x")], "escapes the folder"),
        (link(EntryType::Symlink), "`a` is a symbolic link"),
        (link(EntryType::Link), "`a` is a hard link"),
        (link(EntryType::Char), "`a` is a device"),
        (link(EntryType::Block), "`a` is a device"),
        (link(EntryType::Fifo), "`a` is a pipe"),
        (link(EntryType::GNUSparse), "`a` is a sparse file"),
        (vec![entry(b"big", EntryType::Regular, 10 << 30, b"")], "`big` has 10737418240 bytes"),
        ((0..21).map(|i| file(&format!("{i}"), b"")).collect(), "more than 20 entries"),
        ((0..4).map(|i| file(&format!("{i}"), &[1; 9_000])).collect(), "unpacks to more than 30000 bytes"),
        (vec![file("a", b"1"), file("./A", b"2")], "`A` appears twice in the archive"),
        (vec![entry(b"L", EntryType::GNULongName, 300, &long)], "very long name"),
        (vec![entry(b"x", EntryType::XHeader, 1 << 30, b"")], "very long name"),
        (vec![bad_header], "checksum"),
        (vec![file("a\\b", b"x")], "Windows path"),
        (vec![file("C:b", b"x")], "Windows path"),
        (vec![file("a\nb", b"x")], "control characters"),
        (vec![entry(b"\xff", EntryType::Regular, 0, b"")], "not UTF-8"),
        (vec![entry(b"a", EntryType::Regular, 9_000, b"x")], "`a` has 1536 bytes, but the archive claims 9000"),
    ] {
        assert_refused(tar(&gz(&parts)), problem);
    }
}

#[test]
fn zeros_without_end_are_not_read_to_their_end() {
    // 1 GB of zeros compressed to about 1 MB, after the end of the archive.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..1024 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let started = std::time::Instant::now();
    assert_refused(tar(&encoder.finish().unwrap()), "more bytes than allowed");
    assert!(started.elapsed().as_secs() < 1);
}

#[test]
fn every_cut_and_every_changed_byte_of_a_compressed_archive_is_found_or_harmless() {
    let archive = gz(&[file("a", b"some content"), file("b", &[5; 700])]);
    let whole = tar(&archive).unwrap();
    for length in 0..archive.len() {
        assert!(tar(&archive[..length]).is_err(), "cut off after {length} of {} bytes", archive.len());
    }
    // Nothing depends on the time stamp in the gzip header or on a few bits of the compressed data.
    let mut harmless = 0;
    for at in 0..archive.len() {
        let mut changed = archive.clone();
        changed[at] ^= 0x10;
        if let Ok(seen) = tar(&changed) {
            assert_eq!(seen, whole, "byte {at}");
            harmless += 1;
        }
    }
    assert!(harmless < 20, "{harmless}");
}

/// A zip archive of these files.
fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Replaces bytes wherever they occur: a name in both headers, bypassing the writer's checks.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut out = bytes.to_vec();
    for at in 0..=out.len() - from.len() {
        if out[at..].starts_with(from) {
            out[at..at + to.len()].copy_from_slice(to);
        }
    }
    out
}

#[test]
fn zip_files_are_shown_in_order() {
    let bytes = zipped(&[("a/1", b"one"), ("a/", b""), ("b", &[3; 5000])]);
    assert_eq!(zip(&bytes).unwrap(), [("a/1".to_owned(), b"one".to_vec()), ("b".to_owned(), vec![3; 5000])]);
}

#[test]
fn hostile_zip_archives_are_refused() {
    let one = |name: &str| zipped(&[(name, b"x")]);
    let mut link = ZipWriter::new(Cursor::new(Vec::new()));
    link.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let link = link.finish().unwrap().into_inner();
    let many: Vec<String> = (0..21).map(|i| i.to_string()).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|name| (name.as_str(), &b"x"[..])).collect();
    let long = "n".repeat(300);
    for (bytes, problem) in [
        (replaced(&one("XXtc/a"), b"XXtc/a", b"/etc/a"), "absolute name"),
        (replaced(&one("XX/a"), b"XX/a", b"../a"), "escapes the folder"),
        (link, "is a link or a device"),
        (zipped(&many), "more than 20 entries"),
        (zipped(&[("big", &[0; 10_001])]), "`big` has 10001 bytes, expected at most 10000"),
        (
            zipped(&[("1", &[0; 9_999]), ("2", &[0; 9_999]), ("3", &[0; 9_999]), ("4", b"1234")]),
            "more than 30000 bytes",
        ),
        (replaced(&zipped(&[("aa", b"x"), ("bb", b"y")]), b"bb", b"aa"), "appears twice in the archive"),
        (one(&long), "name longer than 255 bytes"),
        (b"PK\x05\x06 and nothing else".to_vec(), "cannot be read"),
        (Vec::new(), "cannot be read"),
    ] {
        assert_refused(zip(&bytes), problem);
    }
}

#[test]
fn a_zip_file_that_claims_less_than_it_holds_is_refused() {
    let bytes = zipped(&[("a", &[0; 5000])]);
    // Both headers hold the size, as four bytes.
    let less = replaced(&bytes, &5000_u32.to_le_bytes(), &40_u32.to_le_bytes());
    assert!(zip(&less).is_err());
    let content = zipped(&[("a", b"content that is stored")]);
    for at in 0..content.len() {
        let mut changed = content.clone();
        changed[at] ^= 4;
        // Whatever the outcome, nothing panics and every name is safe.
        if let Ok(seen) = zip(&changed) {
            assert!(seen.iter().all(|(name, _)| safe_name(name.as_bytes()).is_ok()));
        }
    }
}

#[test]
fn very_many_entries_are_counted_without_being_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.zip");
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    for index in 0..70_000 {
        writer.start_file(format!("{index}"), SimpleFileOptions::default()).unwrap();
    }
    writer.finish().unwrap();
    let file = BufReader::new(File::open(&path).unwrap());
    assert_refused(visited(|visit| visit_zip(file, &path, LIMITS, visit)), "more than 20 entries");
}
