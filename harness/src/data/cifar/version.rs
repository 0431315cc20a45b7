//! Names, sizes and digests of the files of both datasets.

use super::classes;

/// Height and width of the images, in pixels.
pub(super) const SIZE: usize = 32;

/// Bytes of a record after its labels: three colour planes.
pub(super) const IMAGE_BYTES: usize = SIZE * SIZE * 3;

/// A file that is used only if its length and SHA-256 match.
#[derive(Debug)]
pub(in crate::data) struct PinnedFile {
    pub(in crate::data) name: &'static str,
    /// Number of images.
    pub(super) records: usize,
    /// SHA-256, in lower-case hex.
    pub(in crate::data) sha256: &'static str,
}

/// One of the datasets.
#[derive(Debug)]
pub(in crate::data) struct Version {
    pub(in crate::data) name: &'static str,
    /// Subfolders of a data folder that may hold the files, besides the data folder itself.
    pub(in crate::data) subfolders: [&'static str; 2],
    /// URL of the official archive.
    pub(in crate::data) url: &'static str,
    /// Length of the official archive, in bytes.
    pub(in crate::data) archive_bytes: u64,
    /// SHA-256 of the official archive, in lower-case hex.
    pub(in crate::data) archive_sha256: &'static str,
    /// Number of label bytes at the start of a record.
    pub(in crate::data) label_bytes: usize,
    pub(in crate::data) classes: &'static [&'static str],
    pub(in crate::data) train: &'static [PinnedFile],
    pub(in crate::data) test: &'static [PinnedFile],
}

impl Version {
    /// The files of both splits.
    pub(in crate::data) fn files(&self) -> impl Iterator<Item = &PinnedFile> {
        self.train.iter().chain(self.test)
    }

    /// Number of training and of test images.
    pub(in crate::data) fn counts(&self) -> [usize; 2] {
        [self.train, self.test].map(|files| files.iter().map(|file| file.records).sum())
    }

    /// Number of images in both splits.
    pub(in crate::data) fn records(&self) -> usize {
        self.counts().iter().sum()
    }

    /// Length of a file, in bytes.
    pub(in crate::data) fn file_bytes(&self, file: &PinnedFile) -> u64 {
        (file.records * (self.label_bytes + IMAGE_BYTES)) as u64
    }

    /// Length of all files together, in bytes.
    pub(in crate::data) fn bytes(&self) -> u64 {
        self.files().map(|file| self.file_bytes(file)).sum()
    }

    /// The help text for missing or damaged files.
    pub(in crate::data) fn how_to_get(&self) -> String {
        let Self { subfolders: [name, _], url, .. } = self;
        format!("run `vitbench data fetch {name}`, or unpack {url} into a folder and pass that folder with --data-dir")
    }
}

/// CIFAR-10.
pub(in crate::data) const CIFAR10: Version = Version {
    name: "CIFAR-10",
    subfolders: ["cifar10", "cifar-10-batches-bin"],
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    archive_bytes: 170_052_171,
    archive_sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    label_bytes: 1,
    classes: &classes::CIFAR10,
    train: &[
        PinnedFile {
            name: "data_batch_1.bin",
            records: 10_000,
            sha256: "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        },
        PinnedFile {
            name: "data_batch_2.bin",
            records: 10_000,
            sha256: "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        },
        PinnedFile {
            name: "data_batch_3.bin",
            records: 10_000,
            sha256: "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        },
        PinnedFile {
            name: "data_batch_4.bin",
            records: 10_000,
            sha256: "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        },
        PinnedFile {
            name: "data_batch_5.bin",
            records: 10_000,
            sha256: "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        },
    ],
    test: &[PinnedFile {
        name: "test_batch.bin",
        records: 10_000,
        sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    }],
};

/// CIFAR-100, whose records have a coarse label before the fine one.
pub(in crate::data) const CIFAR100: Version = Version {
    name: "CIFAR-100",
    subfolders: ["cifar100", "cifar-100-binary"],
    url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    archive_bytes: 168_513_733,
    archive_sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    label_bytes: 2,
    classes: &classes::CIFAR100,
    train: &[PinnedFile {
        name: "train.bin",
        records: 50_000,
        sha256: "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
    }],
    test: &[PinnedFile {
        name: "test.bin",
        records: 10_000,
        sha256: "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
    }],
};
