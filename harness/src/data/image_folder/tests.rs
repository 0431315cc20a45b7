//! Tests the layouts of image folders, their splits, and bad files.

use std::fs;

use image::{DynamicImage, Rgb, RgbImage};

use super::*;
use crate::data::Dataset;
use crate::data::folders::Folders;
use crate::data::load::load_from;

/// Writes a single-colour image in the format of the extension.
fn write(root: &Path, name: &str, value: u8) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(6, 4, Rgb([value; 3])).save(path).unwrap();
}

fn write_classes(root: &Path, folder: &str, classes: &[&str], each: u8) {
    for class in classes {
        for i in 0..each {
            write(root, &format!("{folder}/{class}/{i}.png"), 10 * i);
        }
    }
}

fn read(root: &Path, more: &str) -> Result<Dataset> {
    let table = format!("dataset = 'image_folder'\npath = 'pets'\nimage_size = 4\n{more}");
    let folders = Folders { data: vec!["/nowhere".into(), root.parent().unwrap().into()], decoded: None };
    load_from(&toml::from_str(&table).unwrap(), &folders)
}

fn error(root: &Path) -> String {
    read(root, "").map(|_| "loaded").unwrap_err().to_string()
}

fn sizes(data: &Dataset) -> [usize; 3] {
    [data.train.len(), data.val.len(), data.test.len()]
}

/// An empty folder `pets`, deleted when the guard is dropped.
fn pets() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("pets");
    fs::create_dir(&root).unwrap();
    (parent, root)
}

#[test]
fn given_splits_are_taken() {
    let (_guard, root) = pets();
    write_classes(&root, "train", &["dog", "cat"], 10);
    write_classes(&root, "val", &["dog", "cat"], 2);
    let data = read(&root, "val_fraction = 0.1").unwrap();
    assert_eq!(data.classes, ["cat", "dog"]);
    assert_eq!(sizes(&data), [18, 2, 4], "without test, val is the test set");
    assert_eq!(data.test.names(), ["val/cat/0.png", "val/cat/1.png", "val/dog/0.png", "val/dog/1.png"]);
    assert_eq!(data.test.labels(), [0, 0, 1, 1]);
    assert_eq!(data.test.pixels(3), [10; 48]);

    write_classes(&root, "test", &["dog", "cat"], 3);
    assert_eq!(sizes(&read(&root, "val_fraction = 0.1").unwrap()), [20, 4, 6], "with test, val is the validation set");
    assert_eq!(sizes(&read(&root, "val_fraction = 0.0").unwrap()), [20, 0, 6], "no validation asked for");
    assert_eq!(sizes(&read(&root, "train_limit = 10\ntest_limit = 2").unwrap()), [10, 4, 2]);
}

#[test]
fn a_folder_of_classes_is_split() {
    let (_guard, root) = pets();
    write_classes(&root, ".", &["cat", "dog", "eel"], 10);
    let data = read(&root, "test_fraction = 0.3\nval_fraction = 0.0").unwrap();
    assert_eq!(sizes(&data), [21, 0, 9]);
    let mut names = [data.train.names(), data.test.names()].concat();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 30, "no image is in two splits");
    assert_eq!(data.test.labels(), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
    let again = read(&root, "test_fraction = 0.3\nval_fraction = 0.0").unwrap();
    assert_eq!(again.fingerprint, data.fingerprint);
    let other = read(&root, "test_fraction = 0.3\nval_fraction = 0.0\nsplit_seed = 1").unwrap();
    assert_ne!(other.test.names(), data.test.names());
}

#[test]
fn flat_files_are_classed_by_their_names() {
    let (_guard, root) = pets();
    for i in 0..5 {
        write(&root, &format!("dog.{i}.jpg"), 50);
        write(&root, &format!("cat.{i}.webp"), 200);
    }
    let data = read(&root, "test_fraction = 0.4\nval_fraction = 0.0").unwrap();
    assert_eq!(data.classes, ["cat", "dog"]);
    assert_eq!(sizes(&data), [6, 0, 4]);
    assert_eq!(data.train.labels(), [0, 0, 0, 1, 1, 1]);
    assert!(data.train.pixels(0)[0].abs_diff(200) < 4 && data.train.pixels(5)[0].abs_diff(50) < 4);

    write(&root, "holiday.png", 0);
    assert!(error(&root).contains("holiday.png: the file name does not say which class"), "{}", error(&root));
}

#[test]
fn every_kind_of_pixel_becomes_rgb() {
    let (_guard, root) = pets();
    write_classes(&root, ".", &["b"], 5);
    fs::create_dir(root.join("a")).unwrap();
    let image = DynamicImage::from(RgbImage::from_pixel(3, 3, Rgb([100; 3])));
    image.to_luma8().save(root.join("a/0.png")).unwrap();
    image.to_luma_alpha8().save(root.join("a/1.png")).unwrap();
    image.to_rgba8().save(root.join("a/2.png")).unwrap();
    image.to_rgb16().save(root.join("a/3.png")).unwrap();
    // A PNG with the extension of a JPEG is decoded as a PNG.
    fs::copy(root.join("a/0.png"), root.join("a/4.jpg")).unwrap();
    let data = read(&root, "val_fraction = 0.0").unwrap();
    for split in [&data.train, &data.test] {
        for i in (0..split.len()).filter(|&i| split.labels()[i] == 0) {
            assert_eq!(split.pixels(i), [100; 48], "{}", split.names()[i]);
        }
    }
}

#[test]
fn what_is_hidden_or_no_image_is_passed_over() {
    let (_guard, root) = pets();
    write_classes(&root, ".", &["cat", "dog"], 5);
    write(&root, ".thumbnails/1.png", 0);
    write(&root, "cat/.hidden.png", 0);
    fs::write(root.join("cat/Thumbs.db"), "x").unwrap();
    fs::write(root.join("README.md"), "x").unwrap();
    assert_eq!(sizes(&read(&root, "val_fraction = 0.0").unwrap()), [8, 0, 2]);
}

#[test]
fn files_that_do_not_decode_are_named() {
    let (_guard, root) = pets();
    write_classes(&root, ".", &["cat", "dog"], 5);
    write(&root, "dog/whole.jpg", 9);
    let jpeg = fs::read(root.join("dog/whole.jpg")).unwrap();
    fs::write(root.join("dog/broken.jpg"), &jpeg[..jpeg.len() / 3]).unwrap();
    let one = error(&root);
    assert!(one.contains("1 of ") && one.contains("\n    dog/broken.jpg: "), "{one}");
    for i in 0..20 {
        fs::write(root.join(format!("cat/bad{i}.png")), "no image").unwrap();
    }
    let many = read(&root, "test_fraction = 0.1").map(|_| "loaded").unwrap_err().to_string();
    assert_eq!(many.lines().filter(|line| line.starts_with("    ") && line.contains(": ")).count(), 10, "{many}");
    assert!(many.contains("\n    ...\n"), "{many}");
}

#[test]
fn a_header_that_claims_gigabytes_is_refused() {
    let (_guard, root) = pets();
    write_classes(&root, ".", &["cat", "dog"], 5);
    // Bytes 16 to 23 of a PNG hold width and height. The header's checksum follows its 17 bytes.
    let mut png = fs::read(root.join("cat/0.png")).unwrap();
    png[16..20].copy_from_slice(&25_000_u32.to_be_bytes());
    png[20..24].copy_from_slice(&25_000_u32.to_be_bytes());
    let checksum = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&checksum.to_be_bytes());
    for class in ["cat", "dog"] {
        for i in 0..5 {
            fs::write(root.join(format!("{class}/{i}.png")), &png).unwrap();
        }
    }
    assert!(error(&root).contains("has 25000 x 25000 pixels, which take 1788 MiB to decode"), "{}", error(&root));
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn bad_files_are_left_out_where_the_config_says_so() {
    let (_guard, root) = pets();
    write_classes(&root, "train", &["cat", "dog"], 5);
    write_classes(&root, "test", &["cat", "dog"], 3);
    let whole = read(&root, "val_fraction = 0.0\non_bad_file = 'exclude'").unwrap();
    assert_eq!(whole.fingerprint, read(&root, "val_fraction = 0.0").unwrap().fingerprint);
    assert!(whole.excluded.is_empty());

    fs::write(root.join("train/cat/2.png"), "no image").unwrap();
    fs::write(root.join("test/dog/0.png"), "").unwrap();
    let message = error(&root);
    assert!(message.contains("1 of 10 images cannot be decoded") && message.contains("on_bad_file"), "{message}");
    let data = read(&root, "val_fraction = 0.0\non_bad_file = 'exclude'").unwrap();
    assert_eq!(sizes(&data), [9, 0, 5]);
    let names: Vec<&str> = data.excluded.iter().map(|bad| bad.file.as_str()).collect();
    assert_eq!(names, ["train/cat/2.png", "test/dog/0.png"]);
    assert!(data.train.names().iter().chain(data.test.names()).all(|name| !names.contains(&name.as_str())));
    assert_eq!(data.train.labels(), [0, 0, 0, 0, 1, 1, 1, 1, 1]);
    assert_eq!(data.train.pixels(2), [30; 48], "the pixels move up with the names");

    // The fingerprint includes the excluded files, so deleting them changes it although the images stay the same.
    fs::remove_file(root.join("train/cat/2.png")).unwrap();
    fs::remove_file(root.join("test/dog/0.png")).unwrap();
    let without = read(&root, "val_fraction = 0.0\non_bad_file = 'exclude'").unwrap();
    assert_eq!(without.train, data.train);
    assert_ne!(without.fingerprint, data.fingerprint);

    for i in 0..5 {
        fs::write(root.join(format!("train/cat/{i}.png")), "no image").unwrap();
    }
    let message = read(&root, "on_bad_file = 'exclude'").map(|_| "loaded").unwrap_err().to_string();
    assert!(message.contains("5 of 10 images cannot be decoded"), "a class must keep at least one image: {message}");
}

#[cfg(unix)]
#[test]
fn links_are_followed_only_inside_the_folder() {
    use std::os::unix::fs::symlink;

    let (guard, root) = pets();
    write_classes(&root, "train", &["cat", "dog"], 5);
    write(guard.path(), "elsewhere/1.png", 0);
    symlink(root.join("train"), root.join("test")).unwrap();
    assert_eq!(sizes(&read(&root, "val_fraction = 0.0").unwrap()), [10, 0, 10]);
    symlink(guard.path().join("elsewhere"), root.join("train/eel")).unwrap();
    let message = error(&root);
    assert!(message.contains("train/eel: is a link to a folder outside") && message.contains("pets"), "{message}");
    fs::remove_file(root.join("train/eel")).unwrap();
    fs::remove_file(root.join("test")).unwrap();
    symlink(guard.path().join("elsewhere"), root.join("test")).unwrap();
    assert!(error(&root).contains("pets/test: is a link to a folder outside"), "{}", error(&root));
}

#[test]
fn folders_that_make_no_dataset_are_refused() {
    let (_guard, root) = pets();
    assert!(error(&root).contains("found 0 class(es), expected at least 2"), "{}", error(&root));
    write_classes(&root, ".", &["cat"], 5);
    assert!(error(&root).contains("found 1 class(es)"), "{}", error(&root));
    fs::create_dir(root.join("dog")).unwrap();
    assert!(error(&root).contains("pets/dog: this class folder contains no"), "{}", error(&root));
    write(&root, "dog/puppies/1.png", 0);
    assert!(error(&root).contains("dog/puppies: is a folder inside a class folder"), "{}", error(&root));
    fs::remove_dir_all(root.join("dog/puppies")).unwrap();
    write_classes(&root, ".", &["dog"], 5);
    write(&root, "stray.png", 0);
    assert!(error(&root).contains("stray.png: is next to class folders"), "{}", error(&root));
}

#[test]
fn splits_must_have_the_same_classes() {
    let (_guard, root) = pets();
    write_classes(&root, "train", &["cat", "dog", "eel"], 2);
    write_classes(&root, "test", &["cat", "dog", "fox"], 2);
    let error = error(&root);
    assert!(
        error.contains("pets/test: its classes differ from those of")
            && error.contains("only here fox, only there eel"),
        "{error}"
    );
}

#[test]
fn an_absent_folder_is_asked_for() {
    let parent = tempfile::tempdir().unwrap();
    let error = error(&parent.path().join("pets"));
    assert!(error.starts_with("data.path: folder `pets` does not exist; tried `/nowhere/pets`, "), "{error}");
}

#[test]
fn the_real_cats_and_dogs_are_read() {
    let packed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cats-vs-dogs/cats-vs-dogs.tar");
    if !packed.is_file() {
        testing::skipped("reading real photos of cats and dogs", "no ../shared/data/cats-vs-dogs/cats-vs-dogs.tar");
        return;
    }
    let (_guard, root) = pets();
    let unpacked = std::process::Command::new("tar").arg("-xf").arg(packed).arg("-C").arg(&root).status().unwrap();
    assert!(unpacked.success());
    let data = read(&root, "train_limit = 300\ntest_limit = 100").unwrap();
    assert_eq!(data.classes, ["cat", "dog"]);
    assert_eq!(sizes(&data), [270, 30, 100]);
    assert_eq!(data.test.labels().iter().sum::<u32>(), 50);
}
