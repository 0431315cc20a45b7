//! Tests the description, the listing and the verification of datasets.

use std::fs;

use image::{Rgb, RgbImage};

use super::super::verify::{Candidates, bad_files_csv};
use super::*;

fn write(root: &Path, name: &str, side: u32, value: u8) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(side, side + 1, Rgb([value; 3])).save(path).unwrap();
}

fn pets() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (index, class) in ["cat", "dog"].into_iter().enumerate() {
        for number in 0..4 {
            write(root.path(), &format!("train/{class}/{number}.png"), 5 + number, 10 * index as u8);
        }
        write(root.path(), &format!("test/{class}/9.png"), 20, 10 * index as u8);
    }
    root
}

#[test]
fn a_folder_is_described() {
    let root = pets();
    fs::copy(root.path().join("train/cat/1.png"), root.path().join("test/cat/copy.png")).unwrap();
    fs::copy(root.path().join("train/dog/1.png"), root.path().join("train/dog/copy.png")).unwrap();
    fs::write(root.path().join("train/dog/bad.png"), "no image").unwrap();
    let info = inspect(root.path().to_str().unwrap(), None).unwrap();
    assert_eq!(info.classes, ["cat", "dog"]);
    assert_eq!(info.splits, [("train".to_owned(), vec![4, 6]), ("test".to_owned(), vec![2, 1])]);
    assert_eq!(info.sizes, Some([[5, 7, 20], [6, 8, 21]]));
    assert_eq!(info.kinds.iter().collect::<Vec<_>>(), [(&"PNG, RGB".to_owned(), &12)]);
    assert_eq!((info.copies, info.unreadable, info.turned), (2, 1, 0));
    assert_eq!(info.leaks, [("test/cat/copy.png".to_owned(), "train/cat/1.png".to_owned())]);

    let before = info.fingerprint;
    fs::remove_file(root.path().join("train/dog/bad.png")).unwrap();
    assert_ne!(inspect(root.path().to_str().unwrap(), None).unwrap().fingerprint, before);
}

#[test]
fn a_folder_without_splits_is_described_as_it_lies() {
    let root = pets();
    let info = inspect(root.path().join("train").to_str().unwrap(), None).unwrap();
    assert_eq!(info.splits, [("all".to_owned(), vec![4, 4])]);
    assert_eq!(info.leaks, []);
}

#[test]
fn generated_images_are_described() {
    let info = inspect("shapes", None).unwrap();
    assert_eq!((info.classes.len(), info.copies, info.leaks.len()), (10, 0, 0));
    assert_eq!(info.splits[0].1.iter().sum::<usize>(), 5000);
    assert!(inspect("nowhere", None).unwrap_err().to_string().contains("neither a dataset nor a folder"));
}

#[test]
fn every_file_is_verified() {
    let root = pets();
    let verify = || Candidates::of(root.path()).unwrap().verify(&|| ());
    assert_eq!((verify().files, verify().bad.len()), (10, 0));
    fs::write(root.path().join("train/cat/text.jpg"), "no image").unwrap();
    let png = fs::read(root.path().join("test/dog/9.png")).unwrap();
    fs::write(root.path().join("test/dog/9.png"), &png[..png.len() - 2]).unwrap();
    fs::write(root.path().join("train/notes.txt"), "ignored").unwrap();
    let verdict = verify();
    assert_eq!((verdict.files, verdict.kinds["PNG, RGB"]), (11, 9));
    let csv = String::from_utf8(bad_files_csv(&verdict.bad)).unwrap();
    assert_eq!(
        csv,
        "file,reason\ntest/dog/9.png,the file is cut off\ntrain/cat/text.jpg,\"not a JPEG, PNG or WebP file\"\n"
    );
    assert!(Candidates::of(&root.path().join("nowhere")).is_err());
}

#[test]
fn what_is_known_is_listed() {
    let root = tempfile::tempdir().unwrap();
    fs::rename(pets().keep(), root.path().join("pets")).unwrap();
    fs::create_dir(root.path().join("no-images")).unwrap();
    let listed = list(Some(root.path()));
    let place = |name: &str| listed.iter().find(|dataset| dataset.name == name).map(|dataset| dataset.place.clone());
    assert_eq!(place("pets"), Some(root.path().join("pets").display().to_string()));
    assert_eq!(place("no-images"), None);
    assert_eq!(place("shapes").as_deref(), Some("built in"));
    assert!(place("cifar10").is_some());
}
