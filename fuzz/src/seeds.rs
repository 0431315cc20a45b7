//! Whole, honest files to begin with.

use std::fs;
use std::path::{Path, PathBuf};

use vitbench::device::DeviceName;
use vitbench::weights::{self, WeightsFile};

use crate::target::Target;

/// A file to begin with, or one that was made of it.
#[derive(Debug, Clone)]
pub(crate) struct Seed {
    /// The file's name, which for records says what it holds.
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

/// Tables are cut to so many lines: one more teaches nothing.
const LINES: usize = 6;

/// The seeds of a reader, always in the same order.
pub(crate) fn seeds(target: Target) -> Vec<Seed> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = in_folder(&here.join("seeds").join(target.name()), "");
    match target {
        Target::Config => ["configs", "configs/published"]
            .iter()
            .for_each(|folder| seeds.extend(in_folder(&here.join("..").join(folder), ".toml"))),
        Target::Records => {
            let results = here.join("../results/published/quick");
            seeds.extend(in_folder(&results, "machine.json"));
            let runs = fs::read_dir(results.join("runs")).expect("published results have runs");
            for run in runs.flatten() {
                seeds.extend([".json", ".csv"].iter().flat_map(|end| in_folder(&run.path(), end)));
            }
            seeds.iter_mut().for_each(|seed| seed.bytes = first_lines(&seed.bytes, &seed.name));
        }
        Target::Weights => seeds.extend(models()),
        Target::Cifar => seeds.push(Seed { name: "records.bin".into(), bytes: vec![3; 2 * 3073] }),
        Target::Image | Target::List | Target::Tar | Target::Zip => {}
    }
    seeds.sort_by(|a, b| (&a.name, &a.bytes).cmp(&(&b.name, &b.bytes)));
    seeds
}

fn in_folder(folder: &Path, end: &str) -> Vec<Seed> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let seed = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let bytes = fs::read(entry.path()).ok().filter(|_| name.ends_with(end))?;
        Some(Seed { name, bytes })
    };
    entries.filter_map(seed).collect()
}

fn first_lines(bytes: &[u8], name: &str) -> Vec<u8> {
    if !name.ends_with(".csv") {
        return bytes.to_vec();
    }
    bytes.split_inclusive(|byte| *byte == b'\n').take(LINES).flatten().copied().collect()
}

/// The models of the parity fixtures, which are small and of every architecture, written by the program.
fn models() -> Vec<Seed> {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let device = DeviceName::Flex.open().expect("the default device is always there");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../harness/tests/fixtures");
    let entries = fs::read_dir(fixtures).expect("the fixtures are in the repository");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    let seed = |path: PathBuf| {
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let config = weights::described(&WeightsFile::open(&path).expect("fixtures can be read"));
        let (config, path) = (config.expect("fixtures describe their models"), folder.path().join(&name));
        weights::save(&path, &config, &config.init(0, &device)).expect("a temporary file can be written");
        Seed { name, bytes: fs::read(path).expect("it was just written") }
    };
    paths.into_iter().map(seed).collect()
}
