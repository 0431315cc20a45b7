//! Models as rows, each a bar divided into parts of a whole.

use plotters::prelude::DrawingBackend;

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Drawn, Sheet, Size, fitted, text_width};
use super::chart::Chart;
use super::frame::{self, BOTTOM, Frame};
use super::look::{INK, PARTS};
use crate::report::format::{csv_number, magnitude};

/// A model's bar.
#[derive(Debug, Clone)]
pub(crate) struct Stack {
    /// The model's name.
    pub(crate) name: String,
    /// Its parts, in the chart's order and unit, none below zero.
    pub(crate) parts: Vec<f64>,
}

/// Bars of equal length with their parts as percentages; the whole is written next to them.
#[derive(Debug, Clone)]
pub(crate) struct Stacks {
    /// Names of the parts, at most as many as there are colours for them.
    pub(crate) parts: Vec<&'static str>,
    /// The parts' unit.
    pub(crate) unit: &'static str,
    /// The models; not empty, each with a whole above zero.
    pub(crate) rows: Vec<Stack>,
}

const ROW: i32 = 64;
const TOP: i32 = 10;

impl Chart for Stacks {
    fn height(&self, _: Sheet) -> i32 {
        TOP + ROW * self.rows.len() as i32 + BOTTOM
    }

    fn data(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let mut columns = vec!["model".to_owned()];
        columns.extend(self.parts.iter().map(|part| format!("{part}, {}", self.unit)));
        let row = |row: &Stack| {
            let mut cells = vec![row.name.clone()];
            cells.extend(row.parts.iter().copied().map(csv_number));
            cells
        };
        (columns, self.rows.iter().map(row).collect())
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn<DB> {
        let margin = frame::margin(canvas.sheet);
        let names = self.rows.iter().map(|row| text_width(&row.name, Size::Normal)).max().unwrap_or(0).min(240);
        let wholes = self.rows.iter().map(|row| text_width(&self.whole(row), Size::Normal)).max().unwrap_or(0);
        let frame = Frame {
            left: margin + names + 28,
            right: canvas.sheet.width() - margin - wholes - 24,
            top: TOP,
            bottom: TOP + ROW * self.rows.len() as i32,
            x: Axis::linear(&[0.0, 100.0], true, (0.0, 100.0), 5),
        };
        frame.draw_x(canvas, "Percent of the whole")?;
        for (index, row) in self.rows.iter().enumerate() {
            let y = TOP + ROW * index as i32 + ROW / 2;
            let name = fitted(&row.name, Size::Normal, names);
            canvas.text((frame.left - 28, y), &name, Size::Normal, INK, Anchor::Right)?;
            let whole: f64 = row.parts.iter().sum();
            let mut before = 0.0;
            for ((part, color), name) in row.parts.iter().zip(PARTS).zip(&self.parts) {
                let percent = |value: f64| 100.0 * value / whole;
                let (from, to) = (frame.x_px(percent(before)), frame.x_px(percent(before + part)));
                before += part;
                let (from, to) = ((from, y - ROW * 3 / 10), (to, y + ROW * 3 / 10));
                if from.0 < to.0 {
                    canvas.bar(from, to, color)?;
                }
                canvas.hint_box(from, to, || {
                    format!("{}\n{name}: {} {} ({:.0} %)", row.name, magnitude(*part), self.unit, percent(*part))
                });
            }
            canvas.text((frame.right + 24, y), &self.whole(row), Size::Normal, INK, Anchor::Left)?;
        }
        Ok(())
    }
}

impl Stacks {
    fn whole(&self, row: &Stack) -> String {
        format!("{} {}", magnitude(row.parts.iter().sum()), self.unit)
    }
}
