//! Reading the runs of a folder.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;

use super::folder::{ResultsFolder, RunFolder};
use super::records::{EpochRecord, FailureRecord, MachineRecord, RunIdentity, RunRecord};
use super::samples::{PartSample, TimingSample};
use super::timing::TimingSummary;
use crate::error::{Error, Result};

/// A run that has ended, with its records. The predictions, which are as many as there are test images, stay on disk until
/// [`RunFolder::read_predictions`] is asked for them.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where its records stand.
    pub folder: RunFolder,
    /// A row per epoch, as far as it came.
    pub epochs: Vec<EpochRecord>,
    /// Raw times; none if the run was not timed. They must not change once [`timings`](Self::timings) was called.
    pub timing: Vec<TimingSample>,
    /// Raw times of the parts of a training step; none in older records.
    pub parts: Vec<PartSample>,
    /// The result of [`timings`](Self::timings), which is used often.
    pub(super) condensed: OnceLock<Vec<TimingSummary>>,
    /// How it ended.
    pub outcome: Outcome,
    /// Where it was done, if its folder of results says so.
    pub machine: Option<Arc<MachineRecord>>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// As planned.
    Done(Box<RunRecord>),
    /// Not well.
    Failed(Box<FailureRecord>),
}

/// The runs of a results folder.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    /// Those that have ended, in the order of the plan's models and then of seeds.
    pub ended: Vec<Run>,
    /// Names of those that have not: still running, or interrupted.
    pub unfinished: Vec<String>,
    /// Names of completed runs that are in several folders and ended differently there.
    pub disputed: Vec<String>,
}

impl Run {
    /// Which run it is.
    pub fn identity(&self) -> &RunIdentity {
        match &self.outcome {
            Outcome::Done(record) => &record.identity,
            Outcome::Failed(record) => &record.identity,
        }
    }

    /// The record of a completed run.
    pub fn done(&self) -> Option<&RunRecord> {
        match &self.outcome {
            Outcome::Done(record) => Some(record),
            Outcome::Failed(_) => None,
        }
    }

    /// The record of a failed run.
    pub fn failed(&self) -> Option<&FailureRecord> {
        match &self.outcome {
            Outcome::Failed(record) => Some(record),
            Outcome::Done(_) => None,
        }
    }

    fn read(folder: RunFolder, machine: Option<Arc<MachineRecord>>) -> Result<Option<Self>> {
        // A failed run that is done again has both files for a moment. It counts as done.
        let outcome = match (folder.read_done()?, folder.read_failed()?) {
            (Some(record), _) => Outcome::Done(Box::new(record)),
            (None, Some(record)) => Outcome::Failed(Box::new(record)),
            (None, None) => return Ok(None),
        };
        let epochs = folder.read_epochs()?.unwrap_or_default();
        let timing = folder.read_timing()?.unwrap_or_default();
        let parts = folder.read_parts()?.unwrap_or_default();
        let machine = folder.read_machine()?.map(Arc::new).or(machine);
        let run = Self { folder, epochs, timing, parts, condensed: OnceLock::new(), outcome, machine };
        if run.identity().run != run.folder.name() {
            // A copied folder would count one seed twice.
            let problem = format!("holds the records of run `{}`", run.identity().run);
            return Err(Error::input(run.folder.path().display(), problem, "give the folder the name of its run"));
        }
        Ok(Some(run))
    }
}

impl ResultsFolder {
    /// Reads all runs. They come in the order of `models`, the plan's model names; models that it does not name follow by
    /// name.
    pub fn read_runs(&self, models: &[String]) -> Result<Runs> {
        Runs::read(std::slice::from_ref(self), models)
    }
}

impl Runs {
    /// Reads the runs of several folders, in the order that [`read_runs`](ResultsFolder::read_runs) has. A run that is in more than one
    /// of them counts once: as completed, if it is so in any, and as the first of these folders has it.
    ///
    /// # Errors
    /// If a record cannot be read.
    pub fn read(folders: &[ResultsFolder], models: &[String]) -> Result<Self> {
        let mut paths = Vec::new();
        for folder in folders {
            let machine = folder.read_machine()?.map(Arc::new);
            paths.extend(folder.run_folders()?.into_iter().map(|run| (run, machine.clone())));
        }
        let read = |(folder, machine): (RunFolder, Option<Arc<MachineRecord>>)| {
            let name = folder.name();
            Ok((name, Run::read(folder, machine)?))
        };
        let found: Vec<(String, Option<Run>)> = paths.into_par_iter().map(read).collect::<Result<_>>()?;
        let mut ended: BTreeMap<String, Run> = BTreeMap::new();
        let (mut unfinished, mut disputed) = (BTreeSet::new(), BTreeSet::new());
        for (name, run) in found {
            let Some(run) = run else {
                unfinished.insert(name);
                continue;
            };
            match ended.entry(name) {
                Entry::Vacant(entry) => _ = entry.insert(run),
                Entry::Occupied(mut entry) => match (entry.get().done(), run.done()) {
                    (Some(here), Some(there)) => {
                        // Processors may round differently.
                        if here.test_loss.map(f64::to_bits) != there.test_loss.map(f64::to_bits) {
                            disputed.insert(run.folder.name());
                        }
                    }
                    (None, Some(_)) => _ = entry.insert(run),
                    (_, None) => {}
                },
            }
        }
        unfinished.retain(|name| !ended.contains_key(name));
        let places: HashMap<&String, usize> = models.iter().enumerate().map(|(at, model)| (model, at)).collect();
        let mut ended: Vec<Run> = ended.into_values().collect();
        ended.sort_by_cached_key(|run| {
            let identity = run.identity();
            let place = places.get(&identity.model).copied().unwrap_or(models.len());
            (place, identity.model.clone(), identity.seed, identity.run.clone())
        });
        Ok(Self { ended, unfinished: unfinished.into_iter().collect(), disputed: disputed.into_iter().collect() })
    }
}
