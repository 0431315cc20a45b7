//! How long models train until they reach given accuracies.

use super::inline::shown_name;
use crate::report::format::{counted, magnitude, percent};
use crate::report::plots::data::Shown;
use crate::results::Run;
use crate::stats::median;

/// A table of seconds.
pub(super) struct TimeToAccuracy {
    /// The accuracies, in percent.
    pub(super) levels: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// How the accuracies were chosen.
    pub(super) note: String,
}

/// A model's seconds.
pub(super) struct Row {
    pub(super) index: usize,
    pub(super) name: String,
    /// Text and sort key for each accuracy.
    pub(super) cells: Vec<(String, String)>,
}

/// Accuracies as fractions of the best that any run reached, if the config names no targets.
const FRACTIONS: [f64; 3] = [0.5, 0.75, 0.9];

/// Seconds of training, without evaluation, until the end of the first epoch that reached an accuracy: medians over the runs, of which
/// those that never reached it count as infinite. `targets` are the accuracies, as fractions.
pub(super) fn of(models: &[Shown<'_>], targets: &[f64]) -> Option<TimeToAccuracy> {
    let runs = || models.iter().flat_map(|(model, _)| model.runs.done()).map(|(run, _)| run);
    let best = runs().flat_map(|run| &run.epochs).map(|epoch| epoch.eval_top1).filter(|top1| top1.is_finite());
    let best = best.reduce(f64::max)?;
    let (mut levels, choice) = match targets {
        [] => (
            FRACTIONS.iter().map(|fraction| (100.0 * fraction * best).floor() / 100.0).collect(),
            "The accuracies are 50, 75 and 90 % of the best that any run reached. They were chosen in hindsight; `report.targets` in the \
             config sets them beforehand.",
        ),
        targets => (targets.to_vec(), "The accuracies were set in the config."),
    };
    levels.retain(|level: &f64| *level > 0.0);
    levels.dedup();
    let row = |(index, (model, _)): (usize, &Shown<'_>)| {
        let runs: Vec<&Run> = model.runs.done().map(|(run, _)| run).collect();
        let cells = levels.iter().map(|level| cell(&runs, *level)).collect();
        (!runs.is_empty()).then(|| Row { index, name: shown_name(model.runs.model), cells })
    };
    let rows: Vec<Row> = models.iter().enumerate().filter_map(row).collect();
    let levels: Vec<String> = levels.iter().map(|level| percent(*level).replace(".0", "")).collect();
    let note = format!(
        "Training time, without evaluation, until the end of the first epoch whose evaluation reached the accuracy: median over the seeds. \
         A seed that never reached it counts as infinite. {choice} Times of runs are run-wise: they contain the machine's drift."
    );
    (!levels.is_empty() && !rows.is_empty()).then_some(TimeToAccuracy { levels, rows, note })
}

fn cell(runs: &[&Run], level: f64) -> (String, String) {
    let times: Vec<f64> = runs.iter().map(|run| seconds_to(run, level).unwrap_or(f64::INFINITY)).collect();
    let reached = times.iter().filter(|time| time.is_finite()).count();
    // With an even number of seeds the median can lie between a time and infinity.
    let middle = median(&times).filter(|time| time.is_finite());
    let of = format!("{reached} of {}", counted(runs.len(), "seed"));
    match middle {
        Some(seconds) if reached == runs.len() => (magnitude(seconds), seconds.to_string()),
        Some(seconds) => (format!("{} ({of})", magnitude(seconds)), seconds.to_string()),
        None => (format!("not reached ({of})"), f64::INFINITY.to_string()),
    }
}

fn seconds_to(run: &Run, level: f64) -> Option<f64> {
    let reached = run.epochs.iter().position(|epoch| epoch.eval_top1 >= level)?;
    Some(run.epochs[..=reached].iter().map(|epoch| epoch.train_seconds).sum())
}
