//! How long models train until they reach given accuracies.

use super::inline::shown_name;
use crate::report::format::{NONE, magnitude, percent};
use crate::report::plots::data::Shown;
use crate::results::Run;
use crate::stats::mean;

/// A table of seconds.
pub(super) struct TimeToAccuracy {
    /// The accuracies, in percent.
    pub(super) levels: Vec<String>,
    pub(super) rows: Vec<Row>,
}

/// A model's seconds.
pub(super) struct Row {
    pub(super) index: usize,
    pub(super) name: String,
    /// Text and sort key for each accuracy.
    pub(super) cells: Vec<(String, String)>,
}

/// Accuracies as fractions of the best that any run reached.
const FRACTIONS: [f64; 3] = [0.5, 0.75, 0.9];

/// Seconds of training, without evaluation, until the end of the first epoch that reached an accuracy: means over the runs that did.
pub(super) fn of(models: &[Shown<'_>]) -> Option<TimeToAccuracy> {
    let runs = || models.iter().flat_map(|(model, _)| model.runs.done()).map(|(run, _)| run);
    let best = runs().flat_map(|run| &run.epochs).map(|epoch| epoch.eval_top1).filter(|top1| top1.is_finite());
    let best = best.reduce(f64::max)?;
    let mut levels: Vec<f64> = FRACTIONS.iter().map(|fraction| (100.0 * fraction * best).floor() / 100.0).collect();
    levels.retain(|level| *level > 0.0);
    levels.dedup();
    let row = |(index, (model, _)): (usize, &Shown<'_>)| {
        let runs: Vec<&Run> = model.runs.done().map(|(run, _)| run).collect();
        let cells = levels.iter().map(|level| cell(&runs, *level)).collect();
        (!runs.is_empty()).then(|| Row { index, name: shown_name(model.runs.model), cells })
    };
    let rows: Vec<Row> = models.iter().enumerate().filter_map(row).collect();
    let levels: Vec<String> = levels.iter().map(|level| percent(*level).replace(".0", "")).collect();
    (!levels.is_empty() && !rows.is_empty()).then_some(TimeToAccuracy { levels, rows })
}

fn cell(runs: &[&Run], level: f64) -> (String, String) {
    let times: Vec<f64> = runs.iter().filter_map(|run| seconds_to(run, level)).collect();
    match mean(&times) {
        None => (NONE.to_owned(), String::new()),
        Some(mean) if times.len() == runs.len() => (magnitude(mean), mean.to_string()),
        // Not sorted with the others: the runs that never got this far would raise the mean by an unknown amount.
        Some(mean) => (format!("{} ({} of {} runs)", magnitude(mean), times.len(), runs.len()), String::new()),
    }
}

fn seconds_to(run: &Run, level: f64) -> Option<f64> {
    let reached = run.epochs.iter().position(|epoch| epoch.eval_top1 >= level)?;
    Some(run.epochs[..=reached].iter().map(|epoch| epoch.train_seconds).sum())
}
