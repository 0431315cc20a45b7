//! The frame of the data: title, grid, ticks and titles of axes.

use plotters::prelude::DrawingBackend;

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Drawn, Point, Sheet, Size, text_width};
use super::look::{FAINT_INK, GRID, INK};

/// Distance of a chart's title from the top.
const TITLE_Y: i32 = 46;

/// Space between a chart's edge and everything else; a page has margins of its own.
pub(crate) fn margin(sheet: Sheet) -> i32 {
    if sheet.is_file() { 44 } else { 6 }
}

/// Distance from the chart's top to the top of its data: the title, and the title of the vertical axis if there is one.
pub(crate) fn top(sheet: Sheet) -> i32 {
    if sheet.is_file() { 150 } else { 74 }
}

/// Distance from the bottom of the data to that of the chart: labels of ticks and the title of the horizontal axis.
pub(crate) const BOTTOM: i32 = 118;

/// The rectangle of the data, in pixels, with the axes along it.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// Left end of the horizontal axis.
    pub(crate) left: i32,
    /// Its right end.
    pub(crate) right: i32,
    /// Upper end of the vertical axis.
    pub(crate) top: i32,
    /// Its lower end.
    pub(crate) bottom: i32,
    /// The horizontal axis.
    pub(crate) x: Axis,
}

impl Frame {
    /// The horizontal position of a value.
    pub(crate) fn x_px(&self, value: f64) -> i32 {
        self.left + (self.x.position(value) * f64::from(self.right - self.left)).round() as i32
    }

    /// The vertical position of a value.
    pub(crate) fn y_px(&self, axis: &Axis, value: f64) -> i32 {
        self.bottom - (axis.position(value) * f64::from(self.bottom - self.top)).round() as i32
    }

    /// Draws grid lines, ticks and title of the horizontal axis. A label that would touch the one before it is left out.
    pub(crate) fn draw_x<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, title: &str) -> Drawn<DB> {
        let mut free_from = i32::MIN;
        for (value, label) in &self.x.ticks {
            let x = self.x_px(*value);
            canvas.line(&[(x, self.top), (x, self.bottom)], GRID, 2)?;
            let half = text_width(label, Size::Small) / 2;
            if x - half > free_from {
                canvas.text((x, self.bottom + 28), label, Size::Small, FAINT_INK, Anchor::Center)?;
                free_from = x + half + 16;
            }
        }
        canvas.line(&[(self.left, self.bottom), (self.right, self.bottom)], FAINT_INK, 2)?;
        let middle = (self.left + self.right) / 2;
        canvas.text((middle, self.bottom + 80), title, Size::Normal, INK, Anchor::Center)
    }

    /// Draws grid lines and ticks of the vertical axis, and its title horizontally above it, where it is easy to read.
    pub(crate) fn draw_y<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, axis: &Axis, title: &str) -> Drawn<DB> {
        for (value, label) in &axis.ticks {
            let y = self.y_px(axis, *value);
            canvas.line(&[(self.left, y), (self.right, y)], GRID, 2)?;
            canvas.text((self.left - 14, y), label, Size::Small, FAINT_INK, Anchor::Right)?;
        }
        canvas.text((margin(canvas.sheet), self.top - 44), title, Size::Normal, INK, Anchor::Left)
    }
}

/// Draws the chart's title, unless the page shows it.
pub(crate) fn draw_title<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, title: &str) -> Drawn<DB> {
    if !canvas.sheet.is_file() {
        return Ok(());
    }
    let at: Point = (margin(canvas.sheet), TITLE_Y);
    canvas.text(at, title, Size::Title, INK, Anchor::Left)
}

/// Room for the labels of a vertical axis, from the chart's edge to the data.
pub(crate) fn label_room(axis: &Axis, sheet: Sheet) -> i32 {
    let widest = axis.ticks.iter().map(|(_, label)| text_width(label, Size::Small)).max();
    margin(sheet) + widest.unwrap_or(0) + 14
}
