//! What a report is made from.

use super::evidence::{AllPredictions, Evidence};
use super::figures::{self, ModelFigures};
use crate::config::ReferenceRun;
use crate::error::Result;
use crate::results::{MachineRecord, NoiseRecord, ResultsFolder, Runs};

/// All that a report is made from.
pub(crate) struct Material<'a> {
    /// The runs with their records.
    pub(crate) runs: &'a Runs,
    /// Where they were made.
    pub(crate) machines: &'a [MachineRecord],
    /// The A/A variation of the machines, as far as it was measured.
    pub(crate) noises: &'a [NoiseRecord],
    /// What others reported of the models.
    pub(crate) references: &'a [ReferenceRun],
    /// The figures of every model.
    pub(crate) models: Vec<ModelFigures<'a>>,
    /// What the runs said of every test image.
    pub(crate) predictions: AllPredictions<'a>,
    /// Every two models held against each other.
    pub(crate) evidence: Evidence<'a>,
}

impl<'a> Material<'a> {
    /// Condenses the records and holds the models against each other.
    pub(crate) fn new(
        runs: &'a Runs,
        machines: &'a [MachineRecord],
        noises: &'a [NoiseRecord],
        references: &'a [ReferenceRun],
    ) -> Result<Self> {
        let models = figures::of_models(&runs.ended);
        let predictions = AllPredictions::read(&runs.ended)?;
        let evidence = Evidence::of(&models, &predictions, noises);
        Ok(Self { runs, machines, noises, references, models, predictions, evidence })
    }
}

/// What a report is made of: the runs of one folder of results, or of several, as from several machines.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Where the records are.
    pub folders: &'a [ResultsFolder],
    /// The plans' model names in their order.
    pub models: &'a [String],
    /// What others reported of them.
    pub references: &'a [ReferenceRun],
}

/// What is read of a source.
pub(super) struct Records {
    pub(super) runs: Runs,
    pub(super) machines: Vec<MachineRecord>,
    pub(super) noises: Vec<NoiseRecord>,
}

impl Source<'_> {
    pub(super) fn read(&self) -> Result<Records> {
        let mut machines = Vec::new();
        let mut noises = Vec::new();
        for folder in self.folders {
            machines.extend(folder.read_machine()?);
            noises.extend(folder.read_noise()?);
        }
        noises.dedup();
        Ok(Records { runs: Runs::read(self.folders, self.models)?, machines, noises })
    }
}
