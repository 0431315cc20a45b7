//! How far the most accurate model is ahead of every other, and whether by more than chance.

use super::evidence::Evidence;
use super::figures::ModelFigures;
use super::pairs::{self, Incomparable};
use crate::stats::Difference;

/// What is done, for readers.
pub(crate) const METHOD: &str = "With one run each, McNemar's exact test on the images that only one of the two has right, and a \
    bootstrap interval over the images, which speak of these runs and not of other seeds; with several seeds, Student's t over seeds and images. The p-values are corrected for the \
    number of pairs of models (Holm); the intervals are those of single pairs.";

/// The leader and those behind it.
pub(crate) struct Leads {
    /// Place of the most accurate model among the models.
    pub(crate) leader: usize,
    /// The others, most accurate first.
    pub(crate) leads: Vec<Lead>,
}

/// The leader's lead over one model.
pub(crate) struct Lead {
    /// The model's place.
    pub(crate) model: usize,
    /// Its accuracy less the leader's, or why they cannot be compared.
    pub(crate) difference: Result<Difference, Incomparable>,
    /// P-value, corrected for the number of pairs.
    pub(crate) p: Option<f64>,
    /// Whether that is below 5 %.
    pub(crate) is_more_than_chance: bool,
}

/// `None` below two models with an accuracy.
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

/// A p-value as it is written.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
