//! Everything that a report is made from, read once from the records.

use super::evidence::{AllPredictions, Evidence};
use super::figures::{self, ModelFigures};
use crate::config::{ReferenceRun, ReportConfig};
use crate::error::Result;
use crate::results::{MachineRecord, ResultsFolder, Runs, Stage, TestRead};

/// All that a report is made from.
pub(crate) struct Material<'a> {
    /// The runs with their records.
    pub(crate) runs: &'a Runs,
    /// The machines that made them.
    pub(crate) machines: &'a [MachineRecord],
    /// The samples of the timing stage.
    pub(crate) stage: &'a Stage,
    /// How often the test set was read.
    pub(crate) test_reads: &'a [TestRead],
    /// Results that others reported for the models.
    pub(crate) references: &'a [ReferenceRun],
    /// What a verdict needs.
    pub(crate) report: &'a ReportConfig,
    /// The figures of every model.
    pub(crate) models: Vec<ModelFigures<'a>>,
    /// The runs' predictions for every test image.
    pub(crate) predictions: AllPredictions<'a>,
    /// The comparisons of all pairs of models.
    pub(crate) evidence: Evidence<'a>,
}

impl<'a> Material<'a> {
    /// Condenses the records and compares the models.
    pub(super) fn new(records: &'a Records, source: &Source<'a>) -> Result<Self> {
        let Records { runs, machines, stage, test_reads } = records;
        let Source { references, report, .. } = *source;
        let models = figures::of_models(&runs.ended, stage);
        let predictions = AllPredictions::read(&runs.ended)?;
        let evidence = Evidence::of(&models, &predictions, stage, report.min_runs);
        Ok(Self { runs, machines, stage, test_reads, references, report, models, predictions, evidence })
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
    /// What a verdict needs.
    pub report: &'a ReportConfig,
}

/// The records of a source.
pub(super) struct Records {
    pub(super) runs: Runs,
    pub(super) machines: Vec<MachineRecord>,
    pub(super) stage: Stage,
    pub(super) test_reads: Vec<TestRead>,
}

impl Source<'_> {
    pub(super) fn read(&self) -> Result<Records> {
        let mut machines = Vec::new();
        let (mut stage, mut test_reads) = (Stage::default(), Vec::new());
        for folder in self.folders {
            machines.extend(folder.read_machine()?);
            stage.merge(Stage::read(folder)?);
            test_reads.extend(folder.read_test_reads()?);
        }
        Ok(Records { runs: Runs::read(self.folders, self.models)?, machines, stage, test_reads })
    }
}
