//! The summary for a terminal.

use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

use super::figures::{Estimate, ModelFigures};
use super::format::{NONE, count, magnitude, or_none, percent};
use super::names::{plain, shorten};

/// Width of a table in columns: that of the narrowest terminal in common use.
const WIDTH: u16 = 80;

/// A line below the header and none elsewhere.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// An empty table in the style of this program, at most 80 columns wide.
pub fn terminal_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header);
    table
}

/// One row per model with its main figures, and one per failed run with its reason; at most 80 columns wide.
pub(super) fn summary(models: &[ModelFigures<'_>]) -> String {
    let header = ["model", "test\ntop-1", "95 %\ninterval", "train\nimages/s", "inference\nimages/s", "params"];
    let mut table = terminal_table(&header);
    let mut failures = String::new();
    for model in models {
        if model.runs.done().next().is_some() {
            table.add_row(row(model));
        }
        for failure in model.runs.failed() {
            let name = short_name(model.runs.model);
            let message = shorten(&plain(&failure.message), 200);
            failures += &format!("failed: {name}, seed {}: {}, {message}\n", failure.identity.seed, failure.reason);
        }
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    if table.is_empty() { failures } else { format!("{}\n{failures}", table.trim_fmt()) }
}

/// A model's name, shortened for a table in the terminal.
pub fn short_name(name: &str) -> String {
    shorten(&plain(name), 20)
}

fn row(model: &ModelFigures<'_>) -> Vec<Cell> {
    let speed = |estimate: &Option<Estimate>| or_none(estimate.as_ref(), |estimate| magnitude(estimate.value));
    let interval = model.top1.as_ref().and_then(|top1| top1.interval);
    vec![
        Cell::new(short_name(model.runs.model)),
        Cell::new(model.top1.as_ref().map_or_else(|| NONE.to_owned(), |top1| format!("{} %", percent(top1.value)))),
        Cell::new(or_none(interval, |interval| format!("{} to {}", percent(interval.low), percent(interval.high)))),
        Cell::new(speed(&model.train_images_per_s)),
        Cell::new(speed(&model.inference_images_per_s)),
        Cell::new(or_none(model.size, |size| count(size.params as f64))),
    ]
}
