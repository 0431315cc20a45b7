//! What a report's verdicts rest on: the ledgers of its runs, and every pair of its models held against each other.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::figures::ModelFigures;
use super::pairs::{self, LEVEL, Side, Speed};
use crate::error::{Error, Result};
use crate::results::{Ledger, NoiseRecord, Run};
use crate::stats::holm;

/// The ledgers of the completed runs, as far as they were recorded.
#[derive(Default)]
pub(crate) struct Ledgers<'a>(HashMap<&'a Path, Ledger>);

impl<'a> Ledgers<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// If one cannot be read, or speaks of other images or classes than its run.
    pub(crate) fn read(runs: &'a [Run]) -> Result<Self> {
        let read = |run: &'a Run| {
            let Some(record) = run.done() else { return Ok(None) };
            let Some(ledger) = run.folder.read_ledger()? else { return Ok(None) };
            let wrong = |problem: String| {
                Err(Error::damaged(
                    run.folder.path().join("predictions.csv").display(),
                    problem,
                    "restore the file, or delete its run's folder and issue the command again",
                ))
            };
            if ledger.len() != record.test_images {
                return wrong(format!("{} rows, and the run had {} test images", ledger.len(), record.test_images));
            }
            let greatest = ledger.labels.iter().chain(&ledger.predicted).max();
            if let Some(class) = greatest.filter(|class| **class as usize >= record.classes) {
                return wrong(format!("speaks of class {class}, and the run had {}", record.classes));
            }
            Ok(Some((run.folder.path(), ledger)))
        };
        let read = runs.par_iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(Self(read.into_iter().flatten().collect()))
    }

    /// That of a run.
    pub(crate) fn of(&self, run: &Run) -> Option<&Ledger> {
        self.0.get(run.folder.path())
    }
}

/// P-values of all pairs of models under one question, adjusted for their number (Holm).
pub(crate) struct Pairs {
    models: usize,
    /// Row by row; `None` where the two cannot be compared.
    p: Vec<Option<f64>>,
}

impl Pairs {
    fn of(models: usize, p: impl Fn(usize, usize) -> Option<f64> + Sync) -> Self {
        let pairs: Vec<(usize, usize)> = (0..models).flat_map(|i| (i + 1..models).map(move |j| (i, j))).collect();
        let found: Vec<Option<f64>> = pairs.par_iter().map(|(i, j)| p(*i, *j)).collect();
        let known: Vec<f64> = found.iter().copied().flatten().collect();
        let mut adjusted = holm(&known).into_iter();
        let mut all = vec![None; models * models];
        for ((i, j), p) in pairs.into_iter().zip(found) {
            let p = p.and_then(|_| adjusted.next());
            (all[i * models + j], all[j * models + i]) = (p, p);
        }
        Self { models, p: all }
    }

    /// How likely it is that chance alone makes one of all pairs differ as much as these two.
    pub(crate) fn p(&self, first: usize, second: usize) -> Option<f64> {
        self.p[first * self.models + second]
    }

    /// Whether the two differ by more than chance; `None` if they cannot be compared.
    pub(crate) fn differ(&self, first: usize, second: usize) -> Option<bool> {
        self.p(first, second).map(|p| p < LEVEL)
    }
}

/// All pairs of the models of a report.
pub(crate) struct Evidence<'a> {
    /// The models, in their order.
    pub(crate) sides: Vec<Side<'a>>,
    /// Whose accuracies differ.
    pub(crate) accuracy: Pairs,
    /// Whose speeds of training differ.
    pub(crate) training: Pairs,
    /// Whose speeds of inference differ.
    pub(crate) inference: Pairs,
}

impl<'a> Evidence<'a> {
    /// Holds every two of the models against each other.
    pub(crate) fn of(models: &[ModelFigures<'a>], ledgers: &Ledgers<'_>, noise: Option<&'a NoiseRecord>) -> Self {
        let side = |model: &ModelFigures<'a>| {
            let runs: Vec<_> = model.runs.done().collect();
            let ledgers: Vec<_> = runs.iter().map(|(run, _)| ledgers.of(run)).collect();
            Side::new(runs, &ledgers, noise)
        };
        let sides: Vec<Side<'a>> = models.par_iter().map(side).collect();
        let speed = |kind| Pairs::of(sides.len(), |i, j| pairs::speed_p(&sides[i], &sides[j], kind));
        Self {
            accuracy: Pairs::of(sides.len(), |i, j| Some(pairs::accuracy(&sides[i], &sides[j]).ok()?.p())),
            training: speed(Speed::Training),
            inference: speed(Speed::Inference),
            sides,
        }
    }
}
