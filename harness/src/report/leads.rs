//! How far the most accurate model is ahead of every other, and whether by more than chance.

use super::evidence::Evidence;
use super::figures::ModelFigures;
use super::pairs::{self, Comparison, Incomparable, Quantity, Verdict};
use crate::stats::Difference;

/// The method, described for readers of the report.
pub(crate) const METHOD: &str = "Differences and p-values come from Welch's t test over the seeds, with the variance of the test images \
    added. The p-values are corrected for the number of pairs of models (Holm), and so are the adjusted intervals: they exclude 0 \
    if and only if the corrected p-value is below 5 %.";

/// The method for single runs.
pub(crate) const THESE_RUNS: &str = "Where there is one run each, there is no verdict, because one run does not show how much runs differ. \
    The difference is then that of these two runs, with a bootstrap interval over the test images and the p-value of \
    McNemar's exact test: a repetition with other seeds may well come out differently.";

/// The leader and those behind it.
pub(crate) struct Leads {
    /// Index of the most accurate model.
    pub(crate) leader: usize,
    /// The others, most accurate first.
    pub(crate) leads: Vec<Lead>,
}

/// The leader's lead over one model.
pub(crate) struct Lead {
    /// Index of the model.
    pub(crate) model: usize,
    /// The comparison of the model with the leader, or why there is no verdict.
    pub(crate) comparison: Result<Comparison, Incomparable>,
    /// The comparison of two single runs, if that is all there is.
    pub(crate) these_two_runs: Option<Difference>,
}

impl Lead {
    /// The verdict in words.
    pub(crate) fn verdict(&self) -> String {
        match &self.comparison {
            Ok(comparison) => match comparison.verdict(Quantity::Accuracy) {
                Verdict::Worse => "less accurate".to_owned(),
                Verdict::Better => "more accurate".to_owned(),
                Verdict::Tie | Verdict::Equal => "no difference shown".to_owned(),
            },
            Err(Incomparable::TooFewRuns([1, 1], _)) => "one run each: no verdict".to_owned(),
            Err(why @ Incomparable::TooFewRuns(..)) => format!("no verdict: {why}"),
            Err(why) => format!("not comparable: {why}"),
        }
    }

    /// Whether the model is worse by more than chance.
    pub(crate) fn is_more_than_chance(&self) -> bool {
        self.comparison.as_ref().is_ok_and(|comparison| comparison.verdict(Quantity::Accuracy) == Verdict::Worse)
    }
}

/// `None` if fewer than two models have an accuracy.
pub(crate) fn in_accuracy(models: &[ModelFigures<'_>], evidence: &Evidence<'_>) -> Option<Leads> {
    let top1 = |index: usize| models[index].top1.as_ref().map(|top1| top1.value);
    let mut ranked: Vec<usize> = (0..models.len()).filter(|index| top1(*index).is_some()).collect();
    ranked.sort_by(|a, b| top1(*b).partial_cmp(&top1(*a)).expect("figures are finite"));
    let (&leader, others) = ranked.split_first().filter(|(_, others)| !others.is_empty())?;
    let lead = |&model: &usize| {
        let correct = |index: usize| evidence.correct[index].as_ref().ok();
        Lead {
            model,
            comparison: evidence.compare(Quantity::Accuracy, model, leader),
            these_two_runs: correct(model).zip(correct(leader)).and_then(|(a, b)| pairs::these_two_runs(a, b)),
        }
    };
    Some(Leads { leader, leads: others.iter().map(lead).collect() })
}

/// A p-value as text.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
