//! Files that PyTorch wrote, and what is made of them.

mod damage;
mod fitting;
mod layouts;

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::Device;
use tempfile::TempDir;

use super::{Values, WeightsFile, described, encode};
use crate::architecture::{Architecture, ArchitectureConfig};

/// The names of all fixtures.
fn fixtures() -> Vec<String> {
    let entries = std::fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")).unwrap();
    let name = |path: PathBuf| Some(path.file_name()?.to_str()?.strip_suffix(".safetensors")?.to_owned());
    entries.filter_map(|entry| name(entry.unwrap().path())).collect()
}

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.safetensors"))
}

/// A fixture's model and its weights under PyTorch's names.
fn pytorch(name: &str) -> (ArchitectureConfig, BTreeMap<String, Values>) {
    let file = WeightsFile::open(&fixture(name)).unwrap();
    let weights = file.part("weight.");
    let tensors = weights.names().map(|name| (name.to_owned(), weights.read(name).unwrap())).collect();
    (described(&file).unwrap(), tensors)
}

fn model(config: &ArchitectureConfig) -> Architecture {
    config.init(7, &Device::flex())
}

/// A folder for the files of a test.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file with these tensors, and nothing said of their model.
    fn put(&self, tensors: &BTreeMap<String, Values>) -> PathBuf {
        self.put_bytes(&encode::encode(&BTreeMap::new(), tensors))
    }

    fn put_bytes(&self, bytes: &[u8]) -> PathBuf {
        let path = self.path("weights.safetensors");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}
