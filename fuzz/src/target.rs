//! The readers, each behind the door that users take.

use std::fs;
use std::path::Path;

use vitbench::config;
use vitbench::data::{self, Candidates, Fetch, Fetchable};
use vitbench::error::{Error, Result};
use vitbench::results::{ResultsFolder, RunFolder, Stage};
use vitbench::weights::{TargetLayout, convert};

use crate::mend;
use crate::seeds::Seed;

/// A reader of files from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Target {
    /// The files of CIFAR, of which only the official ones are taken
    Cifar,
    /// A TOML config
    Config,
    /// A photo in an image folder
    Image,
    /// A list of the files of an image folder
    List,
    /// The records of a run
    Records,
    /// An archive of CIFAR
    Tar,
    /// A file of weights, those of checkpoints included
    Weights,
    /// An archive of photos
    Zip,
}

/// What a reader says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is what it should be.
    Taken,
    /// It is not, for this reason.
    Refused(String),
}

/// A photo that nothing is wrong with.
const GOOD_IMAGE: &[u8] = include_bytes!("../seeds/image/rgb.png");

impl Target {
    pub(crate) const ALL: [Self; 8] =
        [Self::Cifar, Self::Config, Self::Image, Self::List, Self::Records, Self::Tar, Self::Weights, Self::Zip];

    /// As `--target` and the folders of seeds have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cifar => "cifar",
            Self::Config => "config",
            Self::Image => "image",
            Self::List => "list",
            Self::Records => "records",
            Self::Tar => "tar",
            Self::Weights => "weights",
            Self::Zip => "zip",
        }
    }

    /// Whether a seed is to be taken: of those that were found by feeding, the name says if they are not.
    pub(crate) fn takes(self, seed: &Seed) -> bool {
        !matches!(self, Self::Cifar | Self::Tar) && !seed.name.starts_with("refused")
    }

    /// The file that is made of an input: archives of `tar` are changed before they are compressed.
    pub(crate) fn file(self, input: &Seed) -> Vec<u8> {
        if input.name.ends_with(".tar") { mend::gzip(&input.bytes) } else { input.bytes.clone() }
    }

    /// Puts checksums and lengths right, so that what was changed is not refused for them.
    pub(crate) fn mend(self, bytes: &mut Vec<u8>) {
        match self {
            Self::Image => mend::image(bytes),
            Self::Tar => mend::tar(bytes),
            Self::Weights => mend::safetensors(bytes),
            Self::Cifar | Self::Config | Self::List | Self::Records | Self::Zip => {}
        }
    }

    /// How often a file is read from its beginning to its end for one answer.
    pub(crate) fn passes(self) -> u32 {
        match self {
            Self::Image | Self::Weights | Self::Config => 2,
            Self::Cifar | Self::List | Self::Records | Self::Tar | Self::Zip => 1,
        }
    }

    /// What the reader says of a file of this name and content; `place` is a folder to work in. An error is a fault of the reader.
    pub(crate) fn read(self, name: &str, bytes: &[u8], place: &Path) -> Result<Answer, String> {
        match self {
            Self::Cifar => cifar(bytes, place),
            Self::Config => config(bytes),
            Self::Image => image(bytes, place),
            Self::List => list(bytes, place),
            Self::Records => Ok(answer(record(name, bytes, place))),
            Self::Tar => fetched(Fetchable::Cifar10, bytes, place),
            Self::Weights => weights(bytes, place),
            Self::Zip => fetched(Fetchable::CatsVsDogs, bytes, place),
        }
    }
}

fn answer<T>(outcome: Result<T>) -> Answer {
    match outcome {
        Ok(_) => Answer::Taken,
        Err(error) => Answer::Refused(error.to_string()),
    }
}

fn write(path: &Path, bytes: &[u8]) {
    let folder = path.parent().expect("the path was joined to a folder");
    fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes)).expect("a temporary file can be written");
}

/// Photos are decoded, and what verifying says of them agrees with what loading does.
fn image(bytes: &[u8], place: &Path) -> Result<Answer, String> {
    let folder = place.join("photos");
    if !folder.is_dir() {
        for good in ["train/a/0.png", "test/a/0.png", "test/b/0.png"] {
            write(&folder.join(good), GOOD_IMAGE);
        }
    }
    write(&folder.join("train/b/0.jpg"), bytes);
    let table = "dataset = 'image_folder'\npath = 'photos'\nimage_size = 8\nval_fraction = 0.0";
    let loaded = data::load(&toml::from_str(table).expect("the table is well-formed"), Some(place));
    let verdict = Candidates::of(&folder.join("train/b")).map_err(|error| error.to_string())?.verify(&|| ());
    match (loaded, verdict.bad.first()) {
        (Ok(_), None) => Ok(Answer::Taken),
        (Err(error @ Error::Damaged { .. }), Some(bad)) if error.to_string().contains(&bad.reason) => {
            Ok(Answer::Refused(bad.reason.clone()))
        }
        (loaded, bad) => Err(format!("loading says {:?}, verifying says {bad:?}", answer(loaded))),
    }
}

/// A list brings nothing but images of its folder.
fn list(bytes: &[u8], place: &Path) -> Result<Answer, String> {
    let folder = place.join("photos");
    if !folder.is_dir() {
        write(&place.join("outside.png"), GOOD_IMAGE);
        for good in ["a/0.png", "a/1.png", "b/0.png", "b/1.png"] {
            write(&folder.join(good), GOOD_IMAGE);
        }
    }
    write(&place.join("list.csv"), bytes);
    let table = "dataset = 'image_folder'\npath = 'photos'\nimage_size = 8\nval_fraction = 0.0";
    let mut config: config::DataConfig = toml::from_str(table).expect("the table is well-formed");
    config.files = Some(place.join("list.csv"));
    match data::load(&config, Some(place)) {
        Ok(data) if data.train.names().iter().chain(data.test.names()).any(|name| name.contains("outside")) => {
            Err("a file outside the folder was read".into())
        }
        loaded => Ok(answer(loaded)),
    }
}

/// Nothing but the official files is taken.
fn cifar(bytes: &[u8], place: &Path) -> Result<Answer, String> {
    let folder = place.join("cifar10");
    write(&folder.join("data_batch_1.bin"), bytes);
    let verdict = Candidates::of(&folder).map_err(|error| error.to_string())?.verify(&|| ());
    let about = verdict.bad.iter().find(|bad| bad.file == "data_batch_1.bin");
    let loaded = data::load(&toml::from_str("dataset = 'cifar10'").expect("the table is well-formed"), Some(place));
    match (about, loaded) {
        (Some(bad), Err(_)) => Ok(Answer::Refused(bad.reason.clone())),
        _ => Err("what is not CIFAR is taken for it".into()),
    }
}

/// Archives: what is unpacked lies where it should, and of what is refused nothing is left.
fn fetched(dataset: Fetchable, bytes: &[u8], place: &Path) -> Result<Answer, String> {
    let (archive, folder) = (place.join("archive"), place.join("data"));
    write(&archive, bytes);
    let request = Fetch { dataset, from: archive.to_str(), to: Some(&folder) };
    let answer = answer(data::fetch(&request, &mut |_| ()));
    let beside = names(place);
    if beside.iter().any(|name| !["archive", "current", "data"].contains(&name.as_str())) {
        return Err(format!("something was written outside the folder: {beside:?}"));
    }
    let mut left = names(&folder);
    left.retain(|name| !name.ends_with(".lock"));
    match (&answer, left.as_slice()) {
        (Answer::Refused(_), []) => return Ok(answer),
        (Answer::Taken, [one]) if one == "cats-vs-dogs" => {}
        _ => return Err(format!("{answer:?}, and the folder holds {left:?}")),
    }
    let photos = folder.join("cats-vs-dogs");
    for class in names(&photos) {
        for name in names(&photos.join(&class)) {
            let number = name.strip_prefix(&format!("{class}.")).and_then(|rest| rest.strip_suffix(".jpg"));
            if !number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
                return Err(format!("`{class}/{name}` was unpacked"));
            }
        }
    }
    fs::remove_dir_all(photos).expect("a temporary folder can be deleted");
    Ok(answer)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// A config that is taken says the same when it is written and read again.
fn config(bytes: &[u8]) -> Result<Answer, String> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(Answer::Refused("no text".into())) };
    let timed = config::parse_timing(text, "config", &[]);
    let plan = match config::parse(text, "config", &[]) {
        Ok(plan) => plan,
        // A config for timing names no images.
        Err(error) => return Ok(timed.map_or_else(|_| Answer::Refused(error.to_string()), |_| Answer::Taken)),
    };
    let written = toml::to_string(&plan).map_err(|error| error.to_string())?;
    match config::parse(&written, "config", &[]) {
        Ok(again) if again == plan => Ok(Answer::Taken),
        outcome => Err(format!("written and read again it is {outcome:?}")),
    }
}

/// Weights that are taken and written are taken again, and are then the same to the byte.
fn weights(bytes: &[u8], place: &Path) -> Result<Answer, String> {
    let [file, first, second] = ["given", "first", "second"].map(|name| place.join(name).with_extension("safetensors"));
    write(&file, bytes);
    if let Err(error) = convert(&file, TargetLayout::Ours, &first) {
        return Ok(Answer::Refused(error.to_string()));
    }
    convert(&first, TargetLayout::Ours, &second).map_err(|error| error.to_string())?;
    match fs::read(first).ok() == fs::read(second).ok() {
        true => Ok(Answer::Taken),
        false => Err("weights change when they are written twice".into()),
    }
}

fn record(name: &str, bytes: &[u8], place: &Path) -> Result<()> {
    write(&place.join("runs/run").join(name), bytes);
    let run = RunFolder::open(place.join("runs/run"))?;
    match name {
        "done.json" => run.read_done().map(drop),
        "failed.json" => run.read_failed().map(drop),
        "epochs.csv" => run.read_epochs().map(drop),
        "timing.csv" => run.read_timing().map(drop),
        "predictions.csv" => run.read_compact_predictions().and_then(|_| run.read_predictions()).map(drop),
        "parts.csv" => run.read_parts().map(drop),
        "excluded.csv" => run.read_excluded().map(drop),
        "files.csv" => run.read_files().map(drop),
        "images.csv" => {
            write(&place.join("runs/run/images.png"), GOOD_IMAGE);
            run.read_images().map(drop)
        }
        _ => {
            write(&place.join(name), bytes);
            let folder = ResultsFolder::open(place)?;
            match name {
                "noise.json" => folder.read_noise().map(drop),
                "blocks.csv" | "timing.json" => Stage::read(&folder).map(drop),
                "test_reads.csv" => folder.read_test_reads().map(drop),
                _ => folder.read_machine().map(drop),
            }
        }
    }
}
