//! Curves over epochs, time, batch sizes or probabilities.

use plotters::prelude::DrawingBackend;

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Drawn, Point, Sheet, Size, fitted, text_width};
use super::chart::Chart;
use super::frame::{self, BOTTOM, Frame};
use super::look::{FAINT_INK, INK, Look};
use crate::report::format::{csv_number, magnitude};

/// A point of a curve: the mean over the runs, and their smallest and largest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spot {
    /// Its horizontal position: an epoch, a time, a batch size, a probability.
    pub(crate) x: f64,
    /// Mean over runs.
    pub(crate) mean: f64,
    /// Smallest value of a run.
    pub(crate) low: f64,
    /// Largest value of a run.
    pub(crate) high: f64,
}

/// The curves of a model.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    /// The model's name.
    pub(crate) name: String,
    /// Its colour and marker.
    pub(crate) look: Look,
    /// The chart's main figure: a solid line.
    pub(crate) main: Vec<Spot>,
    /// The same figure in training, if it was measured there: a dashed line.
    pub(crate) train: Vec<Spot>,
}

/// Curves of several models.
#[derive(Debug, Clone)]
pub(crate) struct Curves {
    /// What the chart shows.
    pub(crate) title: String,
    /// The horizontal axis.
    pub(crate) x: Axis,
    /// Its title with its unit.
    pub(crate) x_title: String,
    /// The vertical axis.
    pub(crate) y: Axis,
    /// Its title with its unit.
    pub(crate) y_title: String,
    /// The name of the solid lines.
    pub(crate) main: String,
    /// Whether a line marks where both figures are equal.
    pub(crate) diagonal: bool,
    /// One per model; not empty, and with at least one spot.
    pub(crate) curves: Vec<Curve>,
}

const LINE: i32 = 46;
const SWATCH: i32 = 62;

impl Chart for Curves {
    fn height(&self, sheet: Sheet) -> i32 {
        if !sheet.is_file() {
            return 640;
        }
        // As high as the legend needs, up to about sixty models.
        let legend = LINE * (self.curves.len() + self.keys().len() + 1) as i32;
        (frame::top(sheet) + legend + BOTTOM).clamp(1000, 3000)
    }

    fn data(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let train = self.curves.iter().any(|curve| !curve.train.is_empty());
        let mut columns = vec!["model", &self.x_title, "mean", "least", "greatest"];
        columns.extend(train.then_some("training"));
        let mut rows = Vec::new();
        for curve in &self.curves {
            for spot in &curve.main {
                let mut row = vec![curve.name.clone()];
                row.extend([spot.x, spot.mean, spot.low, spot.high].map(csv_number));
                if train {
                    let same = curve.train.iter().find(|other| other.x == spot.x);
                    row.push(same.map_or_else(String::new, |other| csv_number(other.mean)));
                }
                rows.push(row);
            }
        }
        (columns.into_iter().map(str::to_owned).collect(), rows)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn<DB> {
        let sheet = canvas.sheet;
        let (width, height) = (sheet.width(), self.height(sheet));
        let names = self.curves.iter().map(|curve| text_width(&curve.name, Size::Normal)).max().unwrap_or(0);
        let keys = self.keys().iter().map(|(_, text)| text_width(text, Size::Small)).max().unwrap_or(0);
        // A page has its legend next to the chart.
        let legend = if sheet.is_file() { SWATCH + 52 + names.max(keys).min(340) } else { 14 };
        let y = &self.y;
        let frame = Frame {
            left: frame::label_room(y, sheet),
            right: width - frame::margin(sheet) - legend,
            top: frame::top(sheet),
            bottom: height - BOTTOM,
            x: self.x.clone(),
        };
        frame::draw_title(canvas, &self.title)?;
        frame.draw_y(canvas, y, &self.y_title)?;
        frame.draw_x(canvas, &self.x_title)?;
        if self.diagonal {
            canvas.dashes(&[(frame.left, frame.bottom), (frame.right, frame.top)], FAINT_INK, 2)?;
        }
        for curve in &self.curves {
            if self.is_crowded() {
                let main = line(&frame, y, &curve.main, |spot| spot.mean);
                canvas.line(&main, curve.look.color, 3)?;
                canvas.markers(main.last(), curve.look.marker, 8, curve.look.color)?;
            } else {
                draw_curve(canvas, &frame, y, curve)?;
            }
            self.hint(canvas, &frame, curve);
        }
        if !sheet.is_file() {
            return Ok(());
        }
        self.draw_legend(canvas, (frame.right + 36, frame.top), width - frame::margin(sheet), frame.bottom)
    }
}

impl Curves {
    /// The kinds of lines that this chart has, and what they mean.
    fn keys(&self) -> Vec<(Key, &str)> {
        let mut keys = vec![(Key::Solid, self.main.as_str())];
        if !self.is_crowded() {
            if self.curves.iter().any(|curve| !curve.train.is_empty()) {
                keys.push((Key::Dashed, "training"));
            }
            if self.curves.iter().flat_map(|curve| &curve.main).any(|spot| spot.high > spot.low) {
                keys.push((Key::Veiled, "range over seeds"));
            }
        }
        keys
    }

    /// Adds hints with values: to all points if there are few, and otherwise to some, including the last.
    fn hint<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, frame: &Frame, curve: &Curve) {
        let every = if self.is_crowded() { curve.main.len() } else { curve.main.len().div_ceil(24) }.max(1);
        for spot in curve.main.iter().rev().step_by(every) {
            let at = (frame.x_px(spot.x), frame.y_px(&self.y, spot.mean));
            let range = if spot.high > spot.low {
                format!(" ({} to {})", magnitude(spot.low), magnitude(spot.high))
            } else {
                String::new()
            };
            canvas.hint(at, || {
                let (x, y) = (magnitude(spot.x), magnitude(spot.mean));
                format!("{}\n{}: {x}\n{}: {y}{range}", curve.name, self.x_title, self.y_title)
            });
        }
    }

    /// Whether there are too many models to draw more than one line for each.
    pub(crate) fn is_crowded(&self) -> bool {
        self.curves.len() > 10
    }

    /// The models by colour, then what solid, dashed and shaded mean.
    fn draw_legend<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<'_, DB>,
        (left, top): Point,
        right: i32,
        bottom: i32,
    ) -> Drawn<DB> {
        let keys = self.keys();
        let room = ((bottom - top) / LINE) as usize - keys.len() - 1;
        // A last line of "and 12 more" takes the place of a name.
        let shown = if self.curves.len() > room { room - 1 } else { self.curves.len() };
        let text_left = left + SWATCH + 16;
        let mut y = top + LINE / 2;
        for curve in &self.curves[..shown] {
            canvas.line(&[(left, y), (left + SWATCH, y)], curve.look.color, 5)?;
            canvas.marker((left + SWATCH / 2, y), curve.look.marker, 9, curve.look.color)?;
            let name = fitted(&curve.name, Size::Normal, right - text_left);
            canvas.text((text_left, y), &name, Size::Normal, INK, Anchor::Left)?;
            y += LINE;
        }
        if shown < self.curves.len() {
            let more = format!("and {} more", self.curves.len() - shown);
            canvas.text((text_left, y), &more, Size::Normal, FAINT_INK, Anchor::Left)?;
            y += LINE;
        }
        y += LINE / 2;
        for (key, text) in keys {
            let ends = [(left, y), (left + SWATCH, y)];
            match key {
                Key::Solid => canvas.line(&ends, FAINT_INK, 5)?,
                Key::Dashed => canvas.dashes(&ends, FAINT_INK, 3)?,
                Key::Veiled => canvas.veil(&rectangle((left, y - 12), (left + SWATCH, y + 12)), INK)?,
            }
            let text = fitted(text, Size::Small, right - text_left);
            canvas.text((text_left, y), &text, Size::Small, INK, Anchor::Left)?;
            y += LINE;
        }
        Ok(())
    }
}

/// A kind of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Solid,
    Dashed,
    Veiled,
}

fn draw_curve<DB: DrawingBackend>(canvas: &Canvas<'_, DB>, frame: &Frame, y: &Axis, curve: &Curve) -> Drawn<DB> {
    let color = curve.look.color;
    if curve.main.iter().any(|spot| spot.high > spot.low) {
        let mut outline = line(frame, y, &curve.main, |spot| spot.high);
        outline.extend(line(frame, y, &curve.main, |spot| spot.low).into_iter().rev());
        canvas.veil(&outline, color)?;
    }
    match line(frame, y, &curve.train, |spot| spot.mean).as_slice() {
        // A single epoch has no visible line.
        [at] => canvas.dashes(&[(at.0 - 30, at.1), (at.0 + 30, at.1)], color, 3)?,
        train => canvas.dashes(train, color, 3)?,
    }
    let main = line(frame, y, &curve.main, |spot| spot.mean);
    canvas.line(&main, color, 5)?;
    // Markers on every epoch of many would run together; the last one has its own.
    let every = main.len().div_ceil(12).max(1);
    canvas.markers(main.iter().rev().step_by(every), curve.look.marker, 9, color)
}

fn line(frame: &Frame, y: &Axis, spots: &[Spot], value: fn(&Spot) -> f64) -> Vec<Point> {
    spots.iter().map(|spot| (frame.x_px(spot.x), frame.y_px(y, value(spot)))).collect()
}

fn rectangle(from: Point, to: Point) -> [Point; 4] {
    [from, (to.0, from.1), to, (from.0, to.1)]
}
