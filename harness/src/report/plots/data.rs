//! The data of plots with rows and points. `None` if there is nothing to show.

use super::look::{self, Look};
use super::rows::{ESTIMATE, Mark, Panel, Row, Rows, Value};
use super::scatter::{Better, Dot, Scatter};
use super::stacks::{Stack, Stacks};
use crate::report::figures::{Estimate, ModelFigures};
use crate::report::format::{count, counted, magnitude, percent};
use crate::report::names::{plain, shorten};
use crate::results::TimingMode;
use crate::stats::Interval;

/// A model as it looks in every plot.
pub(crate) type Shown<'a> = (&'a ModelFigures<'a>, Look);

/// All models with their looks.
pub(crate) fn shown<'a>(models: &'a [ModelFigures<'a>]) -> Vec<Shown<'a>> {
    models.iter().zip(look::of_models(models)).collect()
}

/// Maximum number of models in a plot with one row or line per model.
const ROWS: usize = 40;

/// The models of a plot with one row or line per model, in their order: the most accurate if there are too many, and those without an
/// accuracy only if there is room.
pub(crate) fn most_accurate<'a>(models: &[Shown<'a>]) -> Vec<Shown<'a>> {
    let top1 = |index: usize| models[index].0.top1.as_ref().map_or(f64::NEG_INFINITY, |top1| top1.value);
    let mut ranked: Vec<usize> = (0..models.len()).collect();
    ranked.sort_by(|a, b| top1(*b).total_cmp(&top1(*a)));
    ranked.truncate(ROWS);
    ranked.sort_unstable();
    ranked.into_iter().map(|index| models[index]).collect()
}

/// A note that [`most_accurate`] leaves some of `models` models out, if it does.
pub(crate) fn left_out(models: usize) -> Option<String> {
    (models > ROWS).then(|| format!("Only the {ROWS} most accurate of {} are shown.", counted(models, "model")))
}

/// Median, 90th and 99th percentile of the time of inference on one image.
pub(crate) fn latency(models: &[Shown<'_>]) -> Option<Rows> {
    let value = |model: &ModelFigures<'_>| {
        let row = model.latency()?;
        let [median, p90, p99] = [row.median_s, row.p90_s, row.p99_s].map(|seconds| 1e3 * seconds);
        Some(Value {
            value: median,
            interval: Some(Interval { low: p90, high: p99 }),
            by_run: Vec::new(),
            text: format!("{} · {} · {}", magnitude(median), magnitude(p90), magnitude(p99)),
        })
    };
    let panel = Panel {
        title: "Latency, ms".to_owned(),
        mark: Mark::Points { low: 0, high: i32::MAX },
        values: models.iter().map(|(model, _)| value(model)).collect(),
    };
    let latency = rows("Latency of one image", models, vec![panel]);
    latency.map(|latency| Rows { columns: ["median", "p90", "p99"], ..latency })
}

/// Test accuracy with its interval.
pub(crate) fn accuracy(models: &[Shown<'_>]) -> Option<Rows> {
    let values = models
        .iter()
        .map(|(model, _)| value(model.top1.as_ref(), 100.0, |top1| format!("{} %", percent(top1 / 100.0))));
    let ticks = if over_seeds(models).is_empty() { "" } else { " (tall ticks: single seeds)" };
    let panel = Panel {
        title: format!("Test accuracy (top-1), %{ticks}"),
        mark: Mark::Points { low: 0, high: 100 },
        values: values.collect(),
    };
    rows("Test accuracy with 95 % interval", models, vec![panel])
}

/// Images per second in training and in inference.
pub(crate) fn throughput(models: &[Shown<'_>]) -> Option<Rows> {
    let panel = |title: &str, mode, figure: fn(&ModelFigures<'_>) -> Option<Estimate>| Panel {
        title: format!("{title}{}, images/s", batch_size(models, mode)),
        mark: Mark::Bars,
        values: models.iter().map(|(model, _)| value(figure(model).as_ref(), 1.0, magnitude)).collect(),
    };
    let panels = vec![
        panel("Training", TimingMode::TrainStep, |model| model.train_images_per_s.clone()),
        panel("Inference", TimingMode::Inference, |model| model.inference_images_per_s.clone()),
    ];
    rows("Throughput at the largest timed batch, with 95 % interval", models, panels)
}

/// Parameters.
pub(crate) fn params(models: &[Shown<'_>]) -> Option<Rows> {
    let value = |model: &ModelFigures<'_>| {
        let params = model.size?.params as f64;
        Some(Value { value: params, interval: None, by_run: Vec::new(), text: count(params) })
    };
    let panel = Panel {
        title: "Trainable parameters".to_owned(),
        mark: Mark::Bars,
        values: models.iter().map(|(model, _)| value(model)).collect(),
    };
    rows("Parameters by model", models, vec![panel])
}

/// Milliseconds of data, forward, backward and optimiser.
pub(crate) fn step_parts(models: &[Shown<'_>]) -> Option<Stacks> {
    let row = |(model, _): &Shown<'_>| {
        let parts: Vec<[f64; 4]> = model.runs.done().filter_map(|(run, _)| run.step_parts()).collect();
        stack(model.runs.model, &parts, 1e3)
    };
    stacks(["data", "forward", "backward", "optimiser"], "ms", models.iter().filter_map(row).collect())
}

/// Seconds of start, warm-up, training and evaluation.
pub(crate) fn run_parts(models: &[Shown<'_>]) -> Option<Stacks> {
    let row = |(model, _): &Shown<'_>| {
        let parts = model.runs.done().filter_map(|(_, record)| {
            let first = record.first_step_seconds?;
            Some([record.start_seconds?, first, record.train_seconds - first, record.eval_seconds])
        });
        stack(model.runs.model, &parts.collect::<Vec<_>>(), 1.0)
    };
    stacks(["start", "warm-up", "training", "evaluation"], "s", models.iter().filter_map(row).collect())
}

fn stacks(parts: [&'static str; 4], unit: &'static str, rows: Vec<Stack>) -> Option<Stacks> {
    (!rows.is_empty()).then(|| Stacks { parts: parts.to_vec(), unit, rows })
}

/// The mean over runs, in another unit.
fn stack(model: &str, runs: &[[f64; 4]], scale: f64) -> Option<Stack> {
    let mean = |part: usize| runs.iter().map(|parts| parts[part].max(0.0)).sum::<f64>() / runs.len() as f64;
    let parts: Vec<f64> = (0..4).map(|part| scale * mean(part)).collect();
    (parts.iter().sum::<f64>() > 0.0).then(|| Stack { name: name(model), parts })
}

/// The cost that accuracy is plotted against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cost {
    /// Images per second of inference.
    Inference,
    /// Seconds of training.
    Training,
    /// Parameters.
    Params,
    /// Multiply-accumulates of a forward pass.
    Macs,
}

/// Test accuracy against a cost, with the Pareto front: the models that no other model beats in both.
pub(crate) fn accuracy_against(models: &[Shown<'_>], cost: Cost) -> Option<Scatter> {
    let exact = |value: u64| Some(Estimate { value: value as f64, interval: None, by_run: Vec::new() });
    let figure = |model: &ModelFigures<'_>| match cost {
        Cost::Inference => model.inference_images_per_s.clone(),
        Cost::Training => model.train_seconds.clone(),
        Cost::Params => exact(model.size?.params as u64),
        Cost::Macs => exact(model.size?.macs()),
    };
    let dot = |(model, look): &Shown<'_>| {
        let (top1, x) = (model.top1.as_ref()?.scaled(100.0), figure(model).filter(|figure| figure.value > 0.0)?);
        Some(Dot {
            name: name(model.runs.model),
            look: *look,
            x: x.value,
            x_extent: x.extent(),
            y: top1.value,
            y_extent: top1.extent(),
            on_front: false,
        })
    };
    let mut dots: Vec<Dot> = models.iter().filter_map(dot).collect();
    let better = if cost == Cost::Inference { Better::More } else { Better::Less };
    mark_front(&mut dots, better);
    let (against, x_title) = match cost {
        Cost::Inference => (
            "inference throughput",
            format!("Inference throughput{}, images/s (log)", batch_size(models, TimingMode::Inference)),
        ),
        Cost::Training => ("training time", "Training time, s (log)".to_owned()),
        Cost::Params => ("parameters", "Parameters (log)".to_owned()),
        Cost::Macs => ("multiply-accumulates", "MACs of one image's forward pass (log)".to_owned()),
    };
    (!dots.is_empty()).then(|| Scatter {
        title: format!("Test accuracy against {against}, with 95 % intervals"),
        x_title,
        y_title: "Test accuracy (top-1), %".to_owned(),
        y_limits: (0.0, 100.0),
        better,
        dots,
    })
}

/// A dot is on the front if no other dot is at least as good in both directions and better in one.
fn mark_front(dots: &mut [Dot], better: Better) {
    let along = |dot: &Dot| if better == Better::Less { -dot.x } else { dot.x };
    let places: Vec<(f64, f64)> = dots.iter().map(|dot| (along(dot), dot.y)).collect();
    for (dot, (x, y)) in dots.iter_mut().zip(&places) {
        let beaten = places.iter().any(|(a, b)| a >= x && b >= y && (a > x || b > y));
        dot.on_front = !beaten;
    }
}

/// A chart of rows, without panels that have no figure; `None` if no panel is left.
fn rows(title: &str, models: &[Shown<'_>], panels: Vec<Panel>) -> Option<Rows> {
    let panels: Vec<Panel> = panels.into_iter().filter(|panel| panel.values.iter().any(Option::is_some)).collect();
    let row = |(model, look): &Shown<'_>| Row {
        name: name(model.runs.model),
        architecture: name(model.runs.architecture),
        look: *look,
    };
    let rows = models.iter().map(row).collect();
    (!panels.is_empty()).then(|| Rows { title: title.to_owned(), rows, panels, columns: ESTIMATE })
}

fn value(estimate: Option<&Estimate>, scale: f64, text: impl Fn(f64) -> String) -> Option<Value> {
    let estimate = estimate?;
    let interval = estimate.interval.map(|i| Interval { low: scale * i.low, high: scale * i.high });
    let several = estimate.by_run.len() > 1;
    let by_run = if several { estimate.by_run.iter().map(|run| scale * run).collect() } else { Vec::new() };
    Some(Value { value: scale * estimate.value, interval, by_run, text: text(scale * estimate.value) })
}

pub(crate) fn over_seeds(models: &[Shown<'_>]) -> &'static str {
    let several = models.iter().any(|(model, _)| model.runs.done().count() > 1);
    if several { ", mean over seeds" } else { "" }
}

/// The largest timed batch size, if it is the same for all models.
fn batch_size(models: &[Shown<'_>], mode: TimingMode) -> String {
    let mut sizes: Vec<usize> =
        models.iter().filter_map(|(model, _)| model.largest(mode)).map(|row| row.batch_size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    match sizes.as_slice() {
        [size] => format!(" at batch {size}"),
        _ => String::new(),
    }
}

/// A name, shortened so that measuring and fitting it is fast.
pub(crate) fn name(name: &str) -> String {
    shorten(&plain(name), 60)
}
