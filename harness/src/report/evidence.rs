//! The evidence for a report's verdicts: the predictions of its runs, and the comparisons of all pairs of its models.

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::figures::ModelFigures;
use super::pairs::{self, Incomparable, LEVEL, Side, Speed};
use crate::error::{Error, Result};
use crate::results::{NoiseRecord, Predictions, Run};
use crate::stats::holm;

/// The predictions of the completed runs, as far as they were recorded.
#[derive(Default)]
pub(crate) struct AllPredictions<'a>(HashMap<&'a Path, Predictions>);

impl<'a> AllPredictions<'a> {
    /// Reads the predictions.
    ///
    /// # Errors
    /// If they cannot be read, or are for other images or classes than their run's.
    pub(crate) fn read(runs: &'a [Run]) -> Result<Self> {
        let read = |run: &'a Run| {
            let Some(record) = run.done() else { return Ok(None) };
            let Some(predictions) = run.folder.read_compact_predictions()? else { return Ok(None) };
            let wrong = |problem: String| {
                Err(Error::damaged(
                    run.folder.path().join("predictions.csv").display(),
                    problem,
                    "restore the file, or delete its run's folder and run the command again",
                ))
            };
            if predictions.len() != record.test_images {
                return wrong(format!(
                    "{} rows, but the run had {} test images",
                    predictions.len(),
                    record.test_images
                ));
            }
            let greatest = predictions.labels.iter().chain(&predictions.predicted).max();
            if let Some(class) = greatest.filter(|class| **class as usize >= record.classes) {
                return wrong(format!("has class {class}, but the run had {} classes", record.classes));
            }
            Ok(Some((run.folder.path(), predictions)))
        };
        let read = runs.par_iter().map(read).collect::<Result<Vec<_>>>()?;
        Ok(Self(read.into_iter().flatten().collect()))
    }

    /// The predictions of a run.
    pub(crate) fn of(&self, run: &Run) -> Option<&Predictions> {
        self.0.get(run.folder.path())
    }
}

/// The comparisons of all pairs of models in one respect.
pub(crate) struct Pairs {
    models: usize,
    /// Row by row; `None` where the two cannot be compared.
    tests: Vec<Option<Test>>,
}

/// The comparison of two models.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Test {
    /// P-value, adjusted for the number of pairs (Holm).
    p: f64,
    /// Whether the first is better, by chance or not.
    is_first_ahead: bool,
}

impl Pairs {
    /// `test` returns a p-value and whether the first is better.
    fn of(models: usize, test: impl Fn(usize, usize) -> Option<(f64, bool)> + Sync) -> Self {
        let pairs: Vec<(usize, usize)> = (0..models).flat_map(|i| (i + 1..models).map(move |j| (i, j))).collect();
        let found: Vec<Option<(f64, bool)>> = pairs.par_iter().map(|(i, j)| test(*i, *j)).collect();
        let known: Vec<f64> = found.iter().flatten().map(|(p, _)| *p).collect();
        let mut adjusted = holm(&known).into_iter();
        let mut tests = vec![None; models * models];
        for ((i, j), found) in pairs.into_iter().zip(found) {
            let Some((_, is_first_ahead)) = found else { continue };
            let p = adjusted.next().expect("there is one for each known p-value");
            tests[i * models + j] = Some(Test { p, is_first_ahead });
            tests[j * models + i] = Some(Test { p, is_first_ahead: !is_first_ahead });
        }
        Self { models, tests }
    }

    fn test(&self, first: usize, second: usize) -> Option<Test> {
        self.tests[first * self.models + second]
    }

    /// The probability that by chance alone any of the pairs differs as much as these two.
    pub(crate) fn p(&self, first: usize, second: usize) -> Option<f64> {
        self.test(first, second).map(|test| test.p)
    }

    /// Whether the first is better by more than chance; `None` if the two cannot be compared.
    pub(crate) fn is_ahead(&self, first: usize, second: usize) -> Option<bool> {
        self.test(first, second).map(|test| test.p < LEVEL && test.is_first_ahead)
    }
}

/// What models are ranked by and tested for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tested {
    /// Test accuracy.
    Accuracy,
    /// A rate at the largest batch that both models were timed with.
    Speed(Speed),
}

/// All pairs of the models of a report.
pub(crate) struct Evidence<'a> {
    /// The models, in their order.
    pub(crate) sides: Vec<Side<'a>>,
    /// Comparisons of accuracy.
    pub(crate) accuracy: Pairs,
    /// Comparisons of training speed.
    pub(crate) training: Pairs,
    /// Comparisons of inference speed.
    pub(crate) inference: Pairs,
}

impl<'a> Evidence<'a> {
    /// Compares all pairs of models.
    pub(crate) fn of(models: &[ModelFigures<'a>], predictions: &AllPredictions<'_>, noises: &'a [NoiseRecord]) -> Self {
        let side = |model: &ModelFigures<'a>| {
            let runs: Vec<_> = model.runs.done().collect();
            let predictions: Vec<_> = runs.iter().map(|(run, _)| predictions.of(run)).collect();
            Side::new(runs, &predictions, noises)
        };
        let sides: Vec<Side<'a>> = models.par_iter().map(side).collect();
        let speed = |kind| {
            Pairs::of(sides.len(), |i, j| {
                let estimate = pairs::log_speed(&sides[i], &sides[j], kind).ok()?;
                Some((estimate.p(), estimate.value > 0.0))
            })
        };
        let accuracy = |i: usize, j: usize| {
            let paired = pairs::accuracy(&sides[i], &sides[j]).ok()?;
            Some((paired.p(), paired.value() > 0.0))
        };
        Self {
            accuracy: Pairs::of(sides.len(), accuracy),
            training: speed(Speed::Training),
            inference: speed(Speed::Inference),
            sides,
        }
    }

    /// Whether the first of two models is better by more than chance.
    ///
    /// # Errors
    /// The reason why they cannot be compared.
    pub(crate) fn is_ahead(&self, tested: Tested, first: usize, second: usize) -> Result<bool, Incomparable> {
        let pairs = match tested {
            Tested::Accuracy => &self.accuracy,
            Tested::Speed(Speed::Training) => &self.training,
            Tested::Speed(_) => &self.inference,
        };
        if let Some(is_ahead) = pairs.is_ahead(first, second) {
            return Ok(is_ahead);
        }
        let (a, b) = (&self.sides[first], &self.sides[second]);
        let why = match tested {
            Tested::Accuracy => pairs::accuracy(a, b).err(),
            Tested::Speed(kind) => pairs::log_speed(a, b, kind).err(),
        };
        Err(why.expect("two models that can be compared were compared"))
    }

    /// Whether the verdict takes a machine's A/A variation into account.
    pub(crate) fn is_judged_with_noise(&self, tested: Tested, model: usize) -> bool {
        tested != Tested::Accuracy && self.sides[model].noise().is_some()
    }
}
