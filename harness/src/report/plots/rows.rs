//! Models as rows, with their figures to the right: as bars, or as points with intervals.

use plotters::prelude::DrawingBackend;
use plotters::style::WHITE;

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Drawn, Sheet, Size, fitted, text_width};
use super::chart::Chart;
use super::frame::{self, BOTTOM, Frame};
use super::look::{FAINT_INK, GRID, INK, Look};
use crate::report::format::{csv_number, magnitude};
use crate::stats::Interval;

/// A model's row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The model's name.
    pub(crate) name: String,
    /// Its architecture, in smaller letters below the name.
    pub(crate) architecture: String,
    /// Its colour and marker.
    pub(crate) look: Look,
}

/// A figure in a row.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    /// The position of the point or of the end of the bar.
    pub(crate) value: f64,
    /// Its 95 % interval.
    pub(crate) interval: Option<Interval>,
    /// The figures of single runs, if there are several.
    pub(crate) by_run: Vec<f64>,
    /// The figure as text.
    pub(crate) text: String,
}

/// How figures are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// Bars from zero; points if the axis has to be logarithmic, where no bar can begin at zero.
    Bars,
    /// Points, on an axis that need not begin at zero.
    Points {
        /// Limits of the axis.
        low: i32,
        /// Limits of the axis.
        high: i32,
    },
}

/// A column of figures with its own axis.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    /// The horizontal axis with its unit.
    pub(crate) title: String,
    /// How the figures are drawn.
    pub(crate) mark: Mark,
    /// One per row; `None` where there is no figure.
    pub(crate) values: Vec<Option<Value>>,
}

/// Rows of models with one panel or several.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    /// What the chart shows.
    pub(crate) title: String,
    /// The models; not empty.
    pub(crate) rows: Vec<Row>,
    /// Their figures, each panel with at least one.
    pub(crate) panels: Vec<Panel>,
    /// Column names for a figure's value and the ends of its interval.
    pub(crate) columns: [&'static str; 3],
}

/// Column names for a mean or for one run.
pub(crate) const ESTIMATE: [&str; 3] = ["value", "low", "high"];

/// Distance from the chart's top to the first row.
fn top(sheet: Sheet) -> i32 {
    if sheet.is_file() { 104 } else { 10 }
}

const GAP: i32 = 56;

impl Chart for Rows {
    fn height(&self, sheet: Sheet) -> i32 {
        top(sheet) + self.row_height(sheet) * self.rows.len() as i32 + BOTTOM
    }

    fn data(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let [value, low, high] = self.columns;
        let columns = ["model", "architecture", "figure", value, low, high];
        let mut rows = Vec::new();
        for panel in &self.panels {
            for (row, value) in self.rows.iter().zip(&panel.values) {
                let Some(value) = value else { continue };
                let bound = |of: fn(&Interval) -> f64| {
                    value.interval.as_ref().map_or_else(String::new, |interval| csv_number(of(interval)))
                };
                rows.push(vec![
                    row.name.clone(),
                    row.architecture.clone(),
                    panel.title.clone(),
                    csv_number(value.value),
                    bound(|interval| interval.low),
                    bound(|interval| interval.high),
                ]);
            }
        }
        (columns.map(str::to_owned).to_vec(), rows)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn<DB> {
        frame::draw_title(canvas, &self.title)?;
        let names = self
            .rows
            .iter()
            .flat_map(|row| [text_width(&row.name, Size::Normal), text_width(&row.architecture, Size::Small)]);
        // Two panels leave less room for the names.
        let sheet = canvas.sheet;
        let names = names.max().unwrap_or(0).min(match (sheet, self.panels.len()) {
            (Sheet::Page, _) => 240,
            (Sheet::File, 1) => 400,
            (Sheet::File, _) => 300,
        });
        self.draw_names(canvas, names)?;
        let margin = frame::margin(sheet);
        let left = margin + names + 28;
        let count = self.panels.len() as i32;
        let width = (sheet.width() - margin - left - GAP * (count - 1)) / count;
        for (index, panel) in self.panels.iter().enumerate() {
            let left = left + index as i32 * (width + GAP);
            self.draw_panel(canvas, panel, left, left + width)?;
        }
        Ok(())
    }
}

impl Rows {
    /// One chart per panel, if there is no room for two side by side.
    pub(crate) fn split(self) -> Vec<Self> {
        let Self { title, rows, panels, columns } = self;
        let alone = |panel| Self { title: title.clone(), rows: rows.clone(), panels: vec![panel], columns };
        panels.into_iter().map(alone).collect()
    }

    /// Few rows may be tall, many must be narrow.
    fn row_height(&self, sheet: Sheet) -> i32 {
        match self.rows.len() {
            _ if !sheet.is_file() => 64,
            0..=6 => 112,
            7..=14 => 80,
            _ => 48,
        }
    }

    fn middle(&self, row: usize, sheet: Sheet) -> i32 {
        let height = self.row_height(sheet);
        top(sheet) + height * row as i32 + height / 2
    }

    fn draw_names<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, width: i32) -> Drawn<DB> {
        let sheet = canvas.sheet;
        let two_lines = self.row_height(sheet) >= 72;
        for (index, row) in self.rows.iter().enumerate() {
            let (right, y) = (frame::margin(sheet) + width, self.middle(index, sheet));
            let name = fitted(&row.name, Size::Normal, width);
            canvas.text((right, if two_lines { y - 16 } else { y }), &name, Size::Normal, INK, Anchor::Right)?;
            if two_lines {
                let architecture = fitted(&row.architecture, Size::Small, width);
                canvas.text((right, y + 18), &architecture, Size::Small, FAINT_INK, Anchor::Right)?;
            }
        }
        Ok(())
    }

    fn draw_panel<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        panel: &Panel,
        left: i32,
        right: i32,
    ) -> Drawn<DB> {
        // The texts are to the right of their marks, and the longest mark reaches the end of the axis.
        let texts = panel.values.iter().flatten().map(|value| text_width(&value.text, Size::Normal)).max().unwrap_or(0);
        let intervals = ((right - left - texts) / 150).clamp(2, 8) as usize;
        let frame = Frame {
            left,
            right: right - texts - 20,
            top: top(canvas.sheet),
            bottom: top(canvas.sheet) + self.row_height(canvas.sheet) * self.rows.len() as i32,
            x: panel.axis(intervals),
        };
        let title = if frame.x.is_log() { format!("{} (log)", panel.title) } else { panel.title.clone() };
        frame.draw_x(canvas, &title)?;
        for (index, (row, value)) in self.rows.iter().zip(&panel.values).enumerate() {
            let y = self.middle(index, canvas.sheet);
            match value {
                Some(value) => {
                    self.draw_value(canvas, &frame, y, panel.mark, row.look, value)?;
                    let half = self.row_height(canvas.sheet) / 2;
                    canvas.hint_box((left, y - half), (right, y + half), || value.hint(&row.name, &panel.title));
                }
                None => canvas.text_over_grid((left + 16, y), "not measured", FAINT_INK, Anchor::Left)?,
            }
        }
        Ok(())
    }

    fn draw_value<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        frame: &Frame,
        y: i32,
        mark: Mark,
        look: Look,
        value: &Value,
    ) -> Drawn<DB> {
        let x = frame.x_px(value.value);
        let half = self.row_height(canvas.sheet) * 3 / 10;
        let bars = mark == Mark::Bars && !frame.x.is_log();
        let mut end = x;
        if bars {
            canvas.bar((frame.left, y - half), (x.max(frame.left + 1), y + half), look.color)?;
        } else {
            canvas.line(&[(frame.left, y), (frame.right, y)], GRID, 2)?;
        }
        if let Some(interval) = value.interval {
            let (low, high) = (frame.x_px(interval.low), frame.x_px(interval.high));
            end = end.max(high);
            // If the interval is narrower than a line is wide, its ends would look like a smudge.
            if high - low > 6 {
                let cap = (half / 3).min(12);
                let lines =
                    [[(low, y), (high, y)], [(low, y - cap), (low, y + cap)], [(high, y - cap), (high, y + cap)]];
                if bars {
                    // A white outline, because ink alone would be invisible on a dark bar.
                    lines.iter().try_for_each(|line| canvas.line(line, WHITE, 9))?;
                }
                let (color, width) = if bars { (INK, 3) } else { (look.color, 4) };
                lines.iter().try_for_each(|line| canvas.line(line, color, width))?;
            }
        }
        if !bars {
            for single in &value.by_run {
                let x = frame.x_px(*single);
                canvas.line(&[(x, y - half / 2), (x, y + half / 2)], look.color, 3)?;
            }
            canvas.marker((x, y), look.marker, if half > 20 { 12 } else { 9 }, look.color)?;
            end += 8;
        }
        canvas.text_over_grid((end + 14, y), &value.text, INK, Anchor::Left)
    }
}

impl Value {
    fn hint(&self, name: &str, title: &str) -> String {
        let interval = self.interval.map(|i| format!(" ({} to {})", magnitude(i.low), magnitude(i.high)));
        format!("{name}\n{title}: {}{}", self.text, interval.unwrap_or_default())
    }
}

impl Panel {
    fn axis(&self, intervals: usize) -> Axis {
        let values: Vec<f64> = self
            .values
            .iter()
            .flatten()
            .flat_map(|value| {
                let interval = value.interval.map_or([value.value; 2], |interval| [interval.low, interval.high]);
                [value.value].into_iter().chain(interval).chain(value.by_run.iter().copied())
            })
            .collect();
        match self.mark {
            Mark::Bars => Axis::from_zero_or_log(&values, intervals),
            Mark::Points { low, high } => Axis::linear(&values, false, (low.into(), high.into()), intervals),
        }
    }
}
