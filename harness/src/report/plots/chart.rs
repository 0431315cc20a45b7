//! What a chart is, and how it is drawn on any backend.

use plotters::prelude::{DrawingBackend, IntoDrawingArea};
use plotters::style::WHITE;

use super::canvas::{Canvas, Drawn, Hint, Letters, Sheet};
use crate::error::{Error, Result};

/// A chart with all its data.
pub(crate) trait Chart {
    /// Height in pixels.
    fn height(&self, sheet: Sheet) -> i32;

    /// The chart's data for further use: names of columns, and rows of cells.
    fn data(&self) -> (Vec<String>, Vec<Vec<String>>);

    /// Draws the chart on an empty canvas of that height.
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn<DB>;
}

/// Width and height of a chart, in pixels.
pub(super) fn size(chart: &impl Chart, sheet: Sheet) -> (u32, u32) {
    (sheet.width() as u32, chart.height(sheet) as u32)
}

/// Draws a chart and returns the hints of its marks.
pub(super) fn draw<DB: DrawingBackend>(
    chart: &impl Chart,
    backend: DB,
    letters: Letters,
    sheet: Sheet,
) -> Result<Vec<Hint>> {
    let area = backend.into_drawing_area();
    let canvas = Canvas::new(&area, letters, sheet);
    // A page has its own background, light or dark.
    let filled = if sheet.is_file() { area.fill(&WHITE) } else { Ok(()) };
    let drawn = filled.and_then(|()| chart.draw(&canvas)).and_then(|()| area.present());
    drawn.map_err(|error| {
        Error::io("draw a plot in", &std::env::temp_dir())(std::io::Error::other(error.to_string()))
    })?;
    Ok(canvas.into_hints())
}
