//! A digest of a dataset, which tells whether two runs used the same data.

use super::dataset::BadFile;
use super::images::Images;

/// BLAKE3 digest, in hex, of the image size, the class names, the labels and pixels of the three splits in order, and the names of
/// the files that were left out.
///
/// It does not depend on the names of other files, on the number of threads or on the machine, as long as the pixels do not.
pub(super) fn fingerprint(classes: &[String], splits: [&Images; 3], excluded: &[BadFile]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("vitbench 2025 dataset fingerprint 1");
    let number = |hasher: &mut blake3::Hasher, number: usize| {
        hasher.update(&(number as u64).to_le_bytes());
    };
    // Every list is preceded by its length, so that different datasets never hash the same bytes.
    number(&mut hasher, splits[0].size());
    number(&mut hasher, classes.len());
    for class in classes {
        number(&mut hasher, class.len());
        hasher.update(class.as_bytes());
    }
    for images in splits {
        number(&mut hasher, images.len());
        for label in images.labels() {
            hasher.update(&label.to_le_bytes());
        }
        for index in 0..images.len() {
            hasher.update(images.pixels(index));
        }
    }
    // Hashed only if there are any, so that the fingerprint of a dataset without bad files matches that of earlier versions.
    for bad in excluded {
        number(&mut hasher, bad.file.len());
        hasher.update(bad.file.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_counts() {
        let classes = |names: [&str; 2]| names.map(String::from);
        let images = |label: u32, value: u8| Images::new(1, vec![value; 3], vec![label], vec!["x".into()]);
        let (a, none) = (images(0, 1), Images::empty(1));
        let bad = |file: &str| BadFile { file: file.into(), reason: "bad".into() };
        let all = [
            fingerprint(&classes(["a", "b"]), [&a, &none, &a], &[]),
            fingerprint(&classes(["ab", ""]), [&a, &none, &a], &[]),
            fingerprint(&classes(["a", "b"]), [&a, &a, &none], &[]),
            fingerprint(&classes(["a", "b"]), [&images(1, 1), &none, &a], &[]),
            fingerprint(&classes(["a", "b"]), [&images(0, 2), &none, &a], &[]),
            fingerprint(&classes(["a", "b"]), [&a, &none, &a], &[bad("x")]),
            fingerprint(&classes(["a", "b"]), [&a, &none, &a], &[bad("x"), bad("y")]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert_eq!(one.len(), 64);
            assert_eq!(all.iter().filter(|other| *other == one).count(), 1, "{i}");
        }
    }
}
