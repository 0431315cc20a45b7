//! How far the most accurate model is ahead of every other, and whether by more than chance.

use super::evidence::Evidence;
use super::figures::ModelFigures;
use super::pairs::{self, Incomparable};
use crate::stats::Difference;

/// The method, described for readers of the report.
pub(crate) const METHOD: &str = "With one run each, the p-value is that of McNemar's exact test on the images that only one \
    of the two models classifies correctly, and the interval is a bootstrap over the images; both describe these runs, \
    not other seeds. With several seeds, both come from Student's t over seeds and images. The p-values are corrected \
    for the number of pairs of models (Holm); the intervals are not corrected.";

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
    /// Its accuracy minus the leader's, or why they cannot be compared.
    pub(crate) difference: Result<Difference, Incomparable>,
    /// P-value, corrected for the number of pairs.
    pub(crate) p: Option<f64>,
    /// Whether `p` is below 5 %.
    pub(crate) is_more_than_chance: bool,
}

/// `None` if fewer than two models have an accuracy.
pub(crate) fn in_accuracy(models: &[ModelFigures<'_>], evidence: &Evidence<'_>) -> Option<Leads> {
    let top1 = |index: usize| models[index].top1.as_ref().map(|top1| top1.value);
    let mut ranked: Vec<usize> = (0..models.len()).filter(|index| top1(*index).is_some()).collect();
    ranked.sort_by(|a, b| top1(*b).partial_cmp(&top1(*a)).expect("figures are finite"));
    let (&leader, others) = ranked.split_first().filter(|(_, others)| !others.is_empty())?;
    let lead = |&model: &usize| Lead {
        model,
        difference: pairs::accuracy(&evidence.sides[model], &evidence.sides[leader]).map(|paired| paired.difference()),
        p: evidence.accuracy.p(leader, model),
        is_more_than_chance: evidence.accuracy.is_ahead(leader, model) == Some(true),
    };
    Some(Leads { leader, leads: others.iter().map(lead).collect() })
}

/// A p-value as text.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
