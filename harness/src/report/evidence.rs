//! The evidence for a report's verdicts: the predictions of its runs, and the comparisons of all pairs of its models.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;

use super::figures::ModelFigures;
use super::pairs::{self, Comparison, CorrectCounts, Incomparable, LEVEL, Quantity, Verdict};
use crate::error::{Error, Result};
use crate::results::{MANY_MODELS, ModelRuns, Predictions, Run, Stage, Timed};
use crate::stats::{Estimate, holm};

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

    /// The correct predictions of a model's completed runs.
    ///
    /// # Errors
    /// The reason why they are not known.
    pub(crate) fn correct(&self, runs: &ModelRuns<'_>) -> Result<CorrectCounts, Incomparable> {
        let predictions: Vec<_> = runs.done().map(|(run, _)| self.of(run)).collect();
        CorrectCounts::of(&predictions)
    }

    /// The predictions of a run.
    pub(crate) fn of(&self, run: &Run) -> Option<&Predictions> {
        self.0.get(run.folder.path())
    }
}

/// The comparisons of pairs of models in one respect, where there is a verdict.
#[derive(Default)]
pub(crate) struct Pairs(
    /// By the two models, the smaller index first.
    HashMap<(usize, usize), Comparison>,
);

impl Pairs {
    /// The comparison of two models, the first with the second; `None` if there is no verdict.
    pub(crate) fn get(&self, first: usize, second: usize) -> Option<Comparison> {
        if first < second {
            self.0.get(&(first, second)).copied()
        } else {
            self.0.get(&(second, first)).map(|comparison| comparison.reversed())
        }
    }
}

/// Compares pairs of models in several respects, and corrects all p-values together. `test(respect, i, j)` estimates how far model `i` is
/// ahead of model `j`, if that can be judged.
fn family(
    respects: usize,
    pairs: &[(usize, usize)],
    test: impl Fn(usize, usize, usize) -> Option<Estimate> + Sync,
) -> Vec<Pairs> {
    let all: Vec<(usize, usize, usize)> =
        (0..respects).flat_map(|respect| pairs.iter().map(move |(i, j)| (respect, *i, *j))).collect();
    let found: Vec<Option<Estimate>> = all
        .par_iter()
        .map(|(respect, i, j)| test(*respect, *i, *j).filter(|estimate| !estimate.p().is_nan()))
        .collect();
    let known: Vec<f64> = found.iter().flatten().map(|estimate| estimate.p()).collect();
    let mut adjusted = holm(&known, LEVEL).into_iter();
    let mut families: Vec<Pairs> = (0..respects).map(|_| Pairs::default()).collect();
    for ((respect, i, j), estimate) in all.into_iter().zip(found) {
        let Some(estimate) = estimate else { continue };
        let adjusted = adjusted.next().expect("there is one for each known p-value");
        let comparison = Comparison { estimate, p: adjusted.p, tests: adjusted.tests };
        families[respect].0.insert((i, j), comparison);
    }
    families
}

fn all_pairs(models: usize) -> Vec<(usize, usize)> {
    (0..models).flat_map(|i| (i + 1..models).map(move |j| (i, j))).collect()
}

/// The comparisons of rates in one mode at one batch size.
struct Speeds {
    timed: Timed,
    /// Of many models, those that every model is compared with. Otherwise all pairs are compared.
    references: Option<BTreeSet<usize>>,
    pairs: Pairs,
}

impl Speeds {
    fn is_selected(&self, first: usize, second: usize) -> bool {
        self.references.as_ref().is_none_or(|models| models.contains(&first) || models.contains(&second))
    }
}

/// The comparisons of the models of a report.
pub(crate) struct Evidence<'a> {
    /// The models' correct predictions, in their order.
    pub(crate) correct: Vec<Result<CorrectCounts, Incomparable>>,
    /// The samples of the timing stage.
    pub(crate) stage: &'a Stage,
    names: Vec<&'a str>,
    min_runs: usize,
    accuracy: Pairs,
    /// For everything that models were timed in.
    speeds: Vec<Speeds>,
}

impl<'a> Evidence<'a> {
    /// Compares pairs of models. A verdict on accuracy needs `min_runs` of each.
    pub(crate) fn of(
        models: &[ModelFigures<'a>],
        predictions: &AllPredictions<'_>,
        stage: &'a Stage,
        min_runs: usize,
    ) -> Self {
        let correct: Vec<_> = models.par_iter().map(|model| predictions.correct(&model.runs)).collect();
        let accuracy = family(1, &all_pairs(models.len()), |_, i, j| {
            pairs::accuracy(correct[i].as_ref().ok()?, correct[j].as_ref().ok()?, min_runs).ok()
        });
        let names: Vec<&str> = models.iter().map(|model| model.runs.model).collect();
        let speeds = speeds(&names, stage);
        let accuracy = accuracy.into_iter().next().expect("there is one respect");
        Self { correct, stage, names, min_runs, accuracy, speeds }
    }

    /// The comparison of two models, the first with the second. Speeds are compared at the largest batch that both were timed with.
    ///
    /// # Errors
    /// The reason why there is no verdict.
    pub(crate) fn compare(&self, quantity: Quantity, first: usize, second: usize) -> Result<Comparison, Incomparable> {
        if quantity == Quantity::Accuracy {
            return self.accuracy.get(first, second).ok_or_else(|| self.why_not_accuracy(first, second));
        }
        let timed = self.timed(quantity, first, second)?;
        self.at(timed, first, second)
    }

    /// The comparison of two models' rates in one mode at one batch size.
    ///
    /// # Errors
    /// The reason why there is no verdict.
    pub(crate) fn at(&self, timed: Timed, first: usize, second: usize) -> Result<Comparison, Incomparable> {
        let speeds = self.speeds.iter().find(|speeds| speeds.timed == timed);
        if speeds.is_some_and(|speeds| !speeds.is_selected(first, second)) {
            return Err(Incomparable::NotRecorded(NOT_SELECTED));
        }
        speeds.and_then(|speeds| speeds.pairs.get(first, second)).ok_or_else(|| {
            let why = pairs::log_speed(self.stage, self.names[first], self.names[second], timed).err();
            why.unwrap_or(Incomparable::NotRecorded("a time is not a number"))
        })
    }

    /// Whether two models are among those that are compared in this mode at this batch size: of many, not all are.
    pub(crate) fn is_selected(&self, timed: Timed, first: usize, second: usize) -> bool {
        self.speeds.iter().any(|speeds| speeds.timed == timed && speeds.is_selected(first, second))
    }

    /// The verdict on the first of two models.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(crate) fn verdict(&self, quantity: Quantity, first: usize, second: usize) -> Result<Verdict, Incomparable> {
        self.compare(quantity, first, second).map(|comparison| comparison.verdict(quantity))
    }

    fn why_not_accuracy(&self, first: usize, second: usize) -> Incomparable {
        let known = |index: usize| self.correct[index].as_ref().map_err(Clone::clone);
        let why = known(first).and_then(|a| pairs::accuracy(a, known(second)?, self.min_runs));
        why.err().unwrap_or(Incomparable::NotRecorded("an accuracy is not a number"))
    }

    /// The largest batch that both models were timed with.
    fn timed(&self, quantity: Quantity, first: usize, second: usize) -> Result<Timed, Incomparable> {
        let mode = quantity.mode();
        let [first, second] = [first, second].map(|index| self.names[index]);
        pairs::common(quantity, (self.stage, first), (self.stage, second)).ok_or_else(|| {
            let batch_size = self.stage.largest(first, mode).map_or(1, |timed| timed.batch_size);
            pairs::log_speed(self.stage, first, second, Timed { mode, batch_size })
                .err()
                .unwrap_or(Incomparable::NotRecorded("it was not timed"))
        })
    }

    /// Every mode and batch size that models were timed in.
    pub(crate) fn all_timed(&self) -> impl Iterator<Item = Timed> + '_ {
        self.speeds.iter().map(|speeds| speeds.timed)
    }
}

/// Why two of many models have no ratio.
const NOT_SELECTED: &str =
    "with this many models, each is compared in speed only with the fastest and with the first of the plan";

/// Compares the speeds of models, in everything that they were timed in.
fn speeds(names: &[&str], stage: &Stage) -> Vec<Speeds> {
    let timed: BTreeSet<Timed> = names.iter().flat_map(|name| stage.timed(name)).collect();
    let fastest = |timed: Timed| {
        let rates = names.iter().map(|name| stage.rate(name, timed).map_or(0.0, |rate| rate.images_per_s));
        rates.enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(index, _)| index)
    };
    let references = |timed: Timed| [Some(0), fastest(timed)].into_iter().flatten().collect();
    let empty = |timed: Timed| Speeds {
        timed,
        references: (names.len() >= MANY_MODELS).then(|| references(timed)),
        pairs: Pairs::default(),
    };
    let mut all: Vec<Speeds> = timed.into_iter().map(empty).collect();
    let families = family(all.len(), &all_pairs(names.len()), |respect, i, j| {
        let speeds = &all[respect];
        speeds.is_selected(i, j).then(|| pairs::log_speed(stage, names[i], names[j], speeds.timed).ok())?
    });
    for (speeds, pairs) in all.iter_mut().zip(families) {
        speeds.pairs = pairs;
    }
    all
}

/// The comparisons of speeds alone, for models that were timed without being trained.
pub(crate) fn of_stage<'a>(names: Vec<&'a str>, stage: &'a Stage) -> Evidence<'a> {
    let speeds = speeds(&names, stage);
    let correct = names.iter().map(|_| Err(Incomparable::NotRecorded("it was not trained"))).collect();
    Evidence { correct, stage, names, min_runs: 0, accuracy: Pairs::default(), speeds }
}
