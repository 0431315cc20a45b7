//! Reading the runs of a folder.

use super::folder::{ResultsFolder, RunFolder};
use super::records::{EpochRecord, FailureRecord, RunIdentity, RunRecord, TimingSample};
use crate::error::{Error, Result};

/// A run that has ended, with its records. The predictions, which are as many as there are test images, stay on disk until
/// [`RunFolder::read_predictions`] is asked for them.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where its records stand.
    pub folder: RunFolder,
    /// A row per epoch, as far as it came.
    pub epochs: Vec<EpochRecord>,
    /// Raw times; none if the run was not timed.
    pub timing: Vec<TimingSample>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// As planned.
    Done(RunRecord),
    /// Not well.
    Failed(FailureRecord),
}

/// The runs of a results folder.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    /// Those that have ended, in the order of the plan's models and then of seeds.
    pub ended: Vec<Run>,
    /// Names of those that have not: still running, or interrupted.
    pub unfinished: Vec<String>,
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

    /// The record of a run that did not end well.
    pub fn failed(&self) -> Option<&FailureRecord> {
        match &self.outcome {
            Outcome::Failed(record) => Some(record),
            Outcome::Done(_) => None,
        }
    }

    fn read(folder: RunFolder) -> Result<Option<Self>> {
        // A run that failed and was done again has both files for a moment; what counts is that it is done.
        let outcome = match (folder.read_done()?, folder.read_failed()?) {
            (Some(record), _) => Outcome::Done(record),
            (None, Some(record)) => Outcome::Failed(record),
            (None, None) => return Ok(None),
        };
        let epochs = folder.read_epochs()?.unwrap_or_default();
        let timing = folder.read_timing()?.unwrap_or_default();
        let run = Self { folder, epochs, timing, outcome };
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
        let mut runs = Runs::default();
        for folder in self.run_folders()? {
            let name = folder.name();
            match Run::read(folder)? {
                Some(run) => runs.ended.push(run),
                None => runs.unfinished.push(name),
            }
        }
        runs.ended.sort_by_cached_key(|run| {
            let identity = run.identity();
            let place = models.iter().position(|model| *model == identity.model).unwrap_or(models.len());
            (place, identity.model.clone(), identity.seed, identity.run.clone())
        });
        Ok(runs)
    }
}
