//! The summary table: one row per model, with a sort key for each cell.

use super::inline::shown_name;
use crate::report::figures::{Estimate, ModelFigures};
use crate::report::format::{NONE, count, gibibytes, magnitude, percent};
use crate::report::plots::data::Shown;
use crate::stats::{Interval, sample_std};

/// A cell with a figure.
pub(super) struct Cell {
    /// The text shown.
    pub(super) text: String,
    /// Shown after it in smaller letters: a spread or an interval.
    pub(super) detail: String,
    /// The sort key; empty if there is no figure.
    pub(super) key: String,
    /// Whether no other model has a better figure.
    pub(super) is_best: bool,
}

/// A model's row.
pub(super) struct Row {
    /// Its index among the models, which determines its colour.
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) architecture: String,
    /// Completed and failed runs.
    pub(super) runs: (usize, usize),
    /// Index of its first run among all runs, for a link.
    pub(super) first_run: usize,
    pub(super) top1: Cell,
    /// Where value and interval lie on the table's scale of accuracies, in percent of its width: low, value, high.
    pub(super) bar: Option<[String; 3]>,
    /// The other figures, in the order of [`COLUMNS`].
    pub(super) cells: Vec<Cell>,
}

/// Title, unit, and whether more is better, for every figure after accuracy.
pub(super) const COLUMNS: [(&str, &str, bool); 9] = [
    ("Top-5", "%", true),
    ("Training", "images/s", true),
    ("Inference", "images/s", true),
    ("Latency", "ms", false),
    ("Parameters", "", false),
    ("MACs", "per image", false),
    ("Points per", "million MACs", true),
    ("Training time", "s", false),
    ("Peak memory", "GiB", false),
];

/// The value that rows are sorted by, its text, and the detail after it.
type Figure = Option<(f64, String, String)>;

pub(super) fn rows(models: &[Shown<'_>]) -> Vec<Row> {
    // Runs are grouped by model, in the order of the models.
    let mut next_run = 0;
    let first_runs: Vec<usize> = models
        .iter()
        .map(|(model, _)| {
            let first = next_run;
            next_run += model.runs.runs.len();
            first
        })
        .collect();
    let figures: Vec<[Figure; 9]> = models.iter().map(|(model, _)| figures(model)).collect();
    let best = |column: usize| {
        let values = figures.iter().filter_map(|row| row[column].as_ref().map(|(value, ..)| *value));
        values.reduce(if COLUMNS[column].2 { f64::max } else { f64::min })
    };
    let best: Vec<Option<f64>> = (0..COLUMNS.len()).map(best).collect();
    let top1s = || models.iter().filter_map(|(model, _)| model.top1.as_ref());
    let greatest = top1s().map(|top1| top1.value).reduce(f64::max);
    let extents = || top1s().map(Estimate::extent);
    let scale = Interval {
        low: extents().map(|extent| extent.low).reduce(f64::min).unwrap_or(0.0),
        high: extents().map(|extent| extent.high).reduce(f64::max).unwrap_or(1.0),
    };
    let row = |(index, (model, _)): (usize, &Shown<'_>)| {
        let cells = figures[index].iter().zip(&best).map(|(figure, best)| cell(figure.clone(), *best));
        Row {
            index,
            name: shown_name(model.runs.model),
            architecture: shown_name(model.runs.architecture),
            runs: (model.runs.done().count(), model.runs.failed().count()),
            first_run: first_runs[index],
            top1: cell(model.top1.as_ref().map(accuracy), greatest),
            bar: model.top1.as_ref().map(|top1| bar(top1, scale)),
            cells: cells.collect(),
        }
    };
    models.iter().enumerate().map(row).collect()
}

fn cell(figure: Figure, best: Option<f64>) -> Cell {
    match figure {
        Some((value, text, detail)) => Cell { text, detail, key: value.to_string(), is_best: Some(value) == best },
        None => Cell { text: NONE.to_owned(), detail: String::new(), key: String::new(), is_best: false },
    }
}

fn accuracy(top1: &Estimate) -> (f64, String, String) {
    let interval = top1.interval.map(|i| format!("{}–{}", percent(i.low), percent(i.high)));
    let spread = sample_std(&top1.by_run).map(|std| format!("SD {}", percent(std)));
    (top1.value, percent(top1.value), interval.into_iter().chain(spread).collect::<Vec<_>>().join(", "))
}

fn bar(top1: &Estimate, scale: Interval) -> [String; 3] {
    let width = (scale.high - scale.low).max(f64::MIN_POSITIVE);
    let extent = top1.extent();
    [extent.low, top1.value, extent.high].map(|value| format!("{:.1}", 100.0 * (value - scale.low) / width))
}

fn figures(model: &ModelFigures<'_>) -> [Figure; 9] {
    let plain = |value: f64, text: String| (value, text, String::new());
    let estimate = |estimate: &Option<Estimate>, scale: f64| {
        let estimate = estimate.as_ref()?;
        let interval = estimate.interval.map(|i| format!("{}–{}", magnitude(scale * i.low), magnitude(scale * i.high)));
        Some((estimate.value, magnitude(scale * estimate.value), interval.unwrap_or_default()))
    };
    let macs = model.size.map(|size| size.macs() as f64);
    let per_mac = model.top1.as_ref().zip(macs).filter(|(_, macs)| *macs > 0.0);
    [
        model.top5.map(|top5| plain(top5, percent(top5))),
        estimate(&model.train_images_per_s, 1.0),
        estimate(&model.inference_images_per_s, 1.0),
        estimate(&model.latency_s, 1e3),
        model.size.map(|size| plain(size.params as f64, count(size.params as f64))),
        macs.map(|macs| plain(macs, count(macs))),
        per_mac.map(|(top1, macs)| plain(top1.value / macs, magnitude(1e8 * top1.value / macs))),
        model.train_seconds.as_ref().map(|seconds| plain(seconds.value, magnitude(seconds.value))),
        model.train_peak_rss_bytes.map(|bytes| plain(bytes as f64, gibibytes(bytes).replace(" GiB", ""))),
    ]
}
