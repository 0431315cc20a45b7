//! Curves over epochs.

use plotters::prelude::DrawingBackend;

use super::Chart;
use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Drawn, Point, Size, fitted, text_width};
use super::frame::{self, BOTTOM, Frame, MARGIN, TOP};
use super::look::{FAINT_INK, INK, Look};

/// What is known of an epoch: mean over the runs, and their smallest and greatest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spot {
    /// From 1.
    pub(crate) epoch: usize,
    /// Mean over runs.
    pub(crate) mean: f64,
    /// Least value of a run.
    pub(crate) low: f64,
    /// Greatest value of a run.
    pub(crate) high: f64,
}

/// The curves of a model.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    /// The model's name.
    pub(crate) name: String,
    /// Its colour and marker.
    pub(crate) look: Look,
    /// What was measured after the epochs: a solid line.
    pub(crate) eval: Vec<Spot>,
    /// What was measured during the epochs: a dashed line.
    pub(crate) train: Vec<Spot>,
}

/// Curves of several models over their epochs.
#[derive(Debug, Clone)]
pub(crate) struct Curves {
    /// What the chart shows.
    pub(crate) title: String,
    /// The vertical axis with its unit.
    pub(crate) y_title: String,
    /// Limits of the vertical axis.
    pub(crate) y_limits: (f64, f64),
    /// What the solid lines are called.
    pub(crate) eval: String,
    /// One per model; not empty, and with at least one spot.
    pub(crate) curves: Vec<Curve>,
}

const LINE: i32 = 46;
const SWATCH: i32 = 62;

impl Chart for Curves {
    fn size(&self) -> (u32, u32) {
        // As high as the legend needs, up to some sixty models.
        let legend = LINE * (self.curves.len() + self.keys().len() + 1) as i32;
        (1600, (TOP + legend + BOTTOM).clamp(1000, 3000) as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn<DB> {
        let (width, height) = self.size();
        let (width, height) = (width as i32, height as i32);
        let spots = || self.curves.iter().flat_map(|curve| curve.eval.iter().chain(&curve.train));
        let values: Vec<f64> = spots().flat_map(|spot| [spot.low, spot.high]).collect();
        let (first, last) = spots().fold((usize::MAX, 1), |(low, high), s| (low.min(s.epoch), high.max(s.epoch)));
        let y = Axis::linear(&values, false, self.y_limits, 8);

        let names = self.curves.iter().map(|curve| text_width(&curve.name, Size::Normal)).max().unwrap_or(0);
        let keys = self.keys().iter().map(|(_, text)| text_width(text, Size::Small)).max().unwrap_or(0);
        let legend = SWATCH + 16 + names.max(keys).min(340);
        let frame = Frame {
            left: frame::label_room(&y),
            right: width - MARGIN - legend - 36,
            top: TOP,
            bottom: height - BOTTOM,
            x: Axis::whole(first.min(last), last, 10),
        };
        frame::draw_title(canvas, &self.title)?;
        frame.draw_y(canvas, &y, &self.y_title)?;
        frame.draw_x(canvas, "Epoch")?;
        for curve in &self.curves {
            if self.is_crowded() {
                let eval = line(&frame, &y, &curve.eval, |spot| spot.mean);
                canvas.line(&eval, curve.look.color, 3)?;
                canvas.markers(eval.last(), curve.look.marker, 8, curve.look.color)?;
            } else {
                draw_curve(canvas, &frame, &y, curve)?;
            }
        }
        self.draw_legend(canvas, (frame.right + 36, frame.top), width - MARGIN, frame.bottom)
    }
}

impl Curves {
    /// What the kinds of lines mean: those that this chart has.
    fn keys(&self) -> Vec<(Key, &str)> {
        let mut keys = vec![(Key::Solid, self.eval.as_str())];
        if !self.is_crowded() {
            keys.push((Key::Dashed, "training"));
            if self.curves.iter().flat_map(|curve| &curve.eval).any(|spot| spot.high > spot.low) {
                keys.push((Key::Veiled, "range over seeds"));
            }
        }
        keys
    }

    /// Whether there are too many models to tell more than one line each apart.
    fn is_crowded(&self) -> bool {
        self.curves.len() > 10
    }

    /// The models by colour, then what solid, dashed and veiled mean.
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
    if curve.eval.iter().any(|spot| spot.high > spot.low) {
        let mut outline = line(frame, y, &curve.eval, |spot| spot.high);
        outline.extend(line(frame, y, &curve.eval, |spot| spot.low).into_iter().rev());
        canvas.veil(&outline, color)?;
    }
    match line(frame, y, &curve.train, |spot| spot.mean).as_slice() {
        // A single epoch has no line to be seen.
        [at] => canvas.dashes(&[(at.0 - 30, at.1), (at.0 + 30, at.1)], color, 3)?,
        train => canvas.dashes(train, color, 3)?,
    }
    let eval = line(frame, y, &curve.eval, |spot| spot.mean);
    canvas.line(&eval, color, 5)?;
    // Markers on every epoch of many would run together; the last one has its own.
    let every = eval.len().div_ceil(12).max(1);
    canvas.markers(eval.iter().rev().step_by(every), curve.look.marker, 9, color)
}

fn line(frame: &Frame, y: &Axis, spots: &[Spot], value: fn(&Spot) -> f64) -> Vec<Point> {
    spots.iter().map(|spot| (frame.x_px(spot.epoch as f64), frame.y_px(y, value(spot)))).collect()
}

fn rectangle(from: Point, to: Point) -> [Point; 4] {
    [from, (to.0, from.1), to, (from.0, to.1)]
}
