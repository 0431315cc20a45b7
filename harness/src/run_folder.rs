//! What ties a plan to its results folder: the identity of its runs, and the check that a folder holds this plan and no other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use layers::Precision;
use serde::Serialize;
use toml::Table;

use crate::bounded;
use crate::config::{self, DataConfig, MeasureConfig, Plan, RunConfig, TimedModel, TimingPlan, TrainConfig};
use crate::data::{BadFile, ImageFile};
use crate::device::DeviceName;
use crate::error::{Error, Result};
use crate::measure::{command_line, machine_record};
use crate::noise;
use crate::results::{
    ExcludedRecord, FILES_CSV, FileRecord, ResultsFolder, RunFolder, RunIdentity, SCHEMA, WRITING, write_atomic,
};
use crate::{NUMERICS_VERSION, VERSION};

/// A run's config as it enters the digest in its name: initial weights by their digest, whatever their path, keys by their first names, and no
/// list of files, since the data's fingerprint tells which images they are.
#[derive(Serialize)]
struct Hashed<'a> {
    seed: u64,
    device: DeviceName,
    #[serde(skip_serializing_if = "is_f32")]
    precision: Precision,
    data: DataConfig,
    train: &'a TrainConfig,
    measure: MeasureConfig,
    model: Table,
}

impl<'a> Hashed<'a> {
    fn new(RunConfig { seed, device, precision, data, train, measure, model }: &'a RunConfig) -> Self {
        let mut model = model.clone();
        if let Some(init) = &mut model.init {
            init.path = PathBuf::new();
        }
        let version = model.architecture.version();
        let mut model = config::renamed::with_first_names(model.into());
        if version > 0 {
            model.insert("architecture_version".into(), version.into());
        }
        // Runs of the first version have names from before there were others.
        if NUMERICS_VERSION > 1 {
            model.insert("numerics_version".into(), NUMERICS_VERSION.into());
        }
        let data = DataConfig { files: None, ..data.clone() };
        Self { seed: *seed, device: *device, precision: *precision, data, train, measure: measure.of_run(), model }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

/// The run's name, `MODEL-sSEED-HASH`, and what its records begin with. The hash is over resolved config, data fingerprint and
/// program version: the same run has the same name everywhere.
pub fn identity(config: &RunConfig, data_fingerprint: &str, threads: usize) -> RunIdentity {
    let text = toml::to_string(&Hashed::new(config)).expect("a run's config is TOML");
    let mut hasher = blake3::Hasher::new();
    for part in [text.as_str(), data_fingerprint, VERSION] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    RunIdentity {
        schema: SCHEMA,
        run: format!("{}-s{}-{}", file_name(&config.model.name), config.seed, &hash[..10]),
        model: config.model.name.clone(),
        architecture: config.model.architecture.kind().to_owned(),
        seed: config.seed,
        data_fingerprint: data_fingerprint.to_owned(),
        version: VERSION.to_owned(),
        device: config.device.as_str().to_owned(),
        precision: config.precision.name().to_owned(),
        threads,
        numerics: NUMERICS_VERSION,
        recipe: recipe(config),
    }
}

/// Digest of the recipe, which does not depend on the model, the seed or the images.
fn recipe(config: &RunConfig) -> String {
    let text = toml::to_string(&config.train).expect("a recipe is TOML");
    let augment = toml::to_string(&config.data.augment).expect("augmentation is TOML");
    let mut hasher = blake3::Hasher::new();
    for part in [text.as_str(), augment.as_str(), &format!("{:?} {:?}", config.data.mean, config.data.std)] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    hasher.finalize().to_hex()[..10].to_owned()
}

/// A model's name as part of a file name: short, and letters, digits, dot, dash and underscore only.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().map(plain).take(40).collect()
}

/// Writes the list of files that were left out of the data beside the run's config, if there are any.
pub fn write_excluded(folder: &RunFolder, excluded: &[BadFile]) -> Result<()> {
    if excluded.is_empty() {
        return Ok(());
    }
    let record = |bad: &BadFile| ExcludedRecord { file: bad.file.clone(), reason: bad.reason.clone() };
    folder.write_excluded(&excluded.iter().map(record).collect::<Vec<_>>())
}

/// Writes the list of an image folder's files beside the run's config.
///
/// # Errors
/// If a file cannot be read or written.
pub fn write_files(folder: &RunFolder, files: Vec<ImageFile>) -> Result<()> {
    if files.is_empty() {
        return Ok(());
    }
    let record = |ImageFile { path, class, split, blake3 }| FileRecord { path, class, split: split.to_owned(), blake3 };
    folder.write_files(&files.into_iter().map(record).collect::<Vec<_>>())
}

/// Writes the run's `config.toml`.
pub fn write_config(folder: &RunFolder, config: &RunConfig) -> Result<()> {
    folder.create()?;
    let text = toml::to_string(&config.kept()).expect("a run's config is TOML");
    write_atomic(&folder.config_path(), text.as_bytes())
}

/// What the timing stage times of a folder: its models that have a completed run, with the sizes that the run had.
///
/// # Errors
/// If a record cannot be read.
pub fn timing_plan(folder: &ResultsFolder, plan: &Plan) -> Result<TimingPlan> {
    let mut models: Vec<TimedModel> = Vec::new();
    let mut device = plan.device;
    for run in folder.run_folders()? {
        let Some(record) = run.read_done()? else { continue };
        if models.iter().any(|timed| timed.model.name == record.identity.model) {
            continue;
        }
        let config = config::load_run(&run.config_path())?;
        device = config.device;
        models.push(TimedModel::of_run(&config, Some(record.classes)));
    }
    let order = plan.model_names();
    models.sort_by_key(|timed| order.iter().position(|name| *name == timed.model.name));
    Ok(TimingPlan { device, measure: plan.measure.clone(), models })
}

/// The results folder of `plan`, whose runs have the names `runs`. Creates it if it does not exist. A plan may replace another if all runs
/// in the folder are its runs as well, so a sweep may grow.
///
/// # Errors
/// If it holds the results of another plan, or cannot be written.
pub fn open(path: &Path, plan: &Plan, runs: &HashSet<&str>, threads: usize) -> Result<ResultsFolder> {
    let text = toml::to_string(&plan.kept()).expect("a plan is TOML");
    let plan_path = path.join("plan.toml");
    match bounded::read(&plan_path, config::MAX_BYTES) {
        Ok(present) => {
            let folder = ResultsFolder::create_or_open(path)?;
            let is_the_same = present == text.as_bytes();
            let strange = folder.run_folders()?.into_iter().find(|run| !runs.contains(run.name().as_str()));
            match strange {
                Some(run) if is_the_same => return Err(changed(path, &run)?),
                Some(run) => return Err(different(path, &run.name(), &String::from_utf8_lossy(&present), &text)),
                None => keep_files(&folder, plan)?,
            }
            if !is_the_same {
                write_atomic(&plan_path, text.as_bytes())?;
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            refuse_foreign_files(path)?;
            let folder = ResultsFolder::create_or_open(path)?;
            let machine = machine_record(plan.device, command_line(), threads);
            folder.write_machine(&machine)?;
            noise::keep(&folder, &machine)?;
            keep_files(&folder, plan)?;
            // Last, since its presence says that the folder is this plan's.
            write_atomic(&plan_path, text.as_bytes())?;
        }
        Err(error) => return Err(Error::io("read", &plan_path)(error)),
    }
    ResultsFolder::create_or_open(path)
}

/// Copies the plan's list of files, if it has one.
fn keep_files(folder: &ResultsFolder, plan: &Plan) -> Result<()> {
    let Some(list) = &plan.data.files else { return Ok(()) };
    let kept = folder.files_path();
    let text = std::fs::read(list).map_err(Error::io("read", list))?;
    if std::fs::read(&kept).is_ok_and(|present| present == text) { Ok(()) } else { write_atomic(&kept, &text) }
}

/// Refuses a folder with files that are not results, which was most likely named by mistake.
fn refuse_foreign_files(path: &Path) -> Result<()> {
    let Ok(mut entries) = std::fs::read_dir(path) else { return Ok(()) };
    // Other processes that start the same plan at this moment may have written more files.
    let known = ["runs", "machine.json", "noise.json", "plan.toml", "test_reads.csv", FILES_CSV];
    let is_ours = |name: &str| known.contains(&name) || name.starts_with(WRITING);
    let foreign = entries.find_map(|entry| entry.ok().filter(|e| !is_ours(&e.file_name().to_string_lossy())));
    match foreign {
        None => Ok(()),
        Some(entry) => Err(Error::input(
            format!("--out {}", path.display()),
            format!("the folder is not a results folder; it contains `{}`", entry.file_name().display()),
            "name a new or empty folder",
        )),
    }
}

/// The error for a config whose runs have other names than before.
fn changed(path: &Path, run: &RunFolder) -> Result<Error> {
    let before = match (run.read_done()?, run.read_failed()?) {
        (Some(record), _) => Some(record.identity.version),
        (None, Some(record)) => Some(record.identity.version),
        (None, None) => None,
    };
    let what = match before {
        Some(version) if version != VERSION => {
            format!("made by version {version} of the program, and this is {VERSION}")
        }
        Some(_) => "made from images that differ from the current ones".to_owned(),
        None => "made from images that differ from the current ones, or by another version of the program".to_owned(),
    };
    Ok(Error::input(
        format!("--out {}", path.display()),
        format!("run {}, which the folder holds, was {what}", run.name()),
        "choose another folder with --out, or delete this one",
    ))
}

fn different(path: &Path, run: &str, present: &str, wanted: &str) -> Error {
    let parse = |text: &str| text.parse::<Table>().map(toml::Value::Table);
    let difference = match (parse(present), parse(wanted)) {
        (Ok(present), Ok(wanted)) => first_difference("", &present, &wanted),
        _ => None,
    };
    let difference = difference.unwrap_or_else(|| "its `plan.toml` cannot be compared".to_owned());
    Error::input(
        format!("--out {}", path.display()),
        format!(
            "the folder holds the results of a different config: {difference}, and run {run} does not belong to this one"
        ),
        "choose another folder with --out, or delete this one",
    )
}

/// The first key whose values differ, with both.
fn first_difference(key: &str, there: &toml::Value, here: &toml::Value) -> Option<String> {
    use toml::Value::{Array, Table};
    let join = |part: &str| if key.is_empty() { part.to_owned() } else { format!("{key}.{part}") };
    match (there, here) {
        _ if there == here => None,
        (Table(a), Table(b)) => a.keys().chain(b.keys()).find_map(|part| match (a.get(part), b.get(part)) {
            (Some(there), Some(here)) => first_difference(&join(part), there, here),
            (Some(there), None) => Some(format!("{} is {there} there and absent here", join(part))),
            (None, Some(here)) => Some(format!("{} is absent there and {here} here", join(part))),
            (None, None) => None,
        }),
        (Array(a), Array(b)) if a.len() == b.len() => {
            (0..a.len()).find_map(|index| first_difference(&join(&index.to_string()), &a[index], &b[index]))
        }
        _ => Some(format!("{key} is {there} there and {here} here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_first_difference() {
        let value = |text: &str| toml::Value::Table(text.parse().unwrap());
        for (there, here, difference) in [
            ("a = 1\n[t]\nx = 1", "a = 1\n[t]\nx = 2", Some("t.x is 1 there and 2 here")),
            ("[[m]]\nd = 1", "[[m]]\nd = 3", Some("m.0.d is 1 there and 3 here")),
            ("a = 1", "a = 1\nb = 2", Some("b is absent there and 2 here")),
            ("a = 1\nb = 2", "a = 1", Some("b is 2 there and absent here")),
            ("a = [1]", "a = [1, 2]", Some("a is [1] there and [1, 2] here")),
            ("a = 1", "a = 1", None),
        ] {
            assert_eq!(first_difference("", &value(there), &value(here)).as_deref(), difference);
        }
    }

    /// Whatever is renamed in or added to a config, a finished run must keep its name. Otherwise it would be trained again.
    #[test]
    fn published_runs_keep_their_names() {
        let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published");
        let mut runs = 0;
        for folder in std::fs::read_dir(published).unwrap().map(|entry| entry.unwrap().path()) {
            if !folder.join("plan.toml").is_file() {
                continue;
            }
            for run in ResultsFolder::open(&folder).unwrap().run_folders().unwrap() {
                let config = config::load_run(&run.config_path()).unwrap();
                let record = std::fs::read_to_string(run.path().join("done.json")).unwrap();
                let record: RunIdentity = serde_json::from_str(&record).unwrap();
                assert_eq!(identity(&config, &record.data_fingerprint, record.threads).run, run.name());
                runs += 1;
            }
        }
        assert!(runs > 0, "there is nothing to test with");
    }

    #[test]
    fn names_of_models_are_fit_for_files() {
        assert_eq!(file_name("../vit <b>/ü"), ".._vit__b___");
        assert_eq!(file_name(&"x".repeat(300)).len(), 40);
    }
}
