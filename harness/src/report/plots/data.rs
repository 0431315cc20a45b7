//! What each plot shows of the models. `None` where there is nothing to show.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::{Axis, UNLIMITED};
use super::curves::{Curve, Curves, Spot};
use super::look::{self, Look};
use super::rows::{Mark, Panel, Row, Rows, Value};
use super::scatter::{Better, Dot, Scatter};
use crate::config::PublishedRun;
use crate::report::figures::{Estimate, ModelFigures};
use crate::report::format::{count, magnitude, percent};
use crate::report::names::{plain, shorten};
use crate::results::{EpochRecord, TimingMode, TimingSummary};
use crate::stats::{self, Interval};

/// A model as it looks in every plot.
pub(crate) type Shown<'a> = (&'a ModelFigures<'a>, Look);

/// All models with their looks.
pub(crate) fn shown<'a>(models: &'a [ModelFigures<'a>]) -> Vec<Shown<'a>> {
    models.iter().zip(look::of_models(models)).collect()
}

/// Along what a curve of learning runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    /// Epochs.
    Epochs,
    /// Seconds of training, evaluation aside.
    Time,
}

/// Accuracy of every epoch, in percent, beside what others reported.
pub(crate) fn learning_curves(models: &[Shown<'_>], published: &[PublishedRun], along: Along) -> Option<Curves> {
    let over = over_seeds(models);
    let mut curves = curves(models, along, |epoch| 100.0 * epoch.eval_top1, |epoch| 100.0 * epoch.train_top1);
    if along == Along::Epochs {
        curves.extend(published.iter().zip(look::of_others()).map(|(run, look)| Curve {
            name: name(&run.name),
            look,
            main: points(&run.eval_top1),
            train: points(&run.train_top1),
        }));
    }
    let title = match along {
        Along::Epochs => format!("Accuracy by epoch{over}"),
        Along::Time => format!("Accuracy by training time{over}"),
    };
    learning(title, models, curves, along, "Top-1 accuracy, %", (0.0, 100.0))
}

/// Shares by epoch, in percent.
fn points(shares: &[(usize, f64)]) -> Vec<Spot> {
    let spot = |(epoch, share): &(usize, f64)| {
        let value = 100.0 * share;
        Spot { x: *epoch as f64, mean: value, low: value, high: value }
    };
    shares.iter().map(spot).collect()
}

/// Loss of every epoch, in nats.
pub(crate) fn loss_curves(models: &[Shown<'_>]) -> Option<Curves> {
    let curves = curves(models, Along::Epochs, |epoch| epoch.eval_loss, |epoch| epoch.train_loss);
    let title = format!("Loss by epoch{}", over_seeds(models));
    learning(title, models, curves, Along::Epochs, "Cross-entropy, nats", (0.0, f64::INFINITY))
}

fn learning(
    title: String,
    models: &[Shown<'_>],
    curves: Vec<Curve>,
    along: Along,
    y_title: &str,
    y_limits: (f64, f64),
) -> Option<Curves> {
    let spots = || curves.iter().flat_map(|curve| curve.main.iter().chain(&curve.train));
    let (x, x_title) = match along {
        Along::Epochs => {
            let epochs = || spots().map(|spot| spot.x as usize);
            (Axis::whole(epochs().min()?, epochs().max()?, 10), "Epoch".to_owned())
        }
        Along::Time => {
            let seconds: Vec<f64> = spots().map(|spot| spot.x).collect();
            (Axis::linear(&seconds, true, UNLIMITED, 6), "Training time, s".to_owned())
        }
    };
    let y = Axis::linear(&extents(&curves), false, y_limits, 8);
    let (y_title, main) = (y_title.to_owned(), split(models).to_owned());
    (!curves.is_empty()).then_some(Curves { title, x, x_title, y, y_title, main, diagonal: false, curves })
}

fn extents(curves: &[Curve]) -> Vec<f64> {
    let spots = curves.iter().flat_map(|curve| curve.main.iter().chain(&curve.train));
    spots.flat_map(|spot| [spot.low, spot.high]).collect()
}

/// Images per second of every batch size that was timed, on logarithmic axes.
pub(crate) fn rates_by_batch(models: &[Shown<'_>], mode: TimingMode) -> Option<Curves> {
    let curve = |(model, look): &Shown<'_>| {
        let mut rates: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let timings = model.runs.done().flat_map(|(run, _)| run.timings()).filter(|timing| timing.mode == mode);
        timings.for_each(|timing| rates.entry(timing.batch_size).or_default().push(timing.images_per_s()));
        let main = rates.iter().filter_map(|(batch, rates)| of_values(*batch as f64, rates)).collect();
        Curve { name: name(model.runs.model), look: *look, main, train: Vec::new() }
    };
    let curves: Vec<Curve> = models.iter().map(curve).collect();
    // A single batch size makes no curve.
    let sizes: BTreeSet<usize> = curves.iter().flat_map(|curve| &curve.main).map(|spot| spot.x as usize).collect();
    let curves: Vec<Curve> = curves.into_iter().filter(|curve| !curve.main.is_empty()).collect();
    (sizes.len() > 1).then(|| Curves {
        title: "Throughput by batch size".to_owned(),
        x: Axis::log(&sizes.iter().map(|size| *size as f64).collect::<Vec<_>>()),
        x_title: "Batch size (log)".to_owned(),
        y: Axis::log(&extents(&curves)),
        y_title: "Images/s (log)".to_owned(),
        main: "images/s".to_owned(),
        diagonal: false,
        curves,
    })
}

/// How often predictions of a certain confidence are right.
pub(crate) fn reliability(bins: Vec<(String, Look, Vec<Spot>)>) -> Option<Curves> {
    let curve =
        |(model, look, main): (String, Look, Vec<Spot>)| Curve { name: name(&model), look, main, train: Vec::new() };
    let curves: Vec<Curve> = bins.into_iter().map(curve).filter(|curve| !curve.main.is_empty()).collect();
    let axis = || Axis::linear(&[0.0, 100.0], false, (0.0, 100.0), 5);
    (!curves.is_empty()).then(|| Curves {
        title: "Reliability".to_owned(),
        x: axis(),
        x_title: "Mean confidence, %".to_owned(),
        y: axis(),
        y_title: "Share of images right, %".to_owned(),
        main: "images".to_owned(),
        diagonal: true,
        curves,
    })
}

/// Median, 90th and 99th percentile of the time of inference on one image.
pub(crate) fn latency(models: &[Shown<'_>]) -> Option<Rows> {
    let value = |model: &ModelFigures<'_>| {
        let timings: Vec<&TimingSummary> =
            model.runs.done().filter_map(|(run, _)| run.timing_at(TimingMode::Inference, 1)).collect();
        let ms = |of: fn(&TimingSummary) -> f64| {
            stats::median(&timings.iter().map(|timing| 1e3 * of(timing)).collect::<Vec<_>>())
        };
        let (median, p90, p99) =
            (ms(|timing| timing.median_s)?, ms(|timing| timing.p90_s)?, ms(|timing| timing.p99_s)?);
        Some(Value {
            value: median,
            interval: Some(Interval { low: median, high: p99 }),
            by_run: vec![p90],
            text: format!("{} · {} · {}", magnitude(median), magnitude(p90), magnitude(p99)),
        })
    };
    let panel = Panel {
        title: "Latency, ms".to_owned(),
        mark: Mark::Points { low: 0, high: i32::MAX },
        values: models.iter().map(|(model, _)| value(model)).collect(),
    };
    rows("Latency of one image", models, vec![panel])
}

/// Test accuracy with its interval.
pub(crate) fn accuracy(models: &[Shown<'_>]) -> Option<Rows> {
    let values = models
        .iter()
        .map(|(model, _)| value(model.top1.as_ref(), 100.0, |share| format!("{} %", percent(share / 100.0))));
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

/// What accuracy is held against.
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

/// Test accuracy against a cost, with the models that no other beats in both.
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

/// A dot is on the front if none is as good both ways and better in one.
fn mark_front(dots: &mut [Dot], better: Better) {
    let along = |dot: &Dot| if better == Better::Less { -dot.x } else { dot.x };
    let places: Vec<(f64, f64)> = dots.iter().map(|dot| (along(dot), dot.y)).collect();
    for (dot, (x, y)) in dots.iter_mut().zip(&places) {
        let beaten = places.iter().any(|(a, b)| a >= x && b >= y && (a > x || b > y));
        dot.on_front = !beaten;
    }
}

/// A chart of rows without the panels that have no figure; `None` if that leaves none.
fn rows(title: &str, models: &[Shown<'_>], panels: Vec<Panel>) -> Option<Rows> {
    let panels: Vec<Panel> = panels.into_iter().filter(|panel| panel.values.iter().any(Option::is_some)).collect();
    let row = |(model, look): &Shown<'_>| Row {
        name: name(model.runs.model),
        architecture: name(model.runs.architecture),
        look: *look,
    };
    let rows = models.iter().map(row).collect();
    (!panels.is_empty()).then(|| Rows { title: title.to_owned(), rows, panels })
}

fn value(estimate: Option<&Estimate>, scale: f64, text: impl Fn(f64) -> String) -> Option<Value> {
    let estimate = estimate?;
    let interval = estimate.interval.map(|i| Interval { low: scale * i.low, high: scale * i.high });
    let several = estimate.by_run.len() > 1;
    let by_run = if several { estimate.by_run.iter().map(|run| scale * run).collect() } else { Vec::new() };
    Some(Value { value: scale * estimate.value, interval, by_run, text: text(scale * estimate.value) })
}

fn curves(
    models: &[Shown<'_>],
    along: Along,
    eval: fn(&EpochRecord) -> f64,
    train: fn(&EpochRecord) -> f64,
) -> Vec<Curve> {
    let curve = |(model, look): &Shown<'_>| Curve {
        name: name(model.runs.model),
        look: *look,
        main: spots(model, along, eval),
        train: spots(model, along, train),
    };
    let curves = models.iter().map(curve);
    curves.filter(|curve| !curve.main.is_empty() || !curve.train.is_empty()).collect()
}

/// Each epoch's mean and range over the completed runs; over the failed ones if none was completed, so that a divergence can
/// be seen. Values that are not finite are left out.
fn spots(model: &ModelFigures<'_>, along: Along, value: fn(&EpochRecord) -> f64) -> Vec<Spot> {
    let mut runs: Vec<_> = model.runs.done().map(|(run, _)| run).collect();
    if runs.is_empty() {
        runs.clone_from(&model.runs.runs);
    }
    // Time since the training began, and the value, by epoch.
    let mut by_epoch: BTreeMap<usize, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for run in runs {
        let mut seconds = 0.0;
        for record in &run.epochs {
            seconds += record.train_seconds;
            if value(record).is_finite() {
                let (times, values) = by_epoch.entry(record.epoch).or_default();
                times.push(seconds);
                values.push(value(record));
            }
        }
    }
    let spot = |(epoch, (times, values)): (&usize, &(Vec<f64>, Vec<f64>))| {
        let x = if along == Along::Epochs { *epoch as f64 } else { stats::mean(times)? };
        of_values(x, values)
    };
    by_epoch.iter().filter_map(spot).collect()
}

fn of_values(x: f64, values: &[f64]) -> Option<Spot> {
    let (low, high) = (values.iter().copied().reduce(f64::min)?, values.iter().copied().reduce(f64::max)?);
    Some(Spot { x, mean: stats::mean(values)?, low, high })
}

/// What the epochs were evaluated on.
fn split(models: &[Shown<'_>]) -> &'static str {
    let mut epochs = models.iter().flat_map(|(model, _)| &model.runs.runs).flat_map(|run| &run.epochs);
    match epochs.next().map(|epoch| epoch.split.as_str()) {
        Some(first) if epochs.any(|epoch| epoch.split != first) => "evaluation",
        Some("test") => "test",
        _ => "validation",
    }
}

fn over_seeds(models: &[Shown<'_>]) -> &'static str {
    let several = models.iter().any(|(model, _)| model.runs.done().count() > 1);
    if several { ", mean over seeds" } else { "" }
}

/// The largest timed batch, if it is one for all.
fn batch_size(models: &[Shown<'_>], mode: TimingMode) -> String {
    let runs = models.iter().flat_map(|(model, _)| model.runs.done());
    let mut sizes: Vec<usize> =
        runs.filter_map(|(run, _)| run.largest_batch_timing(mode)).map(|timing| timing.batch_size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    match sizes.as_slice() {
        [size] => format!(" at batch {size}"),
        _ => String::new(),
    }
}

/// A name that is short enough to be measured and fitted.
pub(crate) fn name(name: &str) -> String {
    shorten(&plain(name), 60)
}
