//! The plots of a report. Each is described once, over any drawing backend, and drawn as SVG and as PNG.
//!
//! Everything is drawn on a raster twice as fine as it is meant to be seen: the PNG has all of its pixels, and the SVG says that
//! it is half as large.

mod axis;
mod canvas;
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

use crate::config::ReferenceRun;
use crate::error::{Error, Result};
use crate::report::figures::ModelFigures;
use curve_data::Along;
use data::Cost;

use canvas::{Letters, Sheet};
pub(crate) use chart::Chart;
use chart::{draw, size};

/// A plot of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plot {
    /// Accuracy of every epoch.
    LearningCurves,
    /// Loss of every epoch.
    LossCurves,
    /// Test accuracy per model.
    Accuracy,
    /// Images per second in training and inference per model.
    Throughput,
    /// Parameters per model.
    Params,
    /// Test accuracy against inference throughput.
    AccuracyVsThroughput,
}

/// How a plot is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines and letters, for any size.
    Svg,
    /// Pixels, for Markdown viewers that show no SVG.
    Png,
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
    /// All plots, in the order of their making.
    pub(crate) const ALL: [Self; 6] = [
        Self::LearningCurves,
        Self::LossCurves,
        Self::Accuracy,
        Self::Throughput,
        Self::Params,
        Self::AccuracyVsThroughput,
    ];

    /// The plot's file.
    pub(crate) fn file(self, format: Format) -> String {
        let name = match self {
            Self::LearningCurves => "learning_curves",
            Self::LossCurves => "loss_curves",
            Self::Accuracy => "accuracy",
            Self::Throughput => "throughput",
            Self::Params => "params",
            Self::AccuracyVsThroughput => "accuracy_vs_throughput",
        };
        format!("{name}.{}", format.ending())
    }

    /// What the plot shows, for readers who do not see it.
    pub(crate) fn caption(self) -> &'static str {
        match self {
            Self::LearningCurves => "Accuracy by epoch",
            Self::LossCurves => "Loss by epoch",
            Self::Accuracy => "Test accuracy by model",
            Self::Throughput => "Throughput by model",
            Self::Params => "Parameters by model",
            Self::AccuracyVsThroughput => "Test accuracy against inference throughput",
        }
    }

    /// Draws the plot; `None` if the models have nothing to show in it.
    pub(crate) fn render(
        self,
        models: &[ModelFigures<'_>],
        references: &[ReferenceRun],
        format: Format,
    ) -> Result<Option<Vec<u8>>> {
        let all = &data::shown(models);
        let models = &data::most_accurate(all);
        match self {
            Self::LearningCurves => render(curve_data::learning_curves(models, references, Along::Epochs), format),
            Self::LossCurves => render(curve_data::loss_curves(models), format),
            Self::Accuracy => render(data::accuracy(models), format),
            Self::Throughput => render(data::throughput(models), format),
            Self::Params => render(data::params(models), format),
            Self::AccuracyVsThroughput => render(data::accuracy_against(all, Cost::Inference), format),
        }
    }
}

fn render(chart: Option<impl Chart>, format: Format) -> Result<Option<Vec<u8>>> {
    let bytes = chart.map(|chart| match format {
        Format::Svg => svg(&chart),
        Format::Png => png(&chart),
    });
    bytes.transpose()
}

fn svg(chart: &impl Chart) -> Result<Vec<u8>> {
    let (width, height) = size(chart, Sheet::File);
    let mut text = String::new();
    draw(chart, SVGBackend::with_string(&mut text, (width, height)), Letters::Its, Sheet::File)?;
    let size = |width, height| format!("width=\"{width}\" height=\"{height}\"");
    // The first such attributes are those of the document.
    Ok(text.replacen(&size(width, height), &size(width / 2, height / 2), 1).into_bytes())
}

fn png(chart: &impl Chart) -> Result<Vec<u8>> {
    // Plotters encodes into a file of its own only.
    let folder = tempfile::tempdir().map_err(|error| Error::io("create", &std::env::temp_dir())(error))?;
    let path = folder.path().join("plot.png");
    draw(chart, BitMapBackend::new(&path, size(chart, Sheet::File)), Letters::Ours, Sheet::File)?;
    fs::read(&path).map_err(Error::io("read", &path))
}
