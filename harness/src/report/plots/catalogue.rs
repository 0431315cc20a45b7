//! The table of plots: what each is called, how to read it, where it stands, and what it is drawn from.

use plotters::prelude::DrawingBackend;

use super::canvas::{Canvas, Drawn, Sheet};
use super::chart::Chart;
use super::curve_data::{self, Along};
use super::curves::{Curves, Spot};
use super::data::{self, Cost, Shown, shown};
use super::look::Look;
use super::rows::Rows;
use super::scatter::Scatter;
use super::stacks::Stacks;
use crate::config::ReferenceRun;
use crate::report::figures::ModelFigures;
use crate::results::TimingMode;

/// A section of `report.md` or of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// Accuracy of every model.
    Results,
    /// Accuracy against costs.
    TradeOffs,
    /// Epochs.
    Learning,
    /// Times.
    Speed,
    /// Sizes.
    Cost,
    /// Calibration.
    Reliability,
}

/// What the plots of a report are drawn from.
pub(crate) struct Content<'a> {
    /// Every model.
    pub(crate) models: Vec<Shown<'a>>,
    /// The models that plots with one row or line per model show.
    pub(crate) most_accurate: Vec<Shown<'a>>,
    /// What others reported.
    pub(crate) references: &'a [ReferenceRun],
    /// Confidence and accuracy by bin, of the models whose mistakes are shown.
    pub(crate) spots: Vec<(String, Look, Vec<Spot>)>,
}

impl<'a> Content<'a> {
    /// Without spots, which only the page has.
    pub(crate) fn new(models: &'a [ModelFigures<'a>], references: &'a [ReferenceRun]) -> Self {
        let models = shown(models);
        Self { most_accurate: data::most_accurate(&models), models, references, spots: Vec::new() }
    }
}

/// A chart of any kind.
pub(crate) enum AnyChart {
    Rows(Rows),
    Curves(Curves),
    Scatter(Scatter),
    Stacks(Stacks),
}

impl Chart for AnyChart {
    fn height(&self, sheet: Sheet) -> i32 {
        match self {
            Self::Rows(chart) => chart.height(sheet),
            Self::Curves(chart) => chart.height(sheet),
            Self::Scatter(chart) => chart.height(sheet),
            Self::Stacks(chart) => chart.height(sheet),
        }
    }

    fn data(&self) -> (Vec<String>, Vec<Vec<String>>) {
        match self {
            Self::Rows(chart) => chart.data(),
            Self::Curves(chart) => chart.data(),
            Self::Scatter(chart) => chart.data(),
            Self::Stacks(chart) => chart.data(),
        }
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<'_, DB>) -> Drawn<DB> {
        match self {
            Self::Rows(chart) => chart.draw(canvas),
            Self::Curves(chart) => chart.draw(canvas),
            Self::Scatter(chart) => chart.draw(canvas),
            Self::Stacks(chart) => chart.draw(canvas),
        }
    }
}

/// A plot of the report.
pub(crate) struct Plot {
    /// Name of its file, and its id in the page.
    pub(crate) id: &'static str,
    /// What it shows.
    pub(crate) title: &'static str,
    note: Note,
    /// Where `report.md` shows it. Only such plots have files.
    pub(crate) in_markdown: Option<Section>,
    /// Where the page shows it.
    pub(crate) in_page: Option<Section>,
    /// The chart; none if the models have no data for it.
    pub(crate) chart: fn(&Content<'_>) -> Option<AnyChart>,
}

/// How to read a plot.
enum Note {
    /// For all models.
    All(&'static str),
    /// For the most accurate models; the note says so if there are others.
    MostAccurate(&'static str),
    /// Likewise, with another text if there are too many curves to tell apart.
    Curves { few: &'static str, many: &'static str },
}

impl Plot {
    /// How to read the plot.
    pub(crate) fn note(&self, content: &Content<'_>, chart: &AnyChart) -> String {
        let text = match (&self.note, chart) {
            (Note::All(text), _) => return (*text).to_owned(),
            (Note::Curves { many, .. }, AnyChart::Curves(curves)) if curves.is_crowded() => many,
            (Note::MostAccurate(text) | Note::Curves { few: text, .. }, _) => text,
        };
        let left_out = data::left_out(content.models.len());
        left_out.map_or_else(|| (*text).to_owned(), |left_out| format!("{text} {left_out}"))
    }

    /// The plots that `report.md` shows in a section; those of all sections have files.
    pub(crate) fn in_markdown(section: Section) -> impl Iterator<Item = &'static Self> {
        PLOTS.iter().filter(move |plot| plot.in_markdown == Some(section))
    }

    /// The plots that the page shows in a section.
    pub(crate) fn in_page(section: Section) -> impl Iterator<Item = &'static Self> {
        PLOTS.iter().filter(move |plot| plot.in_page == Some(section))
    }
}

const PARETO: Note = Note::All(
    "Error bars are 95 % intervals. The dashed line is the Pareto front: the models that no other model beats in both.",
);
const EPOCHS: Note = Note::Curves {
    few: "Solid: evaluation; dashed: running loss and accuracy over augmented training images; shaded: range over seeds.",
    many: "Evaluation, mean over seeds.",
};
const RATES: Note = Note::MostAccurate("At the largest timed batch, with 95 % intervals.");
const BY_BATCH: Note = Note::MostAccurate("Median steps on batches that are already in memory.");

/// A panel of [`data::throughput`].
fn throughput_in(content: &Content<'_>, mode: &str) -> Option<AnyChart> {
    let panels = data::throughput(&content.most_accurate).into_iter().flat_map(Rows::split);
    panels.into_iter().find(|rows| rows.panels[0].title.starts_with(mode)).map(AnyChart::Rows)
}

/// All plots, in the order in which their sections show them.
pub(crate) const PLOTS: &[Plot] = &[
    Plot {
        id: "learning_curves",
        title: "Accuracy by epoch",
        note: EPOCHS,
        in_markdown: Some(Section::Learning),
        in_page: Some(Section::Learning),
        chart: |content| {
            curve_data::learning_curves(&content.most_accurate, content.references, Along::Epochs).map(AnyChart::Curves)
        },
    },
    Plot {
        id: "accuracy_by_time",
        title: "Accuracy by training time",
        note: EPOCHS,
        in_markdown: None,
        in_page: Some(Section::Learning),
        chart: |content| {
            curve_data::learning_curves(&content.most_accurate, content.references, Along::Time).map(AnyChart::Curves)
        },
    },
    Plot {
        id: "loss_curves",
        title: "Loss by epoch",
        note: EPOCHS,
        in_markdown: Some(Section::Learning),
        in_page: Some(Section::Learning),
        chart: |content| curve_data::loss_curves(&content.most_accurate).map(AnyChart::Curves),
    },
    Plot {
        id: "accuracy",
        title: "Test accuracy by model",
        note: Note::MostAccurate("With 95 % intervals."),
        in_markdown: Some(Section::Results),
        in_page: None,
        chart: |content| data::accuracy(&content.most_accurate).map(AnyChart::Rows),
    },
    Plot {
        id: "throughput",
        title: "Throughput by model",
        note: RATES,
        in_markdown: Some(Section::Speed),
        in_page: None,
        chart: |content| data::throughput(&content.most_accurate).map(AnyChart::Rows),
    },
    Plot {
        id: "params",
        title: "Parameters by model",
        note: Note::MostAccurate("Trainable parameters."),
        in_markdown: Some(Section::Cost),
        in_page: None,
        chart: |content| data::params(&content.most_accurate).map(AnyChart::Rows),
    },
    Plot {
        id: "accuracy_vs_throughput",
        title: "Accuracy against inference throughput",
        note: PARETO,
        in_markdown: Some(Section::Results),
        in_page: Some(Section::TradeOffs),
        chart: |content| data::accuracy_against(&content.models, Cost::Inference).map(AnyChart::Scatter),
    },
    Plot {
        id: "accuracy_vs_training",
        title: "Accuracy against training time",
        note: PARETO,
        in_markdown: None,
        in_page: Some(Section::TradeOffs),
        chart: |content| data::accuracy_against(&content.models, Cost::Training).map(AnyChart::Scatter),
    },
    Plot {
        id: "accuracy_vs_params",
        title: "Accuracy against parameters",
        note: PARETO,
        in_markdown: None,
        in_page: Some(Section::TradeOffs),
        chart: |content| data::accuracy_against(&content.models, Cost::Params).map(AnyChart::Scatter),
    },
    Plot {
        id: "accuracy_vs_macs",
        title: "Accuracy against multiply-accumulates",
        note: PARETO,
        in_markdown: None,
        in_page: Some(Section::TradeOffs),
        chart: |content| data::accuracy_against(&content.models, Cost::Macs).map(AnyChart::Scatter),
    },
    Plot {
        id: "training_throughput",
        title: "Training throughput",
        note: RATES,
        in_markdown: None,
        in_page: Some(Section::Speed),
        chart: |content| throughput_in(content, "Training"),
    },
    Plot {
        id: "inference_throughput",
        title: "Inference throughput",
        note: RATES,
        in_markdown: None,
        in_page: Some(Section::Speed),
        chart: |content| throughput_in(content, "Inference"),
    },
    Plot {
        id: "latency",
        title: "Latency",
        note: Note::MostAccurate("Inference on one image: median (mark), 90th and 99th percentile (ends of the line)."),
        in_markdown: None,
        in_page: Some(Section::Speed),
        chart: |content| data::latency(&content.most_accurate).map(AnyChart::Rows),
    },
    Plot {
        id: "training_by_batch",
        title: "Training throughput by batch size",
        note: BY_BATCH,
        in_markdown: None,
        in_page: Some(Section::Speed),
        chart: |content| {
            curve_data::rates_by_batch(&content.most_accurate, TimingMode::TrainStep).map(AnyChart::Curves)
        },
    },
    Plot {
        id: "inference_by_batch",
        title: "Inference throughput by batch size",
        note: BY_BATCH,
        in_markdown: None,
        in_page: Some(Section::Speed),
        chart: |content| {
            curve_data::rates_by_batch(&content.most_accurate, TimingMode::Inference).map(AnyChart::Curves)
        },
    },
    Plot {
        id: "step_parts",
        title: "What a training step spends its time on",
        note: Note::MostAccurate(
            "Parts of a training step, each timed separately; backward and optimiser are differences of two timings. During training, \
             data is read while other images are computed.",
        ),
        in_markdown: None,
        in_page: Some(Section::Speed),
        chart: |content| data::step_parts(&content.most_accurate).map(AnyChart::Stacks),
    },
    Plot {
        id: "run_parts",
        title: "What a run spends its time on",
        note: Note::MostAccurate(
            "Start: reading images and building the model. Warm-up: the first step. Training and evaluation: all epochs. Timing is \
             left out.",
        ),
        in_markdown: None,
        in_page: Some(Section::Speed),
        chart: |content| data::run_parts(&content.most_accurate).map(AnyChart::Stacks),
    },
    Plot {
        id: "reliability",
        title: "Reliability",
        note: Note::All(
            "Test images in 15 bins by the model's confidence, all seeds together. On the dashed line, accuracy equals confidence; \
             below it, the model is overconfident.",
        ),
        in_markdown: None,
        in_page: Some(Section::Reliability),
        chart: |content| curve_data::reliability(content.spots.clone()).map(AnyChart::Curves),
    },
];
