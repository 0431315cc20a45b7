//! The CSV tables of a results folder, as pure functions of its runs. Columns carry their unit; an empty cell is a figure that
//! was not measured.

use serde::Serialize;

use super::cells::text_cell;
use super::files::csv_text;
use super::model_size::ModelSizeRecord;
use super::models::{ModelRuns, by_model};
use super::records::{EpochRecord, FailureReason, SCHEMA};
use super::run_timing::run_throughput;
use super::runs::Run;
use super::samples::TimingMode;
use super::stage::{Stage, ThroughputRow, stage_throughput};

/// `models.csv`: size and cost of each model. Multiply-accumulates and FLOPs are those of one image's forward pass; there is a column
/// for each part that any of the models has, empty where a model lacks it.
pub fn models_csv(runs: &[Run]) -> Vec<u8> {
    let models = by_model(runs);
    if models.is_empty() {
        return csv_text::<()>(&[]);
    }
    let size = |model: &ModelRuns<'_>| model.done().next().map(|(_, record)| record.model_size.clone());
    let sizes: Vec<Option<ModelSizeRecord>> = models.iter().map(size).collect();
    let parts = ModelSizeRecord::parts(sizes.iter().flatten());
    let mut header: Vec<String> =
        ["schema", "model", "architecture", "params", "params_module_wise", "tokens"].map(str::to_owned).to_vec();
    header.extend(parts.iter().map(|part| format!("macs_{part}")));
    header.extend(["macs", "flops"].map(str::to_owned));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&header).expect("memory takes every byte");
    for (model, size) in models.iter().zip(&sizes) {
        let figure = |figure: fn(&ModelSizeRecord) -> u64| size.as_ref().map(figure);
        let mut figures = vec![
            figure(|size| size.params as u64),
            figure(|size| size.params_module_wise as u64),
            figure(|size| size.tokens as u64),
        ];
        figures.extend(parts.iter().map(|part| size.as_ref()?.macs_of(part)));
        figures.extend([figure(ModelSizeRecord::macs), figure(ModelSizeRecord::flops)]);
        let mut row = vec![SCHEMA.to_string(), text_cell(model.model), text_cell(model.architecture)];
        row.extend(figures.into_iter().map(|figure| figure.map_or_else(String::new, |figure| figure.to_string())));
        writer.write_record(&row).expect("memory takes every byte");
    }
    writer.into_inner().expect("memory takes every byte")
}

/// `epochs.csv`: every epoch of every run.
pub fn epochs_csv(runs: &[Run]) -> Vec<u8> {
    #[derive(Serialize)]
    struct Key {
        model: String,
        seed: u64,
        run: String,
    }

    let mut rows: Vec<(Key, &EpochRecord)> = Vec::new();
    for run in runs {
        let identity = run.identity();
        for epoch in &run.epochs {
            let key = Key { model: text_cell(&identity.model), seed: identity.seed, run: text_cell(&identity.run) };
            rows.push((key, epoch));
        }
    }
    csv_text(&rows)
}

/// `throughput.csv`: what was timed of every model. Latency is inference at batch size 1. `mfu_percent` is the
/// MFU: a model's rate of floating-point operations as a percentage of the rate that plain matrix products reach on the same machine.
pub fn throughput_csv<'a>(rows: impl Iterator<Item = &'a ThroughputRow>) -> Vec<u8> {
    csv_text(&rows.collect::<Vec<_>>())
}

/// A row of `summary.csv`.
#[derive(Serialize)]
struct SummaryRow {
    model: String,
    architecture: String,
    seed: u64,
    run: String,
    status: &'static str,
    reason: Option<FailureReason>,
    message: Option<String>,
    params: Option<usize>,
    macs: Option<u64>,
    test_top1: Option<f64>,
    test_top5: Option<f64>,
    test_loss: Option<f64>,
    non_ema_test_top1: Option<f64>,
    epochs: usize,
    eval_split: Option<String>,
    best_epoch: Option<usize>,
    best_eval_top1: Option<f64>,
    last_eval_top1: Option<f64>,
    train_seconds: Option<f64>,
    train_batch_size: Option<usize>,
    train_images_per_s: Option<f64>,
    epoch_images_per_s: Option<f64>,
    inference_batch_size: Option<usize>,
    inference_images_per_s: Option<f64>,
    latency_s: Option<f64>,
    train_peak_rss_bytes: Option<u64>,
    data_fingerprint: String,
    batch_digest: Option<String>,
    device: String,
    precision: String,
    threads: usize,
    version: String,
}

/// `summary.csv`: every run, those that failed with their reason. `test_top1` is that of the weights at the end of training, `best_` and
/// `last_eval_top1` are those of the epochs on the images of `eval_split`. Throughputs are the model's at the largest timed
/// batch; `epoch_images_per_s` is that of training with the data read and augmented.
pub fn summary_csv(runs: &[Run], stage: &Stage) -> Vec<u8> {
    csv_text(&runs.iter().map(|run| summary_row(run, stage)).collect::<Vec<_>>())
}

fn summary_row(run: &Run, stage: &Stage) -> SummaryRow {
    let (identity, done, failed) = (run.identity(), run.done(), run.failed());
    let mut throughput = stage_throughput(&identity.model, stage);
    if throughput.is_empty() {
        throughput = run_throughput(&ModelRuns {
            model: &identity.model,
            architecture: &identity.architecture,
            runs: vec![run],
        });
    }
    let largest = |mode| throughput.iter().filter(|row| row.mode == mode).max_by_key(|row| row.batch_size);
    let (train, inference) = (largest(TimingMode::TrainStep), largest(TimingMode::Inference));
    let latency = throughput.iter().find(|row| (row.mode, row.batch_size) == (TimingMode::Inference, 1));
    let best = EpochRecord::best(&run.epochs);
    SummaryRow {
        model: text_cell(&identity.model),
        architecture: text_cell(&identity.architecture),
        seed: identity.seed,
        run: text_cell(&identity.run),
        status: if done.is_some() { "done" } else { "failed" },
        reason: failed.map(|record| record.reason),
        message: failed.map(|record| text_cell(&record.message)),
        params: done.map(|record| record.model_size.params),
        macs: done.map(|record| record.model_size.macs()),
        test_top1: done.and_then(|record| record.test_top1),
        test_top5: done.and_then(|record| record.test_top5),
        test_loss: done.and_then(|record| record.test_loss),
        non_ema_test_top1: done.and_then(|record| record.non_ema_test_top1),
        epochs: run.epochs.len(),
        eval_split: run.epochs.last().map(|epoch| epoch.split.clone()),
        best_epoch: best.map(|epoch| epoch.epoch),
        best_eval_top1: best.map(|epoch| epoch.eval_top1),
        last_eval_top1: run.epochs.last().map(|epoch| epoch.eval_top1),
        train_seconds: done.map(|record| record.train_seconds),
        train_batch_size: train.map(|row| row.batch_size),
        train_images_per_s: train.map(|row| row.images_per_s),
        epoch_images_per_s: run.epoch_images_per_s(),
        inference_batch_size: inference.map(|row| row.batch_size),
        inference_images_per_s: inference.map(|row| row.images_per_s),
        latency_s: latency.map(|row| row.median_s),
        train_peak_rss_bytes: done.and_then(|record| record.train_peak_rss_bytes),
        data_fingerprint: text_cell(&identity.data_fingerprint),
        batch_digest: done.map(|record| text_cell(&record.batch_digest)),
        device: text_cell(&identity.device),
        precision: text_cell(&identity.precision),
        threads: identity.threads,
        version: text_cell(&identity.version),
    }
}

#[cfg(test)]
mod tests;
