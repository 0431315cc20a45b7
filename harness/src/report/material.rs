//! Everything that a report is made from, read once from the records.

use super::evidence::{AllPredictions, Evidence};
use super::figures::{self, ModelFigures};
use crate::config::ReferenceRun;
use crate::error::Result;
use crate::results::{MachineRecord, NoiseRecord, ResultsFolder, Runs};

/// All that a report is made from.
pub(crate) struct Material<'a> {
    /// The runs with their records.
    pub(crate) runs: &'a Runs,
    /// The machines that made them.
    pub(crate) machines: &'a [MachineRecord],
    /// The A/A variation of the machines, as far as it was measured.
    pub(crate) noises: &'a [NoiseRecord],
    /// Results that others reported for the models.
    pub(crate) references: &'a [ReferenceRun],
    /// The figures of every model.
    pub(crate) models: Vec<ModelFigures<'a>>,
    /// The runs' predictions for every test image.
    pub(crate) predictions: AllPredictions<'a>,
    /// The comparisons of all pairs of models.
    pub(crate) evidence: Evidence<'a>,
}

impl<'a> Material<'a> {
    /// Condenses the records and compares the models.
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

/// The source of a report: the runs of one results folder, or of several, such as those of several machines.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Where the records are.
    pub folders: &'a [ResultsFolder],
    /// The plans' model names in order.
    pub models: &'a [String],
    /// Results that others reported for them.
    pub references: &'a [ReferenceRun],
}

/// The records of a source.
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
