//! Runs grouped by model.

use super::records::{FailureRecord, RunRecord};
use super::runs::Run;

/// The runs of one model.
#[derive(Debug, Clone)]
pub struct ModelRuns<'a> {
    /// The model's name in the plan.
    pub model: &'a str,
    /// The architecture's name, such as `vit`.
    pub architecture: &'a str,
    /// All its runs, by seed.
    pub runs: Vec<&'a Run>,
}

impl<'a> ModelRuns<'a> {
    /// The completed runs with their records.
    pub fn done(&self) -> impl Iterator<Item = (&'a Run, &'a RunRecord)> {
        self.runs.iter().filter_map(|run| run.done().map(|record| (*run, record)))
    }

    /// The failed runs.
    pub fn failed(&self) -> impl Iterator<Item = &'a FailureRecord> {
        self.runs.iter().filter_map(|run| run.failed())
    }
}

/// Groups runs by model, in the order in which the models first appear.
pub fn by_model(runs: &[Run]) -> Vec<ModelRuns<'_>> {
    let mut models: Vec<ModelRuns<'_>> = Vec::new();
    for run in runs {
        let identity = run.identity();
        match models.iter_mut().rev().find(|model| model.model == identity.model) {
            Some(model) => model.runs.push(run),
            None => {
                models.push(ModelRuns { model: &identity.model, architecture: &identity.architecture, runs: vec![run] })
            }
        }
    }
    models
}
