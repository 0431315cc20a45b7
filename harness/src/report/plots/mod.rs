//! The plots of a report. Each is described once, over any drawing backend, and drawn as SVG and as PNG.
//!
//! Everything is drawn at twice its intended size: the PNG keeps all pixels, and the SVG declares half the size.

mod axis;
mod canvas;
mod catalogue;
mod chart;
pub(crate) mod curve_data;
pub(crate) mod curves;
pub(crate) mod data;
mod frame;
mod labels;
pub(crate) mod look;
pub(crate) mod page;
pub(crate) mod rows;
pub(crate) mod scatter;
pub(crate) mod stacks;
mod typeface;

#[cfg(test)]
mod tests;

use std::fs;

use plotters::prelude::{BitMapBackend, SVGBackend};

use crate::error::{Error, Result};

use canvas::{Letters, Sheet};
pub(crate) use catalogue::{AnyChart, Content, PLOTS, Plot, Section};
pub(crate) use chart::Chart;
use chart::{draw, size};

/// How a plot is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines and letters, for any size.
    Svg,
    /// Pixels, for Markdown viewers that do not show SVG.
    Png,
}

/// Links to those plots of a section that were drawn.
pub(crate) fn images(drawn: Option<&[&str]>, section: Section) -> String {
    let Some(drawn) = drawn else { return String::new() };
    let mut text = String::new();
    for plot in Plot::in_markdown(section) {
        text += &if drawn.contains(&plot.id) {
            format!("\n![{}](plots/{})\n", plot.title, plot.file(Format::Png))
        } else {
            format!("\n*There is no plot of {}: the runs have no data for it.*\n", plot.title.to_lowercase())
        };
    }
    text
}

impl Format {
    /// Both formats.
    pub(crate) const ALL: [Self; 2] = [Self::Svg, Self::Png];

    fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

impl Plot {
    /// The plot's file.
    pub(crate) fn file(&self, format: Format) -> String {
        format!("{}.{}", self.id, format.ending())
    }

    /// Draws the plot's file; `None` if the models have no data for it.
    pub(crate) fn render(&self, content: &Content<'_>, format: Format) -> Result<Option<Vec<u8>>> {
        let draw = |chart| match format {
            Format::Svg => svg(&chart),
            Format::Png => png(&chart),
        };
        (self.chart)(content).map(draw).transpose()
    }
}

fn svg(chart: &AnyChart) -> Result<Vec<u8>> {
    let (width, height) = size(chart, Sheet::File);
    let mut text = String::new();
    draw(chart, SVGBackend::with_string(&mut text, (width, height)), Letters::Its, Sheet::File)?;
    let size = |width, height| format!("width=\"{width}\" height=\"{height}\"");
    // The first such attributes are those of the document.
    Ok(text.replacen(&size(width, height), &size(width / 2, height / 2), 1).into_bytes())
}

fn png(chart: &AnyChart) -> Result<Vec<u8>> {
    // Plotters can encode only into a file that it writes itself.
    let folder = tempfile::tempdir().map_err(|error| Error::io("create", &std::env::temp_dir())(error))?;
    let path = folder.path().join("plot.png");
    draw(chart, BitMapBackend::new(&path, size(chart, Sheet::File)), Letters::Ours, Sheet::File)?;
    fs::read(&path).map_err(Error::io("read", &path))
}
