//! What each plot shows of the models. `None` where there is nothing to show.

use std::collections::BTreeSet;

use super::curves::{Curve, Curves, Spot};
use super::look::{self, Look};
use super::rows::{Mark, Panel, Row, Rows, Value};
use super::scatter::{Dot, Scatter};
use crate::config::PublishedRun;
use crate::report::figures::{Estimate, ModelFigures};
use crate::report::format::{count, magnitude, percent};
use crate::report::names::{plain, shorten};
use crate::results::{EpochRecord, TimingMode};
use crate::stats::Interval;

/// Accuracy of every epoch, in percent, beside what others reported.
pub(crate) fn learning_curves(models: &[ModelFigures<'_>], published: &[PublishedRun]) -> Option<Curves> {
    let (over, mut curves) =
        (over_seeds(models), curves(models, |epoch| 100.0 * epoch.eval_top1, |epoch| 100.0 * epoch.train_top1));
    curves.extend(published.iter().zip(look::of_others()).map(|(run, look)| Curve {
        name: name(&run.name),
        look,
        eval: points(&run.eval_top1),
        train: points(&run.train_top1),
    }));
    (!curves.is_empty()).then(|| Curves {
        title: format!("Accuracy by epoch{over}"),
        y_title: "Top-1 accuracy, %".to_owned(),
        y_limits: (0.0, 100.0),
        eval: split(models).to_owned(),
        curves,
    })
}

/// Shares by epoch, in percent.
fn points(shares: &[(usize, f64)]) -> Vec<Spot> {
    let spot = |(epoch, share): &(usize, f64)| {
        let value = 100.0 * share;
        Spot { epoch: *epoch, mean: value, low: value, high: value }
    };
    shares.iter().map(spot).collect()
}

/// Loss of every epoch, in nats.
pub(crate) fn loss_curves(models: &[ModelFigures<'_>]) -> Option<Curves> {
    let (over, curves) = (over_seeds(models), curves(models, |epoch| epoch.eval_loss, |epoch| epoch.train_loss));
    (!curves.is_empty()).then(|| Curves {
        title: format!("Loss by epoch{over}"),
        y_title: "Cross-entropy, nats".to_owned(),
        y_limits: (0.0, f64::INFINITY),
        eval: split(models).to_owned(),
        curves,
    })
}

/// Test accuracy with its interval.
pub(crate) fn accuracy(models: &[ModelFigures<'_>]) -> Option<Rows> {
    let values =
        models.iter().map(|model| value(model.top1.as_ref(), 100.0, |share| format!("{} %", percent(share / 100.0))));
    let ticks = if over_seeds(models).is_empty() { "" } else { " (tall ticks: single seeds)" };
    let panel = Panel {
        title: format!("Test accuracy (top-1), %{ticks}"),
        mark: Mark::Points { low: 0, high: 100 },
        values: values.collect(),
    };
    rows("Test accuracy with 95 % interval", models, vec![panel])
}

/// Images per second in training and in inference.
pub(crate) fn throughput(models: &[ModelFigures<'_>]) -> Option<Rows> {
    let panel = |title: &str, mode, figure: fn(&ModelFigures<'_>) -> Option<Estimate>| Panel {
        title: format!("{title}{}, images/s", batch_size(models, mode)),
        mark: Mark::Bars,
        values: models.iter().map(|model| value(figure(model).as_ref(), 1.0, magnitude)).collect(),
    };
    let panels = vec![
        panel("Training", TimingMode::TrainStep, |model| model.train_images_per_s.clone()),
        panel("Inference", TimingMode::Inference, |model| model.inference_images_per_s.clone()),
    ];
    rows("Throughput at the largest timed batch, with 95 % interval", models, panels)
}

/// Parameters.
pub(crate) fn params(models: &[ModelFigures<'_>]) -> Option<Rows> {
    let value = |model: &ModelFigures<'_>| {
        let params = model.size?.params as f64;
        Some(Value { value: params, interval: None, by_run: Vec::new(), text: count(params) })
    };
    let panel = Panel {
        title: "Trainable parameters".to_owned(),
        mark: Mark::Bars,
        values: models.iter().map(value).collect(),
    };
    rows("Parameters by model", models, vec![panel])
}

/// Test accuracy against inference throughput.
pub(crate) fn accuracy_vs_throughput(models: &[ModelFigures<'_>]) -> Option<Scatter> {
    let dot = |(model, look): (&ModelFigures<'_>, Look)| {
        let (top1, speed) = (model.top1.as_ref()?, model.inference_images_per_s.as_ref()?);
        let Interval { low, high } = top1.extent();
        Some(Dot {
            name: name(model.runs.model),
            look,
            x: speed.value,
            x_extent: speed.extent(),
            y: 100.0 * top1.value,
            y_extent: Interval { low: 100.0 * low, high: 100.0 * high },
        })
    };
    let dots: Vec<Dot> = models.iter().zip(look::of_models(models)).filter_map(dot).collect();
    (!dots.is_empty()).then(|| Scatter {
        title: "Test accuracy against inference throughput, with 95 % intervals".to_owned(),
        x_title: format!("Inference throughput{}, images/s (log)", batch_size(models, TimingMode::Inference)),
        y_title: "Test accuracy (top-1), %".to_owned(),
        y_limits: (0.0, 100.0),
        dots,
    })
}

/// A chart of rows without the panels that have no figure; `None` if that leaves none.
fn rows(title: &str, models: &[ModelFigures<'_>], panels: Vec<Panel>) -> Option<Rows> {
    let panels: Vec<Panel> = panels.into_iter().filter(|panel| panel.values.iter().any(Option::is_some)).collect();
    let row = |(model, look): (&ModelFigures<'_>, Look)| Row {
        name: name(model.runs.model),
        architecture: name(model.runs.architecture),
        look,
    };
    let rows = models.iter().zip(look::of_models(models)).map(row).collect();
    (!panels.is_empty()).then(|| Rows { title: title.to_owned(), rows, panels })
}

fn value(estimate: Option<&Estimate>, scale: f64, text: impl Fn(f64) -> String) -> Option<Value> {
    let estimate = estimate?;
    let interval = estimate.interval.map(|i| Interval { low: scale * i.low, high: scale * i.high });
    let several = estimate.by_run.len() > 1;
    let by_run = if several { estimate.by_run.iter().map(|run| scale * run).collect() } else { Vec::new() };
    Some(Value { value: scale * estimate.value, interval, by_run, text: text(scale * estimate.value) })
}

fn curves(models: &[ModelFigures<'_>], eval: fn(&EpochRecord) -> f64, train: fn(&EpochRecord) -> f64) -> Vec<Curve> {
    let curve = |(model, look): (&ModelFigures<'_>, Look)| Curve {
        name: name(model.runs.model),
        look,
        eval: spots(model, eval),
        train: spots(model, train),
    };
    let curves = models.iter().zip(look::of_models(models)).map(curve);
    curves.filter(|curve| !curve.eval.is_empty() || !curve.train.is_empty()).collect()
}

/// Each epoch's mean and range over the completed runs; over the failed ones if none was completed, so that a divergence can
/// be seen. Values that are not finite are left out.
fn spots(model: &ModelFigures<'_>, value: fn(&EpochRecord) -> f64) -> Vec<Spot> {
    let mut runs: Vec<_> = model.runs.done().map(|(run, _)| run).collect();
    if runs.is_empty() {
        runs.clone_from(&model.runs.runs);
    }
    let epochs: BTreeSet<usize> = runs.iter().flat_map(|run| &run.epochs).map(|epoch| epoch.epoch).collect();
    let spot = |epoch: usize| {
        let values = runs.iter().flat_map(|run| &run.epochs).filter(|record| record.epoch == epoch).map(value);
        let values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
        Some(Spot {
            epoch,
            mean: crate::stats::mean(&values)?,
            low: values.iter().copied().reduce(f64::min)?,
            high: values.iter().copied().reduce(f64::max)?,
        })
    };
    epochs.into_iter().filter_map(spot).collect()
}

/// What the epochs were evaluated on.
fn split(models: &[ModelFigures<'_>]) -> &'static str {
    let mut epochs = models.iter().flat_map(|model| &model.runs.runs).flat_map(|run| &run.epochs);
    match epochs.next().map(|epoch| epoch.split.as_str()) {
        Some(first) if epochs.any(|epoch| epoch.split != first) => "evaluation",
        Some("test") => "test",
        _ => "validation",
    }
}

fn over_seeds(models: &[ModelFigures<'_>]) -> &'static str {
    let several = models.iter().any(|model| model.runs.done().count() > 1);
    if several { ", mean over seeds" } else { "" }
}

/// The largest timed batch, if it is one for all.
fn batch_size(models: &[ModelFigures<'_>], mode: TimingMode) -> String {
    let runs = models.iter().flat_map(|model| model.runs.done());
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
fn name(name: &str) -> String {
    shorten(&plain(name), 60)
}
