//! The report for programs: verdicts, the figures of all models, and how far the others are behind the most accurate model.

use serde::Serialize;

use super::comparability;
use super::figures::{Estimate, ModelFigures};
use super::leads::{self, Leads};
use super::material::Material;
use super::pairs::NO_VERDICT;
use super::timing;
use super::verdict::{self, Piece};
use crate::results::SCHEMA;
use crate::stats::Interval;

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    answers: Vec<Answer<'a>>,
    models: Vec<Model<'a>>,
    differences: Vec<Difference<'a>>,
    ratios: Vec<Ratio<'a>>,
    /// Markdown, as in `report.md`.
    comparability: Vec<String>,
    unfinished_runs: &'a [String],
}

#[derive(Serialize)]
struct Answer<'a> {
    question: &'static str,
    /// Absent if chance could have made another model lead.
    winner: Option<&'a str>,
    sentence: String,
}

#[derive(Serialize)]
struct Model<'a> {
    model: &'a str,
    architecture: &'a str,
    completed_runs: usize,
    failed_runs: usize,
    params: Option<usize>,
    macs: Option<u64>,
    test_top1: Option<Figure<'a>>,
    test_top5: Option<f64>,
    train_images_per_s: Option<Figure<'a>>,
    inference_images_per_s: Option<Figure<'a>>,
    latency_s: Option<Figure<'a>>,
    train_seconds: Option<Figure<'a>>,
    train_peak_rss_bytes: Option<u64>,
}

/// A mean over runs with its 95 % interval.
#[derive(Serialize)]
struct Figure<'a> {
    value: f64,
    interval: Option<[f64; 2]>,
    by_run: &'a [f64],
}

/// A difference of test accuracies, as a fraction of the test images.
#[derive(Serialize)]
struct Difference<'a> {
    model: &'a str,
    to: &'a str,
    difference: Option<f64>,
    interval: Option<[f64; 2]>,
    /// Corrected for the number of pairs of models.
    /// The interval that agrees with `p`.
    adjusted_interval: Option<[f64; 2]>,
    p: Option<f64>,
    is_more_than_chance: bool,
    /// Why there is no verdict.
    no_verdict: Option<String>,
}

/// How many times as fast a model is as the fastest.
#[derive(Serialize)]
struct Ratio<'a> {
    model: &'a str,
    /// The fastest model.
    to: &'a str,
    quantity: &'static str,
    batch_size: usize,
    ratio: Option<f64>,
    interval: Option<[f64; 2]>,
    /// The interval that agrees with `p`.
    adjusted_interval: Option<[f64; 2]>,
    /// Corrected for the number of comparisons.
    p: Option<f64>,
    verdict: &'static str,
    /// Why there is no verdict.
    no_verdict: Option<String>,
}

/// The report as indented JSON, with a line break at the end.
pub(crate) fn report(material: &Material<'_>) -> Vec<u8> {
    let models = &material.models;
    let name = |index: usize| models[index].runs.model;
    let answers = verdict::answers(models, &material.evidence).into_iter().map(|answer| Answer {
        question: answer.question,
        winner: answer.winner.map(name),
        sentence: answer
            .pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Text(text) | Piece::Name(text) => text,
            })
            .collect(),
    });
    let report = Report {
        schema: SCHEMA,
        answers: answers.collect(),
        models: models.iter().map(model).collect(),
        differences: leads::in_accuracy(models, &material.evidence)
            .map(|leads| differences(material, &leads))
            .unwrap_or_default(),
        ratios: ratios(material),
        comparability: comparability::notes(&material.runs.ended, &material.runs.disputed, &material.models)
            .iter()
            .map(|note| note.trim().to_owned())
            .collect(),
        unfinished_runs: &material.runs.unfinished,
    };
    let mut text = serde_json::to_vec_pretty(&report).expect("figures are finite, and memory takes every byte");
    text.push(b'\n');
    text
}

fn model<'a>(model: &'a ModelFigures<'a>) -> Model<'a> {
    Model {
        model: model.runs.model,
        architecture: model.runs.architecture,
        completed_runs: model.runs.done().count(),
        failed_runs: model.runs.failed().count(),
        params: model.size.map(|size| size.params),
        macs: model.size.map(|size| size.macs()),
        test_top1: figure(model.top1.as_ref()),
        test_top5: model.top5,
        train_images_per_s: figure(model.train_images_per_s.as_ref()),
        inference_images_per_s: figure(model.inference_images_per_s.as_ref()),
        latency_s: figure(model.latency_s.as_ref()),
        train_seconds: figure(model.train_seconds.as_ref()),
        train_peak_rss_bytes: model.train_peak_rss_bytes,
    }
}

fn figure(estimate: Option<&Estimate>) -> Option<Figure<'_>> {
    let Estimate { value, interval, by_run } = estimate?;
    Some(Figure { value: *value, interval: interval.map(|interval| [interval.low, interval.high]), by_run })
}

fn ratios<'a>(material: &'a Material<'_>) -> Vec<Ratio<'a>> {
    let name = |index: usize| material.models[index].runs.model;
    let row = |row: timing::RatioRow| {
        let (quantity, batch_size) = row.quantity;
        let found = row.comparison.as_ref().ok();
        let ends = |interval: Interval| [interval.low.exp(), interval.high.exp()];
        Ratio {
            model: name(row.model),
            to: name(row.reference),
            quantity: quantity.name(),
            batch_size,
            ratio: found.map(|found| found.estimate.value.exp()),
            interval: found.map(|found| ends(found.interval())),
            adjusted_interval: found.map(|found| ends(found.adjusted())),
            p: found.map(|found| found.p),
            verdict: found.map_or(NO_VERDICT, |found| found.verdict(quantity).name()),
            no_verdict: row.comparison.as_ref().err().map(ToString::to_string),
        }
    };
    timing::ratios(material).into_iter().map(row).collect()
}

fn differences<'a>(material: &'a Material<'_>, leads: &Leads) -> Vec<Difference<'a>> {
    let name = |index: usize| material.models[index].runs.model;
    let row = |lead: &leads::Lead| {
        let known = lead.comparison.as_ref().ok();
        Difference {
            model: name(lead.model),
            to: name(leads.leader),
            difference: known.map(|comparison| comparison.estimate.value),
            interval: known.map(|comparison| comparison.interval()).map(|interval| [interval.low, interval.high]),
            adjusted_interval: known
                .map(|comparison| comparison.adjusted())
                .map(|interval| [interval.low, interval.high]),
            p: known.map(|comparison| comparison.p),
            is_more_than_chance: lead.is_more_than_chance(),
            no_verdict: lead.comparison.as_ref().err().map(ToString::to_string),
        }
    };
    leads.leads.iter().map(row).collect()
}
