//! Whether the rows of the report are comparable: how the conditions of the completed runs differ, and what they have in common.

use std::collections::{BTreeMap, BTreeSet};

use super::figures::ModelFigures;
use super::names::{code, markdown_name};
use crate::results::{MachineRecord, ModelRuns, Run, RunRecord, TimingMode, by_model};

/// A Markdown list: first what differs, then what all runs had in common.
pub(crate) fn notes(runs: &[Run], disputed: &[String], figures: &[ModelFigures<'_>]) -> Vec<String> {
    let done: Vec<(&Run, &RunRecord)> = runs.iter().filter_map(|run| Some((run, run.done()?))).collect();
    if done.is_empty() {
        return vec!["- No run was completed, so there is nothing to compare.\n".to_owned()];
    }
    let models = by_model(runs);
    let (mut differences, same) = conditions(&done);
    let batches = batches(&done, &mut differences);
    differences.extend(models.iter().filter_map(mixed_model));
    differences.extend(seeds(&models));
    differences.extend(batch_sizes(figures));
    differences.extend(
        disputed.iter().map(|run| format!("run {} ended differently in two folders; the first is shown", code(run))),
    );

    let mut notes: Vec<String> =
        differences.into_iter().map(|difference| format!("- **Not directly comparable:** {difference}\n")).collect();
    notes.extend(several_revisions(&done));
    notes.extend(batches.map(|batches| format!("- {batches}\n")));
    notes.push(format!("- Same for all completed runs: {}.\n", same.join(", ")));
    notes
}

/// Compares the conditions of the runs. Returns those that differ as sentences, and those that are the same as phrases.
fn conditions(done: &[(&Run, &RunRecord)]) -> (Vec<String>, Vec<String>) {
    type Condition = (&'static str, fn(&RunRecord) -> String);
    const CONDITIONS: [Condition; 10] = [
        ("data fingerprint", |record| record.identity.data_fingerprint.clone()),
        ("training images", |record| record.train_images.to_string()),
        ("validation images", |record| record.val_images.to_string()),
        ("test images", |record| record.test_images.to_string()),
        ("classes", |record| record.classes.to_string()),
        ("device", |record| record.identity.device.clone()),
        ("precision", |record| record.identity.precision.clone()),
        ("threads", |record| record.identity.threads.to_string()),
        ("version", |record| record.identity.version.clone()),
        ("version of the numerics", |record| record.identity.numerics.to_string()),
    ];
    let (mut differences, mut same) = (Vec::new(), Vec::new());
    let mut compare = |name: &str, of: &dyn Fn(&Run, &RunRecord) -> String| {
        let groups = groups(done.iter().map(|(run, record)| (of(run, record), run.identity().model.as_str())));
        match groups.first_key_value() {
            Some((value, _)) if groups.len() == 1 => same.push(format!("{name} {}", code(value))),
            _ => differences.push(format!("the {name} differs: {}", listed(&groups))),
        }
    };
    for (name, of) in CONDITIONS {
        compare(name, &|_, record| of(record));
    }
    compare("number of epochs", &|run, _| run.epochs.len().to_string());
    // Older records lack these.
    if done.iter().all(|(run, _)| !run.identity().recipe.is_empty()) {
        compare("recipe", &|run, _| run.identity().recipe.clone());
    }
    let machines: Vec<&MachineRecord> = done.iter().filter_map(|(run, _)| run.machine.as_deref()).collect();
    if machines.len() == done.len() {
        // A brand may hide different CPUs, but older records do not know more.
        let all_known = machines.iter().all(|machine| machine.details.cpu_kind().is_some());
        compare("machine", &|run, _| {
            let machine = run.machine.as_ref().expect("every run has a machine here");
            let kind = machine.details.cpu_kind().filter(|_| all_known);
            let kind = kind.map_or_else(String::new, |kind| format!(" ({kind})"));
            format!("{}{kind}, {} logical CPUs", machine.cpu, machine.cpu_cores)
        });
        if machines.iter().all(|machine| machine.version == machines[0].version) {
            compare("revision", &|_, _| machines[0].version.clone());
        }
    }
    if done.iter().any(|(_, record)| record.jobs > 1) {
        compare("number of runs that trained at once, which affects training times,", &|_, record| {
            record.jobs.to_string()
        });
    }
    (differences, same)
}

/// A warning if the runs were made by several revisions of the program, which should compute the same but need not be as fast.
fn several_revisions(done: &[(&Run, &RunRecord)]) -> Option<String> {
    let machines = done.iter().filter_map(|(run, _)| Some((*run, run.machine.as_ref()?)));
    let groups = groups(machines.map(|(run, machine)| (machine.version.clone(), run.identity().model.as_str())));
    let numerics: BTreeSet<u32> = done.iter().map(|(_, record)| record.identity.numerics).collect();
    let same = match numerics.len() {
        1 => "; training computes the same in all of them",
        _ => "",
    };
    (groups.len() > 1)
        .then(|| format!("- **Several revisions** of the program made these runs{same}: {}\n", listed(&groups)))
}

/// Runs with the same seed should have seen the same training images in the same order. The digests of their batches show whether they
/// did.
fn batches(done: &[(&Run, &RunRecord)], differences: &mut Vec<String>) -> Option<String> {
    let mut seeds: BTreeMap<u64, Vec<(String, &str)>> = BTreeMap::new();
    for (run, record) in done {
        let digest = (record.batch_digest.clone(), run.identity().model.as_str());
        seeds.entry(run.identity().seed).or_default().push(digest);
    }
    let (mut digests, before) = (Vec::new(), differences.len());
    for (seed, runs) in seeds {
        let groups = groups(runs.into_iter());
        if groups.len() > 1 {
            differences.push(format!("the training batches of seed {seed} differ: {}", listed(&groups)));
        } else {
            digests.extend(groups.keys().map(|digest| format!("{} for seed {seed}", code(digest))));
        }
    }
    (differences.len() == before)
        .then(|| format!("All completed runs of a seed saw the same training batches (digest {}).", digests.join(", ")))
}

/// A note if runs with one name are different models or have the same seed, as when two versions of a config share a folder.
fn mixed_model(model: &ModelRuns<'_>) -> Option<String> {
    let name = markdown_name(model.model);
    let mut sizes = model.done().map(|(_, record)| &record.model_size);
    let first = sizes.next()?;
    if sizes.any(|size| size != first) {
        return Some(format!(
            "runs named {name} have models of different sizes; the tables show the size of the first run's model"
        ));
    }
    let mut seeds: Vec<u64> = model.done().map(|(run, _)| run.identity().seed).collect();
    seeds.sort_unstable();
    let all = seeds.len();
    seeds.dedup();
    (seeds.len() < all).then(|| format!("{name} has several runs with the same seed, which are treated as independent"))
}

/// A note if the models have different seeds: the means then differ for more reasons than the models.
fn seeds(models: &[ModelRuns<'_>]) -> Option<String> {
    let seeds = models.iter().filter(|model| model.done().next().is_some()).map(|model| {
        let mut seeds: Vec<u64> = model.done().map(|(run, _)| run.identity().seed).collect();
        seeds.sort_unstable();
        (seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", "), model.model)
    });
    let groups = groups(seeds);
    (groups.len() > 1).then(|| format!("the completed seeds differ: {}", listed(&groups)))
}

/// Throughput is that of the largest timed batch, which may be smaller for a model that needs more memory.
fn batch_sizes(models: &[ModelFigures<'_>]) -> Vec<String> {
    let mut differences = Vec::new();
    for (mode, name) in [(TimingMode::TrainStep, "training"), (TimingMode::Inference, "inference")] {
        let largest = |model: &ModelFigures<'_>| model.largest(mode).map(|row| row.batch_size.to_string());
        let sizes = models.iter().filter_map(|model| Some((largest(model)?, model.runs.model)));
        let groups = groups(sizes);
        if groups.len() > 1 {
            differences.push(format!("the largest batch timed in {name} differs: {}", listed(&groups)));
        }
    }
    differences
}

/// The models that share a value, by value.
fn groups<'a>(values: impl Iterator<Item = (String, &'a str)>) -> BTreeMap<String, Vec<&'a str>> {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (value, model) in values {
        let models = groups.entry(value).or_default();
        if !models.contains(&model) {
            models.push(model);
        }
    }
    groups
}

fn listed(groups: &BTreeMap<String, Vec<&str>>) -> String {
    const SHOWN: usize = 6;
    let group = |(value, models): (&String, &Vec<&str>)| {
        let mut names: Vec<String> = models.iter().take(SHOWN).map(|model| markdown_name(model)).collect();
        if models.len() > SHOWN {
            names.push(format!("{} more", models.len() - SHOWN));
        }
        format!("{} ({})", code(value), names.join(", "))
    };
    groups.iter().map(group).collect::<Vec<_>>().join("; ")
}
