//! Tests reading CIFAR on a tiny dataset of the same format, and on the real CIFAR-10 where it is available.

use sha2::{Digest, Sha256};

use super::*;
use crate::config::data::DatasetName;
use crate::data::folders::Folders;

/// Three records with one label byte each: the label, then 1024 bytes each of red, green and blue.
pub(in crate::data) fn three_records() -> Vec<u8> {
    let record = |label: u8, rgb: [u8; 3]| [vec![label], rgb.map(|value| vec![value; 1024]).concat()].concat();
    [record(0, [10, 20, 30]), record(1, [40, 50, 60]), record(0, [70, 80, 90])].concat()
}

/// SHA-256 of `three_records`, computed with sha256sum. The tiny dataset uses these records for both splits.
const TINY_FILE: &str = "e39ef1c3e3f116ce1ed0cf91c8c90fd00ef5d3cbba6ebb9e5d7e4bb123e322b3";

pub(in crate::data) const TINY: Version = Version {
    name: "TINY",
    subfolders: ["tiny", "tiny-bin"],
    url: "https://example.org/tiny.tar.gz",
    archive_bytes: 0,
    archive_sha256: "",
    label_bytes: 1,
    classes: &["a", "b"],
    train: &[PinnedFile { name: "train.bin", records: 3, sha256: TINY_FILE }],
    test: &[PinnedFile { name: "test.bin", records: 3, sha256: TINY_FILE }],
};

fn config(more: &str) -> DataConfig {
    toml::from_str(&format!("dataset = 'cifar10'\n{more}")).unwrap()
}

/// A data folder with the files of both splits in this subfolder.
fn tiny_in(subfolder: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join(subfolder);
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["train.bin", "test.bin"] {
        std::fs::write(folder.join(name), three_records()).unwrap();
    }
    root
}

fn error(version: &Version, folders: &[PathBuf]) -> String {
    load(version, &config(""), folders).map(|_| "loaded").unwrap_err().to_string()
}

#[test]
fn records_become_interleaved_images() {
    for subfolder in ["", "tiny", "tiny-bin"] {
        let root = tiny_in(subfolder);
        let source = load(&TINY, &config(""), &["/nowhere".into(), root.path().into()]).unwrap();
        assert_eq!(source.classes, ["a", "b"]);
        assert_eq!(source.train.labels(), [0, 1, 0]);
        assert_eq!(source.train.names(), ["train/00000", "train/00001", "train/00002"]);
        assert_eq!(source.test.pixels(1), [40, 50, 60].repeat(1024));
    }
}

#[test]
fn rows_of_the_planes_stay_rows() {
    let mut bytes = vec![0; 3073];
    bytes[1 + 1024 + 32 * 5 + 7] = 200;
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = PinnedFile { name: "one.bin", records: 1, sha256: sha256.leak() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.bin");
    std::fs::write(&path, bytes).unwrap();
    let (_, pixels) = read_file(&TINY, &path, &file).unwrap();
    assert_eq!(pixels.iter().position(|&value| value == 200), Some((5 * 32 + 7) * 3 + 1), "row 5, column 7, green");
}

#[test]
fn the_last_of_two_labels_counts() {
    let bytes = [vec![19, 99], vec![0; 3072]].concat();
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = PinnedFile { name: "one.bin", records: 1, sha256: sha256.leak() };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.bin");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read_file(&CIFAR100, &path, &file).unwrap().0, [99]);
}

#[test]
fn limits_and_sizes_are_applied() {
    let root = tiny_in("");
    let source = load(&TINY, &config("train_limit = 2\nimage_size = 8"), &[root.path().into()]).unwrap();
    assert_eq!((source.train.len(), source.train.size(), source.test.len()), (2, 8, 3));
    assert!(source.train.labels().contains(&1), "both classes are present");
    assert_eq!(source.test.pixels(2), [70, 80, 90].repeat(64));
}

#[test]
fn absent_files_are_asked_for() {
    let error = error(&TINY, &["/nowhere".into()]);
    for part in ["files of TINY", "`/nowhere`, `/nowhere/tiny`, `/nowhere/tiny-bin`", TINY.url, "--data-dir"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_missing_file_of_several_is_named() {
    let root = tiny_in("tiny");
    std::fs::remove_file(root.path().join("tiny/test.bin")).unwrap();
    let error = error(&TINY, &[root.path().into()]);
    assert!(error.contains("tiny/test.bin: the file is missing"), "{error}");
}

#[test]
fn a_truncated_file_is_refused() {
    let root = tiny_in("");
    std::fs::write(root.path().join("train.bin"), &three_records()[..9000]).unwrap();
    let error = error(&TINY, &[root.path().into()]);
    assert!(error.contains("train.bin: found 9,000 bytes, expected 9,219"), "{error}");
}

#[test]
fn a_changed_byte_is_refused_with_both_digests() {
    let root = tiny_in("");
    let mut bytes = three_records();
    bytes[5000] ^= 1;
    std::fs::write(root.path().join("test.bin"), &bytes).unwrap();
    let error = error(&TINY, &[root.path().into()]);
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    for part in ["test.bin: SHA-256 is", &found, TINY_FILE, TINY.url] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn class_names_are_as_many_as_classes() {
    for version in [&CIFAR10, &CIFAR100] {
        let distinct: std::collections::HashSet<_> = version.classes.iter().collect();
        assert_eq!(distinct.len(), version.classes.len());
        assert!(version.classes.is_sorted(), "both official lists are alphabetical");
        let records = |files: &[PinnedFile]| files.iter().map(|file| file.records).sum::<usize>();
        assert_eq!([records(version.train), records(version.test)], [50_000, 10_000]);
        assert!(version.files().all(|file| file.sha256.len() == 64));
    }
}

#[test]
fn thousands_are_parted() {
    assert_eq!([0, 999, 1000, 30_730_000].map(thousands), ["0", "999", "1,000", "30,730,000"]);
}

#[test]
fn the_real_cifar10_is_read() {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cifar10");
    if !packed.is_dir() {
        testing::skipped("reading the real CIFAR-10", "no ../shared/data/cifar10");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for file in CIFAR10.files() {
        let source = File::open(packed.join(format!("{}.zst", file.name))).unwrap();
        let mut target = File::create(folder.path().join(file.name)).unwrap();
        let mut source = ruzstd::decoding::StreamingDecoder::new(source).unwrap();
        std::io::copy(&mut source, &mut target).unwrap();
    }
    let folders = Folders { data: vec![folder.path().into()], decoded: None };
    let data = crate::data::load::load_from(&config("val_fraction = 0.1"), &folders).unwrap();
    assert_eq!(data.name, DatasetName::Cifar10);
    assert_eq!([data.train.len(), data.val.len(), data.test.len()], [45_000, 5_000, 10_000]);
    for (images, expected) in [(&data.train, 4500), (&data.val, 500), (&data.test, 1000)] {
        let count = |class| images.labels().iter().filter(|&&label| label == class).count();
        assert_eq!((0..10).map(count).collect::<Vec<_>>(), [expected; 10]);
    }
    assert_eq!(data.test.labels()[..10], [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
    let whole = crate::data::load::load_from(&config("val_fraction = 0.0"), &folders).unwrap();
    assert_eq!(whole.train.labels()[..10], [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
}
