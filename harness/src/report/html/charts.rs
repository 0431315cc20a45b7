//! The page's plots, each with its data behind it.

use super::embed::csv_uri;
use crate::error::Result;
use crate::report::material::Material;
use crate::report::plots::Chart;
use crate::report::plots::curve_data::{self, Along};
use crate::report::plots::curves::{Curves, Spot};
use crate::report::plots::data::{self, Cost, Shown};
use crate::report::plots::page::{Colors, render};
use crate::report::plots::rows::Rows;
use crate::report::plots::stacks::{Stack, Stacks};
use crate::results::TimingMode;

/// A plot with its title.
pub(super) struct Figure {
    /// Of its file, and of its place in the page.
    pub(super) id: &'static str,
    pub(super) title: String,
    /// How to read it.
    pub(super) note: String,
    /// An `svg` element.
    pub(super) svg: String,
    /// Names of colours, where the plot has some of its own.
    pub(super) parts: Vec<(usize, &'static str)>,
    /// Its data as the address of a link.
    pub(super) csv: String,
}

/// Draws the plots of a page.
pub(super) struct Charts<'a> {
    material: &'a Material<'a>,
    models: &'a [Shown<'a>],
    /// Those of `models` that a plot with a row for each shows.
    most_accurate: Vec<Shown<'a>>,
    colors: &'a Colors,
}

impl<'a> Charts<'a> {
    pub(super) fn new(material: &'a Material<'a>, models: &'a [Shown<'a>], colors: &'a Colors) -> Self {
        Self { material, models, most_accurate: data::most_accurate(models), colors }
    }

    /// Accuracy against what it costs.
    pub(super) fn trade_offs(&self) -> Result<Vec<Figure>> {
        let note = "Error bars are 95 % intervals. The dashed line joins the models that no other beats in both: the Pareto front.";
        let figure =
            |id, title: &str, cost| self.figure(id, title, note, data::accuracy_against(self.models, cost).as_ref());
        let figures = [
            figure("accuracy_vs_throughput", "Accuracy against inference throughput", Cost::Inference)?,
            figure("accuracy_vs_training", "Accuracy against training time", Cost::Training)?,
            figure("accuracy_vs_params", "Accuracy against parameters", Cost::Params)?,
            figure("accuracy_vs_macs", "Accuracy against multiply-accumulates", Cost::Macs)?,
        ];
        Ok(figures.into_iter().flatten().collect())
    }

    /// Accuracy and loss over epochs and time.
    pub(super) fn learning(&self) -> Result<Vec<Figure>> {
        let models = &self.most_accurate;
        let references = self.material.references;
        let by_epoch = curve_data::learning_curves(models, references, Along::Epochs);
        let note = self.bounded(match by_epoch.as_ref().is_some_and(Curves::is_crowded) {
            true => "Evaluation, mean over seeds.",
            false => "Solid: evaluation; dashed: running loss and accuracy over augmented training images; shaded: range over seeds.",
        });
        let by_time = curve_data::learning_curves(models, references, Along::Time);
        let figures = [
            self.figure("learning_curves", "Accuracy by epoch", &note, by_epoch.as_ref())?,
            self.figure("accuracy_by_time", "Accuracy by training time", &note, by_time.as_ref())?,
            self.figure("loss_curves", "Loss by epoch", &note, curve_data::loss_curves(models).as_ref())?,
        ];
        Ok(figures.into_iter().flatten().collect())
    }

    /// Throughput, latency, and what time is spent on.
    pub(super) fn speed(&self) -> Result<Vec<Figure>> {
        let models = &self.most_accurate;
        let throughput = self.bounded("At the largest timed batch, with 95 % intervals.");
        let latency =
            self.bounded("Inference on one image: median (mark), 90th and 99th percentile (ends of the line).");
        let by_batch = self.bounded("Median steps on batches that are already in memory.");
        let step = self.bounded(
            "Parts of a training step, each timed by itself: backward and optimiser are what the longer of two timings takes more. \
             In training, data is read while other images are computed.",
        );
        let run = self.bounded(
            "Start: images read and model made. Warm-up: the first step. Training and evaluation of all epochs; timing is left out.",
        );
        let panels = || data::throughput(models).into_iter().flat_map(Rows::split);
        let of_mode = |mode: &str| panels().find(|rows| rows.panels[0].title.starts_with(mode));
        let figures = [
            self.figure("training_throughput", "Training throughput", &throughput, of_mode("Training").as_ref())?,
            self.figure("inference_throughput", "Inference throughput", &throughput, of_mode("Inference").as_ref())?,
            self.figure("latency", "Latency", &latency, data::latency(models).as_ref())?,
            self.figure(
                "training_by_batch",
                "Training throughput by batch size",
                &by_batch,
                curve_data::rates_by_batch(models, TimingMode::TrainStep).as_ref(),
            )?,
            self.figure(
                "inference_by_batch",
                "Inference throughput by batch size",
                &by_batch,
                curve_data::rates_by_batch(models, TimingMode::Inference).as_ref(),
            )?,
            self.stacks("step_parts", "What a training step spends its time on", &step, self.step_parts())?,
            self.stacks("run_parts", "What a run spends its time on", &run, self.run_parts())?,
        ];
        Ok(figures.into_iter().flatten().collect())
    }

    /// Whether confidence is deserved; one list of spots per model, in their order.
    pub(super) fn reliability(&self, models: &[(Shown<'_>, Vec<Spot>)]) -> Result<Option<Figure>> {
        let note = "Test images by how sure the model was, 15 bins, all seeds together. On the dashed line it is right as often as it is \
                    sure; below, it is too sure.";
        let curves = models.iter().map(|((model, look), spots)| (model.runs.model.to_owned(), *look, spots.clone()));
        self.figure("reliability", "Reliability", note, curve_data::reliability(curves.collect()).as_ref())
    }

    fn figure(&self, id: &'static str, title: &str, note: &str, chart: Option<&impl Chart>) -> Result<Option<Figure>> {
        let Some(chart) = chart else { return Ok(None) };
        let svg = render(chart, self.colors, &format!("{title}. {note}"))?;
        let (title, note) = (title.to_owned(), note.to_owned());
        Ok(Some(Figure { id, title, note, svg, parts: Vec::new(), csv: csv_uri(chart.data()) }))
    }

    fn stacks(
        &self,
        id: &'static str,
        title: &str,
        note: &str,
        (parts, unit, rows): (Vec<&'static str>, &'static str, Vec<Stack>),
    ) -> Result<Option<Figure>> {
        let chart = (!rows.is_empty()).then(|| Stacks { parts: parts.clone(), unit, rows });
        let figure = self.figure(id, title, note, chart.as_ref())?;
        Ok(figure.map(|figure| Figure { parts: parts.into_iter().enumerate().collect(), ..figure }))
    }

    /// Milliseconds of data, forward, backward and optimiser.
    fn step_parts(&self) -> (Vec<&'static str>, &'static str, Vec<Stack>) {
        let row = |(model, _): &Shown<'_>| {
            let parts: Vec<[f64; 4]> = model.runs.done().filter_map(|(run, _)| run.step_parts()).collect();
            stack(model.runs.model, &parts, 1e3)
        };
        let rows = self.most_accurate.iter().filter_map(row).collect();
        (vec!["data", "forward", "backward", "optimiser"], "ms", rows)
    }

    /// Seconds of start, warm-up, training and evaluation.
    fn run_parts(&self) -> (Vec<&'static str>, &'static str, Vec<Stack>) {
        let row = |(model, _): &Shown<'_>| {
            let parts = model.runs.done().filter_map(|(_, record)| {
                let first = record.first_step_seconds?;
                Some([record.start_seconds?, first, record.train_seconds - first, record.eval_seconds])
            });
            stack(model.runs.model, &parts.collect::<Vec<_>>(), 1.0)
        };
        let rows = self.most_accurate.iter().filter_map(row).collect();
        (vec!["start", "warm-up", "training", "evaluation"], "s", rows)
    }

    /// The note, and that not all models are there if they are not.
    fn bounded(&self, note: &str) -> String {
        data::left_out(self.models.len()).map_or_else(|| note.to_owned(), |left_out| format!("{note} {left_out}"))
    }
}

/// The mean over runs, in another unit.
fn stack(model: &str, runs: &[[f64; 4]], scale: f64) -> Option<Stack> {
    let mean = |part: usize| runs.iter().map(|parts| parts[part].max(0.0)).sum::<f64>() / runs.len() as f64;
    let parts: Vec<f64> = (0..4).map(|part| scale * mean(part)).collect();
    (parts.iter().sum::<f64>() > 0.0).then(|| Stack { name: data::name(model), parts })
}
