//! `verdicts.csv`: every comparison behind the report's sentences, a row for each pair of models and quantity.

use serde::Serialize;

use super::evidence::{self, Evidence};
use super::figures::ModelFigures;
use super::pairs::{self, Comparison, NO_VERDICT, Quantity};
use crate::results::{MANY_MODELS, Stage, csv_text, text_cell};
use crate::stats::Interval;

/// A row. Differences of accuracies are fractions of the test images; speeds are ratios of rates, the model's over the reference's.
#[derive(Serialize)]
struct Row {
    quantity: &'static str,
    batch_size: Option<usize>,
    model: String,
    reference: String,
    /// Completed runs for accuracy, processes for speeds.
    runs_model: usize,
    runs_reference: usize,
    estimate: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    low_adjusted: Option<f64>,
    high_adjusted: Option<f64>,
    p: Option<f64>,
    p_adjusted: Option<f64>,
    verdict: &'static str,
    reason: String,
    method: &'static str,
}

/// How accuracies are compared.
const WELCH: &str = "Welch's t over seeds, plus the variance of the images";

/// How single runs are compared, without a verdict.
const MCNEMAR: &str = "these two runs only: McNemar's exact test, bootstrap over images";

/// How speeds are compared.
const SIDE_BY_SIDE: &str = "Student's t over processes' median log ratios of blocks";

/// All comparisons of the models of a report.
pub(super) fn csv(models: &[ModelFigures<'_>], evidence: &Evidence<'_>) -> Vec<u8> {
    let names: Vec<&str> = models.iter().map(|model| model.runs.model).collect();
    let mut rows = Vec::new();
    let top1 = |index: usize| models[index].top1.as_ref().map_or(f64::NEG_INFINITY, |top1| top1.value);
    let leader = (0..models.len()).max_by(|a, b| top1(*a).total_cmp(&top1(*b)));
    for (reference, model) in pairs_of(models.len()) {
        let is_selected = reference == 0 || Some(reference) == leader || Some(model) == leader;
        if models.len() < MANY_MODELS || is_selected {
            rows.push(accuracy(&names, evidence, model, reference));
        }
    }
    rows.extend(speeds(&names, evidence));
    csv_text(&rows)
}

/// All comparisons of models that were timed without being trained.
pub(super) fn of_stage(names: &[&str], stage: &Stage) -> Vec<u8> {
    csv_text(&speeds(names, &evidence::of_stage(names.to_vec(), stage)))
}

/// Every pair, the earlier model of the plan as the reference.
fn pairs_of(models: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..models).flat_map(move |reference| (reference + 1..models).map(move |model| (reference, model)))
}

fn accuracy(names: &[&str], evidence: &Evidence<'_>, model: usize, reference: usize) -> Row {
    let runs = |index: usize| evidence.correct[index].as_ref().map_or(0, |correct| correct.by_run.len());
    let row = Row {
        quantity: Quantity::Accuracy.name(),
        batch_size: None,
        runs_model: runs(model),
        runs_reference: runs(reference),
        method: WELCH,
        ..row(names, model, reference)
    };
    match evidence.compare(Quantity::Accuracy, model, reference) {
        Ok(comparison) => judged(row, &comparison, Quantity::Accuracy, |value| value),
        Err(why) => {
            let of_runs = |index: usize| evidence.correct[index].as_ref().ok();
            let these = of_runs(model).zip(of_runs(reference)).and_then(|(a, b)| pairs::these_two_runs(a, b));
            match these {
                Some(these) => Row {
                    estimate: Some(these.value),
                    low: Some(these.interval.low),
                    high: Some(these.interval.high),
                    p: Some(these.p),
                    method: MCNEMAR,
                    reason: why.to_string(),
                    ..row
                },
                None => Row { reason: why.to_string(), ..row },
            }
        }
    }
}

fn speeds(names: &[&str], evidence: &Evidence<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for timed in evidence.all_timed() {
        let quantity = Quantity::of(timed);
        let processes: Vec<usize> = names.iter().map(|name| evidence.stage.log_rates(name, timed).len()).collect();
        for (reference, model) in pairs_of(names.len()) {
            let (runs_model, runs_reference) = (processes[model], processes[reference]);
            if runs_model == 0 || runs_reference == 0 || !evidence.is_selected(timed, model, reference) {
                continue;
            }
            let row = Row {
                quantity: quantity.name(),
                batch_size: Some(timed.batch_size),
                runs_model,
                runs_reference,
                method: SIDE_BY_SIDE,
                ..row(names, model, reference)
            };
            match evidence.at(timed, model, reference) {
                Ok(comparison) => rows.push(judged(row, &comparison, quantity, f64::exp)),
                Err(why) => rows.push(Row { reason: why.to_string(), ..row }),
            }
        }
    }
    rows
}

fn row(names: &[&str], model: usize, reference: usize) -> Row {
    Row {
        quantity: "",
        batch_size: None,
        model: text_cell(names[model]),
        reference: text_cell(names[reference]),
        runs_model: 0,
        runs_reference: 0,
        estimate: None,
        low: None,
        high: None,
        low_adjusted: None,
        high_adjusted: None,
        p: None,
        p_adjusted: None,
        verdict: NO_VERDICT,
        reason: String::new(),
        method: "",
    }
}

fn judged(row: Row, comparison: &Comparison, quantity: Quantity, scale: fn(f64) -> f64) -> Row {
    let ends = |Interval { low, high }: Interval| (Some(scale(low)), Some(scale(high)));
    let (low, high) = ends(comparison.interval());
    let (low_adjusted, high_adjusted) = ends(comparison.adjusted());
    Row {
        estimate: Some(scale(comparison.estimate.value)),
        low,
        high,
        low_adjusted,
        high_adjusted,
        p: Some(comparison.estimate.p()),
        p_adjusted: Some(comparison.p),
        verdict: comparison.verdict(quantity).name(),
        ..row
    }
}
