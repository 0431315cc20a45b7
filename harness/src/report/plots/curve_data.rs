//! The data of the curves. `None` if there is nothing to show.

use std::collections::{BTreeMap, BTreeSet};

use super::axis::{Axis, UNLIMITED};
use super::curves::{Curve, Curves, Spot};
use super::data::{Shown, name, over_seeds};
use super::look::{self, Look};
use crate::config::ReferenceRun;
use crate::report::figures::ModelFigures;
use crate::results::{EpochRecord, ThroughputRow, TimingMode};
use crate::stats;

/// The horizontal axis of a learning curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Along {
    /// Epochs.
    Epochs,
    /// Seconds of training, without evaluation.
    Time,
}

/// Accuracy of every epoch, in percent, with the accuracies that others reported.
pub(crate) fn learning_curves(models: &[Shown<'_>], references: &[ReferenceRun], along: Along) -> Option<Curves> {
    let over = over_seeds(models);
    let mut curves = curves(models, along, |epoch| 100.0 * epoch.eval_top1, |epoch| 100.0 * epoch.train_top1);
    if along == Along::Epochs {
        curves.extend(references.iter().zip(look::of_others()).map(|(run, look)| Curve {
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

/// Accuracies by epoch, in percent.
fn points(accuracies: &[(usize, f64)]) -> Vec<Spot> {
    let spot = |(epoch, accuracy): &(usize, f64)| {
        let value = 100.0 * accuracy;
        Spot { x: *epoch as f64, mean: value, low: value, high: value }
    };
    accuracies.iter().map(spot).collect()
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
        let spot = |row: &ThroughputRow| Spot {
            x: row.batch_size as f64,
            mean: row.images_per_s,
            low: row.low.unwrap_or(row.images_per_s),
            high: row.high.unwrap_or(row.images_per_s),
        };
        let main = model.throughput.iter().filter(|row| row.mode == mode).map(spot).collect();
        Curve { name: name(model.runs.model), look: *look, main, train: Vec::new() }
    };
    let curves: Vec<Curve> = models.iter().map(curve).collect();
    // A single batch size does not make a curve.
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

/// How often predictions with a given confidence are correct.
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
        y_title: "Correct predictions, %".to_owned(),
        main: "images".to_owned(),
        diagonal: true,
        curves,
    })
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

/// Each epoch's mean and range over the completed runs, up to the last epoch that all of them reached: a mean over fewer runs would be a
/// different figure. If none was completed, over the failed runs, so that a divergence is visible. Values that are not finite are left
/// out.
fn spots(model: &ModelFigures<'_>, along: Along, value: fn(&EpochRecord) -> f64) -> Vec<Spot> {
    let mut runs: Vec<_> = model.runs.done().map(|(run, _)| run).collect();
    let last = match runs.iter().map(|run| run.epochs.len()).min() {
        Some(last) => last,
        None => {
            runs.clone_from(&model.runs.runs);
            usize::MAX
        }
    };
    // Time since training began, and the value, by epoch.
    let mut by_epoch: BTreeMap<usize, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for run in runs {
        let mut seconds = 0.0;
        for record in run.epochs.iter().take(last) {
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
