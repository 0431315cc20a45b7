//! A drawing area with the few strokes that the charts need, in one font.

use std::cell::RefCell;

use plotters::coord::Shift;
use plotters::element::{DashedPathElement, PathElement, Polygon, Rectangle, Text};
use plotters::prelude::{Circle, DrawingArea, DrawingBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, IntoFont, RGBColor, TextStyle, WHITE};

use super::look::Marker;
use super::typeface::{FAMILY, Typeface};

/// The result of a stroke.
pub(crate) type Drawn<DB> = Result<(), plotters::drawing::DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// A place in the drawing.
pub(crate) type Point = (i32, i32);

/// How large and heavy text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// The chart's title.
    Title,
    /// Names, values and titles of axes.
    Normal,
    /// Labels of ticks, and remarks.
    Small,
}

impl Size {
    /// Height of a line.
    pub(crate) fn line(self) -> i32 {
        self.em() * 5 / 4
    }

    fn em(self) -> i32 {
        match self {
            Self::Title => 34,
            Self::Normal => 26,
            Self::Small => 24,
        }
    }

    fn typeface(self) -> Typeface {
        Typeface::of_em(self.em(), self == Self::Title)
    }
}

/// Which point of a text is placed at the given position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// The middle of its left end.
    Left,
    /// The middle of its right end.
    Right,
    /// Its middle.
    Center,
}

/// Who draws the letters of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letters {
    /// The backend, which has letters of its own, as SVG does.
    Its,
    /// This program, on a backend of pixels.
    Ours,
}

/// What a chart is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sheet {
    /// A file of its own, which has to be self-explanatory.
    File,
    /// Part of a page, which shows the title and the legend itself, and values under the pointer.
    Page,
}

impl Sheet {
    /// Width of the drawing in pixels.
    pub(crate) fn width(self) -> i32 {
        match self {
            Self::File => 1600,
            Self::Page => 900,
        }
    }

    /// Whether the drawing needs a title and a legend.
    pub(crate) fn is_file(self) -> bool {
        self == Self::File
    }
}

/// A text that is shown while the pointer is on a rectangle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Upper left corner.
    pub(crate) from: Point,
    /// Lower right corner.
    pub(crate) to: Point,
    /// The text.
    pub(crate) text: String,
}

/// A drawing area with the strokes of charts.
pub(crate) struct Canvas<'a, DB: DrawingBackend> {
    area: &'a DrawingArea<DB, Shift>,
    letters: Letters,
    /// What the chart is drawn for.
    pub(crate) sheet: Sheet,
    hints: RefCell<Vec<Hint>>,
}

impl<'a, DB: DrawingBackend> Canvas<'a, DB> {
    /// A canvas over an area.
    pub(crate) fn new(area: &'a DrawingArea<DB, Shift>, letters: Letters, sheet: Sheet) -> Self {
        Self { area, letters, sheet, hints: RefCell::default() }
    }

    /// Adds a hint to the surroundings of a point.
    pub(crate) fn hint(&self, at: Point, text: impl FnOnce() -> String) {
        const REACH: i32 = 18;
        self.hint_box((at.0 - REACH, at.1 - REACH), (at.0 + REACH, at.1 + REACH), text);
    }

    /// Adds a hint to a rectangle.
    pub(crate) fn hint_box(&self, from: Point, to: Point, text: impl FnOnce() -> String) {
        if self.sheet == Sheet::Page {
            self.hints.borrow_mut().push(Hint { from, to, text: text() });
        }
    }

    /// All hints.
    pub(crate) fn into_hints(self) -> Vec<Hint> {
        self.hints.into_inner()
    }

    /// Writes one line of text, with lowercase letters centred vertically on `at`.
    pub(crate) fn text(&self, at: Point, text: &str, size: Size, color: RGBColor, anchor: Anchor) -> Drawn<DB> {
        let typeface = size.typeface();
        match self.letters {
            Letters::Its => {
                let weight = if typeface.bold { FontStyle::Bold } else { FontStyle::Normal };
                let position = match anchor {
                    Anchor::Left => HPos::Left,
                    Anchor::Right => HPos::Right,
                    Anchor::Center => HPos::Center,
                };
                let font = (FAMILY, typeface.size, weight).into_font();
                let style = TextStyle::from(font).color(&color).pos(Pos::new(position, VPos::Center));
                self.area.draw(&Text::new(text.to_owned(), at, style))
            }
            Letters::Ours => {
                let left = left_end(at.0, text_width(text, size), anchor);
                for ((x, y), coverage) in typeface.ink(text) {
                    self.area.draw_pixel((left + x, at.1 + y), &color.mix(f64::from(coverage)))?;
                }
                Ok(())
            }
        }
    }

    /// Writes text on a white background, over grid lines.
    pub(crate) fn text_over_grid(&self, at: Point, text: &str, color: RGBColor, anchor: Anchor) -> Drawn<DB> {
        let (width, half) = (text_width(text, Size::Normal), Size::Normal.line() / 2);
        let left = left_end(at.0, width, anchor);
        self.bar((left - 4, at.1 - half), (left + width + 4, at.1 + half), WHITE)?;
        self.text(at, text, Size::Normal, color, anchor)
    }

    /// Draws a line through the points.
    pub(crate) fn line(&self, points: &[Point], color: RGBColor, width: u32) -> Drawn<DB> {
        self.area.draw(&PathElement::new(points.to_vec(), color.stroke_width(width)))
    }

    /// Draws a dashed line through the points.
    pub(crate) fn dashes(&self, points: &[Point], color: RGBColor, width: u32) -> Drawn<DB> {
        self.area.draw(&DashedPathElement::new(points.to_vec(), 14, 9, color.stroke_width(width)))
    }

    /// Fills a rectangle.
    pub(crate) fn bar(&self, from: Point, to: Point, color: RGBColor) -> Drawn<DB> {
        self.area.draw(&Rectangle::new([from, to], color.filled()))
    }

    /// Fills a polygon with a transparent colour.
    pub(crate) fn veil(&self, points: &[Point], color: RGBColor) -> Drawn<DB> {
        self.area.draw(&Polygon::new(points.to_vec(), color.mix(0.15).filled()))
    }

    /// Draws points of about `radius`.
    pub(crate) fn markers<'p>(
        &self,
        at: impl IntoIterator<Item = &'p Point>,
        marker: Marker,
        radius: i32,
        color: RGBColor,
    ) -> Drawn<DB> {
        at.into_iter().try_for_each(|at| self.marker(*at, marker, radius, color))
    }

    /// Draws a point of about `radius`.
    pub(crate) fn marker(&self, at: Point, marker: Marker, radius: i32, color: RGBColor) -> Drawn<DB> {
        let corners = |corners: &[(f64, f64)]| {
            let corner = |(x, y): &(f64, f64)| {
                (at.0 + (x * f64::from(radius)).round() as i32, at.1 + (y * f64::from(radius)).round() as i32)
            };
            Polygon::new(corners.iter().map(corner).collect::<Vec<_>>(), color.filled())
        };
        match marker {
            Marker::Circle => self.area.draw(&Circle::new(at, radius, color.filled())),
            Marker::Square => self.area.draw(&corners(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)])),
            Marker::Triangle => self.area.draw(&corners(&[(0.0, -1.2), (1.1, 0.8), (-1.1, 0.8)])),
            Marker::Diamond => self.area.draw(&corners(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)])),
        }
    }
}

/// Width of a line of text in pixels, rounded up. It is the same for every backend, because the font is.
pub(crate) fn text_width(text: &str, size: Size) -> i32 {
    size.typeface().width(text).ceil() as i32
}

fn left_end(x: i32, width: i32, anchor: Anchor) -> i32 {
    match anchor {
        Anchor::Left => x,
        Anchor::Right => x - width,
        Anchor::Center => x - width / 2,
    }
}

/// The text, or as much of its beginning and end as fits into `width`.
pub(crate) fn fitted(text: &str, size: Size, width: i32) -> String {
    let mut chars = text.chars().count();
    let mut fitted = text.to_owned();
    while text_width(&fitted, size) > width && chars > 1 {
        chars -= 1;
        fitted = crate::report::names::shorten(text, chars);
    }
    fitted
}
