//! Models as points: what they achieve against how fast they are.

use plotters::prelude::DrawingBackend;

use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Drawn, Point, Sheet, Size, fitted, text_width};
use super::chart::Chart;
use super::frame::{self, BOTTOM, Frame};
use super::labels::{Rect, place};
use super::look::{FAINT_INK, INK, Look};
use crate::report::format::{csv_number, magnitude};
use crate::stats::Interval;

/// A model's point.
#[derive(Debug, Clone)]
pub(crate) struct Dot {
    /// The model's name.
    pub(crate) name: String,
    /// Its colour and marker.
    pub(crate) look: Look,
    /// Horizontal position, above zero.
    pub(crate) x: f64,
    /// 95 % interval of `x`, or `x` alone.
    pub(crate) x_extent: Interval,
    /// Vertical position.
    pub(crate) y: f64,
    /// 95 % interval of `y`, or `y` alone.
    pub(crate) y_extent: Interval,
    /// Whether the dot is on the Pareto front: no other dot is better in both directions.
    pub(crate) on_front: bool,
}

/// Which way along the horizontal axis is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// For costs: to the left.
    Less,
    /// For speeds: to the right.
    More,
}

/// Points on a logarithmic horizontal axis and a linear vertical one.
#[derive(Debug, Clone)]
pub(crate) struct Scatter {
    /// What the chart shows.
    pub(crate) title: String,
    /// The horizontal axis with its unit.
    pub(crate) x_title: String,
    /// The vertical axis with its unit.
    pub(crate) y_title: String,
    /// Limits of the vertical axis.
    pub(crate) y_limits: (f64, f64),
    /// Which way is better horizontally; vertically it is upwards.
    pub(crate) better: Better,
    /// The points; not empty.
    pub(crate) dots: Vec<Dot>,
}

/// The position of a dot and its intervals, in pixels.
struct Spot {
    center: Point,
    horizontal: [Point; 2],
    vertical: [Point; 2],
}

impl Chart for Scatter {
    fn height(&self, sheet: Sheet) -> i32 {
        if !sheet.is_file() {
            return 660;
        }
        // Names next to many points need room.
        let height = 1000 + 30 * self.dots.len().saturating_sub(20);
        height.min(2500) as i32
    }

    fn data(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let columns = ["model", &self.x_title, "low", "high", &self.y_title, "low", "high", "on the Pareto front"];
        let row = |dot: &Dot| {
            let numbers = [dot.x, dot.x_extent.low, dot.x_extent.high, dot.y, dot.y_extent.low, dot.y_extent.high];
            let front = if dot.on_front { "yes" } else { "no" };
            let mut row = vec![dot.name.clone()];
            row.extend(numbers.map(csv_number));
            row.push(front.to_owned());
            row
        };
        (columns.map(str::to_owned).to_vec(), self.dots.iter().map(row).collect())
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn<DB> {
        let sheet = canvas.sheet;
        let (width, height) = (sheet.width(), self.height(sheet));
        let values = |extent: fn(&Dot) -> [f64; 3]| self.dots.iter().flat_map(extent).collect::<Vec<f64>>();
        let y = Axis::linear(&values(|dot| [dot.y, dot.y_extent.low, dot.y_extent.high]), false, self.y_limits, 8);
        // A logarithmic axis has no zero; an interval that reaches down to it is cut at a tenth of x.
        let x = Axis::log(&values(|dot| [dot.x, dot.x_extent.low.max(dot.x / 10.0), dot.x_extent.high]));
        let frame = Frame {
            left: frame::label_room(&y, sheet),
            right: width - frame::margin(sheet).max(20),
            top: frame::top(sheet),
            bottom: height - BOTTOM,
            x,
        };
        frame::draw_title(canvas, &self.title)?;
        frame.draw_y(canvas, &y, &self.y_title)?;
        frame.draw_x(canvas, &self.x_title)?;
        let spots: Vec<Spot> = self.dots.iter().map(|dot| dot.spot(&frame, &y)).collect();
        canvas.dashes(&self.front(&spots), FAINT_INK, 2)?;
        for (dot, spot) in self.dots.iter().zip(&spots) {
            canvas.line(&spot.horizontal, dot.look.color, 3)?;
            canvas.line(&spot.vertical, dot.look.color, 3)?;
        }
        self.draw_names(canvas, &frame, &spots)?;
        for (dot, spot) in self.dots.iter().zip(&spots) {
            canvas.marker(spot.center, dot.look.marker, 12, dot.look.color)?;
            canvas.hint(spot.center, || self.hint(dot));
        }
        Ok(())
    }
}

impl Dot {
    fn spot(&self, frame: &Frame, y: &Axis) -> Spot {
        let center = (frame.x_px(self.x), frame.y_px(y, self.y));
        Spot {
            center,
            horizontal: [(frame.x_px(self.x_extent.low), center.1), (frame.x_px(self.x_extent.high), center.1)],
            vertical: [(center.0, frame.y_px(y, self.y_extent.low)), (center.0, frame.y_px(y, self.y_extent.high))],
        }
    }
}

impl Scatter {
    /// The front as steps: the line that no dot exceeds in both directions.
    fn front(&self, spots: &[Spot]) -> Vec<Point> {
        let on_front = self.dots.iter().zip(spots).filter(|(dot, _)| dot.on_front);
        let mut corners: Vec<Point> = on_front.map(|(_, spot)| spot.center).collect();
        corners.sort_unstable();
        let mut steps: Vec<Point> = Vec::new();
        for corner in corners {
            // Two neighbouring points are joined by a horizontal and a vertical line, which meet in this corner.
            if let Some(last) = steps.last().copied() {
                steps.push(if self.better == Better::Less { (corner.0, last.1) } else { (last.0, corner.1) });
            }
            steps.push(corner);
        }
        steps
    }

    fn hint(&self, dot: &Dot) -> String {
        let range = |extent: &Interval| match extent.low < extent.high {
            true => format!(" ({} to {})", magnitude(extent.low), magnitude(extent.high)),
            false => String::new(),
        };
        let front = if dot.on_front { "\non the Pareto front" } else { "" };
        format!(
            "{}\n{}: {}{}\n{}: {}{}{front}",
            dot.name,
            self.y_title,
            magnitude(dot.y),
            range(&dot.y_extent),
            self.x_title,
            magnitude(dot.x),
            range(&dot.x_extent)
        )
    }

    /// Writes the names next to their points. If a name had to move far away, a line connects it to its point.
    fn draw_names<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, frame: &Frame, spots: &[Spot]) -> Drawn<DB> {
        let sheet = canvas.sheet;
        // A page shows names under the pointer, so of many points only those on the front need a label.
        let is_named = |dot: &Dot| sheet.is_file() || self.dots.len() <= 12 || dot.on_front;
        let named = || self.dots.iter().zip(spots).filter(|(dot, _)| is_named(dot));
        let room = if sheet.is_file() { 420 } else { 240 };
        let names: Vec<String> = named().map(|(dot, _)| fitted(&dot.name, Size::Normal, room)).collect();
        let sizes: Vec<_> =
            names.iter().map(|name| (text_width(name, Size::Normal) + 8, Size::Normal.line())).collect();
        let centers: Vec<Point> = named().map(|(_, spot)| spot.center).collect();
        let obstacles: Vec<Rect> = spots.iter().map(|spot| Rect::around(spot.center, spot.center, 17)).collect();
        let bar = |[from, to]: [Point; 2]| Rect::around(from, to, 4);
        let bars: Vec<Rect> = spots.iter().flat_map(|spot| [bar(spot.horizontal), bar(spot.vertical)]).collect();
        let bounds =
            Rect { left: frame.left + 4, top: frame.top + 4, right: frame.right - 4, bottom: frame.bottom - 4 };
        let places = place(&centers, &sizes, bounds, &obstacles, &bars);
        for (center, place) in centers.iter().zip(&places) {
            let Some(place) = place else { continue };
            let near = (center.0.clamp(place.left, place.right), center.1.clamp(place.top, place.bottom));
            if (near.0 - center.0).pow(2) + (near.1 - center.1).pow(2) > 60 * 60 {
                canvas.line(&[*center, near], FAINT_INK, 1)?;
            }
        }
        for (name, place) in names.iter().zip(&places) {
            let Some(place) = place else { continue };
            let middle = (place.top + place.bottom) / 2;
            canvas.text_over_grid((place.left + 4, middle), name, INK, Anchor::Left)?;
        }
        let missing = places.iter().filter(|place| place.is_none()).count();
        if missing > 0 && sheet.is_file() {
            let remark = format!("{missing} names left out for lack of room; all are in summary.csv");
            canvas.text((frame.right, frame.top - 44), &remark, Size::Small, FAINT_INK, Anchor::Right)?;
        }
        Ok(())
    }
}
