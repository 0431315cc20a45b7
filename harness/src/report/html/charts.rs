//! The page's plots, each with a link to its data.

use super::embed::csv_uri;
use crate::error::Result;
use crate::report::plots::page::{Colors, render};
use crate::report::plots::{AnyChart, Chart, Content, Plot, Section};

/// A plot with its title.
pub(super) struct Figure {
    /// Name of its data file, and its id in the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// How to read it.
    pub(super) note: String,
    /// An `svg` element.
    pub(super) svg: String,
    /// Colours and their names, if the plot has colours of its own.
    pub(super) parts: Vec<(usize, &'static str)>,
    /// Its data as a `data:` URI.
    pub(super) csv: String,
}

/// The plots of a section that have something to show.
pub(super) fn figures(section: Section, content: &Content<'_>, colors: &Colors) -> Result<Vec<Figure>> {
    Plot::in_page(section).filter_map(|plot| figure(plot, content, colors).transpose()).collect()
}

fn figure(plot: &Plot, content: &Content<'_>, colors: &Colors) -> Result<Option<Figure>> {
    let Some(chart) = (plot.chart)(content) else { return Ok(None) };
    let note = plot.note(content, &chart);
    let svg = render(&chart, colors, &format!("{}. {note}", plot.title))?;
    let csv = csv_uri(chart.data());
    let parts = match chart {
        AnyChart::Stacks(stacks) => stacks.parts.into_iter().enumerate().collect(),
        AnyChart::Rows(_) | AnyChart::Curves(_) | AnyChart::Scatter(_) => Vec::new(),
    };
    Ok(Some(Figure { id: plot.id, title: plot.title, note, svg, parts, csv }))
}
