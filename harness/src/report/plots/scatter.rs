//! Models as points: what they achieve against how fast they are.

use plotters::prelude::DrawingBackend;

use super::Chart;
use super::axis::Axis;
use super::canvas::{Anchor, Canvas, Drawn, Point, Size, fitted, text_width};
use super::frame::{self, BOTTOM, Frame, MARGIN, TOP};
use super::labels::{Rect, place};
use super::look::{FAINT_INK, INK, Look};
use crate::stats::Interval;

/// A model's point.
#[derive(Debug, Clone)]
pub(crate) struct Dot {
    /// The model's name.
    pub(crate) name: String,
    /// Its colour and marker.
    pub(crate) look: Look,
    /// Horizontally, above zero.
    pub(crate) x: f64,
    /// 95 % interval of `x`, or `x` alone.
    pub(crate) x_extent: Interval,
    /// Vertically.
    pub(crate) y: f64,
    /// 95 % interval of `y`, or `y` alone.
    pub(crate) y_extent: Interval,
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
    /// The points; not empty.
    pub(crate) dots: Vec<Dot>,
}

/// What a dot takes up in pixels.
struct Spot {
    center: Point,
    horizontal: [Point; 2],
    vertical: [Point; 2],
}

impl Chart for Scatter {
    fn size(&self) -> (u32, u32) {
        // Names beside many points need room.
        let height = 1000 + 30 * self.dots.len().saturating_sub(20);
        (1600, height.min(2500) as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn<DB> {
        let (width, height) = self.size();
        let values = |extent: fn(&Dot) -> [f64; 3]| self.dots.iter().flat_map(extent).collect::<Vec<f64>>();
        let y = Axis::linear(&values(|dot| [dot.y, dot.y_extent.low, dot.y_extent.high]), false, self.y_limits, 8);
        // An interval that reaches down to zero has no place on a logarithmic axis; it is cut at the axis' end, a tenth of x.
        let x = Axis::log(&values(|dot| [dot.x, dot.x_extent.low.max(dot.x / 10.0), dot.x_extent.high]));
        let frame = Frame {
            left: frame::label_room(&y),
            right: width as i32 - MARGIN,
            top: TOP,
            bottom: height as i32 - BOTTOM,
            x,
        };
        frame::draw_title(canvas, &self.title)?;
        frame.draw_y(canvas, &y, &self.y_title)?;
        frame.draw_x(canvas, &self.x_title)?;
        let spots: Vec<Spot> = self.dots.iter().map(|dot| dot.spot(&frame, &y)).collect();
        for (dot, spot) in self.dots.iter().zip(&spots) {
            canvas.line(&spot.horizontal, dot.look.color, 3)?;
            canvas.line(&spot.vertical, dot.look.color, 3)?;
        }
        self.draw_names(canvas, &frame, &spots)?;
        for (dot, spot) in self.dots.iter().zip(&spots) {
            canvas.marker(spot.center, dot.look.marker, 12, dot.look.color)?;
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
    /// Writes the names beside their points; a name that had to go far is tied to its point by a line.
    fn draw_names<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>, frame: &Frame, spots: &[Spot]) -> Drawn<DB> {
        let names: Vec<String> = self.dots.iter().map(|dot| fitted(&dot.name, Size::Normal, 420)).collect();
        let sizes: Vec<_> =
            names.iter().map(|name| (text_width(name, Size::Normal) + 8, Size::Normal.line())).collect();
        let centers: Vec<Point> = spots.iter().map(|spot| spot.center).collect();
        let obstacles: Vec<Rect> = spots
            .iter()
            .flat_map(|spot| {
                [
                    Rect::around(spot.center, spot.center, 17),
                    Rect::around(spot.horizontal[0], spot.horizontal[1], 4),
                    Rect::around(spot.vertical[0], spot.vertical[1], 4),
                ]
            })
            .collect();
        let bounds =
            Rect { left: frame.left + 4, top: frame.top + 4, right: frame.right - 4, bottom: frame.bottom - 4 };
        let places = place(&centers, &sizes, bounds, &obstacles);
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
        if missing > 0 {
            let remark = format!("{missing} names have no room; summary.csv has all");
            canvas.text((frame.right, frame.top - 44), &remark, Size::Small, FAINT_INK, Anchor::Right)?;
        }
        Ok(())
    }
}
