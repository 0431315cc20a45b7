//! Compares two models: their accuracies on the same test images, and their speeds side by side on the same machine.

#[cfg(test)]
mod simulation;

use std::fmt;

use crate::results::{MIN_PROCESSES, Predictions, Stage, Timed, TimingMode};
use crate::stats::{
    Difference, Estimate, Interval, difference_of_means, mcnemar_exact, paired_difference_interval, sample_std,
};

/// Below this p-value a difference counts as more than chance.
pub(crate) const LEVEL: f64 = 0.05;

/// Speeds are equal if the whole interval of their ratio lies within this fraction of 1.
pub(crate) const MARGIN: f64 = 0.02;

/// What two models are compared in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Test accuracy.
    Accuracy,
    /// Images per second of training steps.
    Training,
    /// Images per second of inference.
    Inference,
    /// Inference of one image per second.
    Latency,
}

impl Quantity {
    /// All, in the order of tables.
    pub const ALL: [Self; 4] = [Self::Accuracy, Self::Training, Self::Inference, Self::Latency];

    /// Its name in `verdicts.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "test_top1",
            Self::Training => "train_step",
            Self::Inference => "inference",
            Self::Latency => "latency",
        }
    }

    /// The mode in which a speed is timed.
    pub(crate) fn mode(self) -> TimingMode {
        if self == Self::Training { TimingMode::TrainStep } else { TimingMode::Inference }
    }

    /// The quantity that a timing measures.
    pub(crate) fn of(timed: Timed) -> Self {
        match (timed.mode, timed.batch_size) {
            (TimingMode::TrainStep, _) => Self::Training,
            (TimingMode::Inference, 1) => Self::Latency,
            (TimingMode::Inference, _) => Self::Inference,
        }
    }
}

/// Why there is no verdict on two models, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incomparable {
    /// A record is missing.
    NotRecorded(&'static str),
    /// They did not do the same work under the same conditions.
    Different(String),
    /// A model has too few runs; with the fewest that a verdict needs.
    TooFewRuns([usize; 2], usize),
}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRecorded(what) => f.write_str(what),
            Self::Different(what) => f.write_str(what),
            Self::TooFewRuns([1, 1], fewest) => write!(f, "one run each, and a verdict needs at least {fewest}"),
            Self::TooFewRuns([a, b], fewest) if a == b => {
                write!(f, "{a} runs each, and a verdict needs at least {fewest}")
            }
            Self::TooFewRuns([a, b], fewest) => {
                write!(f, "{a} and {b} runs, and a verdict needs at least {fewest} of each model")
            }
        }
    }
}

/// The correct predictions of a model's completed runs.
pub(crate) struct CorrectCounts {
    images: blake3::Hash,
    /// The number of runs that are correct, for each image.
    by_image: Vec<u16>,
    /// The fraction of images that are correct, for each run.
    pub(crate) by_run: Vec<f64>,
}

impl CorrectCounts {
    /// Counts the predictions of each completed run.
    pub(crate) fn of(predictions: &[Option<&Predictions>]) -> Result<Self, Incomparable> {
        if predictions.is_empty() {
            return Err(Incomparable::NotRecorded("no run was completed"));
        }
        let known: Option<Vec<&Predictions>> = predictions.iter().copied().collect();
        let known = known.ok_or(Incomparable::NotRecorded("the predictions of a run were not recorded"))?;
        let images = known[0].images;
        if known.iter().any(|predictions| predictions.images != images || predictions.is_empty()) {
            return Err(Incomparable::Different("the runs of one model had different test images".to_owned()));
        }
        let mut by_image = vec![0; known[0].len()];
        let mut by_run = Vec::new();
        for predictions in known {
            let mut all = 0_usize;
            for (count, is_correct) in by_image.iter_mut().zip(predictions.correct()) {
                *count += u16::from(is_correct);
                all += usize::from(is_correct);
            }
            by_run.push(all as f64 / predictions.len() as f64);
        }
        Ok(Self { images, by_image, by_run })
    }

    /// Number of test images.
    pub(crate) fn images(&self) -> usize {
        self.by_image.len()
    }

    /// Whether the other's predictions are for the same images.
    pub(crate) fn has_images_of(&self, other: &Self) -> bool {
        self.images == other.images
    }

    /// Standard deviation of the accuracy over the runs.
    pub(crate) fn spread(&self) -> Option<f64> {
        sample_std(&self.by_run)
    }

    /// Mean over the images of the variance from run to run of whether a prediction is correct; 0 with one run.
    pub(crate) fn run_variance(&self) -> f64 {
        let n = self.by_run.len() as f64;
        let of_image = |count: &u16| f64::from(*count) * (n - f64::from(*count));
        self.by_image.iter().map(of_image).sum::<f64>() / (n * (n - 1.0)).max(1.0) / self.images() as f64
    }
}

/// The difference between the accuracies of two models, the first minus the second, from at least `min_runs` runs of each.
pub(crate) fn accuracy(a: &CorrectCounts, b: &CorrectCounts, min_runs: usize) -> Result<Estimate, Incomparable> {
    same_images(a, b)?;
    let runs = [a.by_run.len(), b.by_run.len()];
    if runs.iter().any(|runs| *runs < min_runs) {
        return Err(Incomparable::TooFewRuns(runs, min_runs));
    }
    difference_of_means(&a.by_run, &b.by_run, image_variance(a, b))
        .ok_or(Incomparable::NotRecorded("an accuracy is not a number"))
}

/// The variance, over the choice of test images, of the difference between two models' mean accuracies.
pub(crate) fn image_variance(a: &CorrectCounts, b: &CorrectCounts) -> f64 {
    // The difference of each image's mean number of correct predictions, times both numbers of runs, so that it is whole.
    let (runs_a, runs_b) = (a.by_run.len() as i64, b.by_run.len() as i64);
    let differences =
        || a.by_image.iter().zip(&b.by_image).map(|(a, b)| i64::from(*a) * runs_b - i64::from(*b) * runs_a);
    let (sum, squares) = differences().fold((0, 0), |(sum, squares), d| (sum + d, squares + d * d));
    let (n, scale) = (a.images() as f64, (runs_a * runs_b) as f64);
    (squares as f64 - (sum as f64).powi(2) / n) / (n - 1.0).max(1.0) / scale.powi(2) / n
}

/// The difference between two single runs, image by image: the interval is a percentile bootstrap over the images, and the p-value is that
/// of McNemar's exact test. Both describe these two runs, not other seeds. `None` if a model has several runs or the images differ.
pub(crate) fn these_two_runs(a: &CorrectCounts, b: &CorrectCounts) -> Option<Difference> {
    same_images(a, b).ok()?;
    if (a.by_run.len(), b.by_run.len()) != (1, 1) {
        return None;
    }
    let count =
        |x: &CorrectCounts, y: &CorrectCounts| x.by_image.iter().zip(&y.by_image).map(|(x, y)| u64::from(x > y)).sum();
    let (only_a, only_b, images): (u64, u64, u64) = (count(a, b), count(b, a), a.images() as u64);
    Some(Difference {
        value: (only_a as f64 - only_b as f64) / images as f64,
        interval: paired_difference_interval(only_a, only_b, images)?,
        p: mcnemar_exact(only_a, only_b),
    })
}

fn same_images(a: &CorrectCounts, b: &CorrectCounts) -> Result<(), Incomparable> {
    match a.images == b.images {
        true => Ok(()),
        false => Err(Incomparable::Different("the test images differ".to_owned())),
    }
}

/// The logarithm of the ratio of two models' rates, the first over the second, from samples that were taken side by side.
pub(crate) fn log_speed(stage: &Stage, first: &str, second: &str, timed: Timed) -> Result<Estimate, Incomparable> {
    let logs = stage.log_ratios(first, second, timed);
    match logs.len() {
        0 => Err(why_not_side_by_side(stage, first, second, timed)),
        processes if processes < MIN_PROCESSES => Err(Incomparable::Different(format!(
            "they were timed side by side in {processes} of the {MIN_PROCESSES} processes that a verdict needs"
        ))),
        _ => Estimate::of_mean(&logs).ok_or(Incomparable::NotRecorded("a time is not a number")),
    }
}

/// The largest batch at which both models were timed for a speed, each in its own stage or both in the same.
pub(crate) fn common(quantity: Quantity, first: (&Stage, &str), second: (&Stage, &str)) -> Option<Timed> {
    let is_wanted =
        |timed: &Timed| timed.mode == quantity.mode() && (quantity != Quantity::Latency || timed.batch_size == 1);
    let was_timed = |timed: &Timed| second.0.timed(second.1).any(|other| other == *timed);
    first.0.timed(first.1).filter(|timed| is_wanted(timed) && was_timed(timed)).max()
}

fn why_not_side_by_side(stage: &Stage, first: &str, second: &str, timed: Timed) -> Incomparable {
    let was_timed = |model: &str| stage.largest(model, timed.mode).is_some();
    match was_timed(first) && was_timed(second) {
        false => Incomparable::NotRecorded("they were not timed side by side (`vitbench time DIR` does that)"),
        true if stage.timed(first).any(|other| other == timed) && stage.timed(second).any(|other| other == timed) => {
            Incomparable::NotRecorded("they were timed in different processes (`vitbench compare --rerun` times both)")
        }
        true => Incomparable::Different("they were timed with different batch sizes".to_owned()),
    }
}

/// The verdict on one of two models.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Better by more than chance.
    Better,
    /// Worse by more than chance.
    Worse,
    /// The whole interval lies within the margin.
    Equal,
    /// Not distinguishable: chance alone could make the difference.
    Tie,
}

impl Verdict {
    /// Its name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Equal => "equal",
            Self::Tie => "tie",
        }
    }
}

/// The name in records where there is no verdict.
pub(crate) const NO_VERDICT: &str = "no_verdict";

/// A comparison of two models, corrected for the other comparisons of its family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Comparison {
    /// The difference of accuracies, or the logarithm of the ratio of rates, the first over the second.
    pub(crate) estimate: Estimate,
    /// P-value, corrected for the number of comparisons (Holm).
    pub(crate) p: f64,
    /// What the level of the adjusted interval is divided by.
    pub(crate) tests: f64,
}

impl Comparison {
    /// The same with the models exchanged.
    pub(crate) fn reversed(self) -> Self {
        let estimate = Estimate { value: -self.estimate.value, ..self.estimate };
        Self { estimate, ..self }
    }

    /// The 95 % interval of this comparison alone.
    pub(crate) fn interval(&self) -> Interval {
        self.estimate.interval(LEVEL)
    }

    /// The interval that agrees with the corrected p-value: it excludes no difference if and only if that is below 5 %.
    pub(crate) fn adjusted(&self) -> Interval {
        self.estimate.interval(LEVEL / self.tests)
    }

    /// The verdict on the first model. Only ratios of rates can be equal: there is no margin within which accuracies are.
    pub(crate) fn verdict(&self, quantity: Quantity) -> Verdict {
        let margin = (1.0 + MARGIN).ln();
        let interval = self.interval();
        if quantity != Quantity::Accuracy && interval.low > -margin && interval.high < margin {
            Verdict::Equal
        } else if self.p >= LEVEL {
            Verdict::Tie
        } else if self.estimate.value > 0.0 {
            Verdict::Better
        } else {
            Verdict::Worse
        }
    }
}
