//! `report.html`: the report as one self-contained page, made from the records alone.
//!
//! The templates (`templates/report.html`) escape names. The plots, whose texts are escaped when they are drawn, and the report's own
//! Markdown are inserted as they are. A content security policy blocks every script but the page's own.

mod charts;
mod embed;
mod inline;
mod mistakes;
mod runs;
mod table;
mod time_to_accuracy;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use askama::Template;

use self::inline::shown_name;
use self::view::{Card, Failure, LeadRow, Legend, Origin, Page, RatioRow};
use super::comparability;
use super::differences;
use super::format::{counted, gibibytes, points};
use super::leads::{self, Leads};
use super::material::Material;
use super::names::{plain, shorten};
use super::plots::data::Shown;
use super::plots::page::Colors;
use super::plots::{Content, Section};
use super::sections;
use super::timing;
use super::verdict::{self, Piece};
use crate::error::Result;
use crate::results::RunRecord;
use crate::stats::Interval;

const STYLE: &str = include_str!("../../../templates/report.css");
const SCRIPT: &str = include_str!("../../../templates/report.js");

/// The page as HTML.
pub(crate) fn page(material: &Material<'_>) -> Result<String> {
    let mut content = Content::new(&material.models, material.references);
    let models = content.models.clone();
    let colors = Colors::of(&models.iter().map(|(_, look)| *look).collect::<Vec<_>>());
    let chosen = mistakes::chosen(material, &models);
    let calibrations: Vec<_> = chosen
        .iter()
        .filter_map(|(index, shown)| Some((*shown, mistakes::calibration(material, *index, shown.0)?)))
        .collect();
    let spots =
        calibrations.iter().map(|((model, look), (_, spots))| (model.runs.model.to_owned(), *look, spots.clone()));
    content.spots = spots.collect();
    let figures = |section| charts::figures(section, &content, &colors);
    let surest =
        chosen.iter().map(|(index, (model, _))| mistakes::surest(*index, model)).collect::<Result<Vec<_>>>()?;
    let (notices, notes) = notes(material);
    let leads = leads::in_accuracy(&material.models, &material.evidence);
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        script_hash: embed::script_hash(SCRIPT),
        colors: [colors.css(0), colors.css(1)],
        title: sections::title(&material.models),
        summary: summary(material),
        answers: answers(material),
        notices,
        notes,
        unfinished: unfinished(material),
        columns: &table::COLUMNS,
        rows: table::rows(&models),
        failures: failures(material),
        legend: legend(&models),
        leader: leads.as_ref().map(|leads| name_of(material, leads.leader)).unwrap_or_default(),
        method: leads.as_ref().map(|leads| differences::method(&leads.leads)).unwrap_or_default(),
        power: super::power::of_report(material).unwrap_or_default(),
        leads: lead_rows(material, leads.as_ref()),
        leads_left_out: leads.as_ref().map_or(0, |leads| leads.leads.len().saturating_sub(LEADS_SHOWN)),
        trade_offs: figures(Section::TradeOffs)?,
        learning: figures(Section::Learning)?,
        test_reads: sections::test_reads(material.test_reads).unwrap_or_default(),
        time_to_accuracy: time_to_accuracy::of(&models, &material.report.targets),
        references: references(material),
        speed: figures(Section::Speed)?,
        speed_remarks: speed_remarks(material),
        ratios: ratios(material),
        reliability: figures(Section::Reliability)?.pop(),
        calibrations: calibrations.into_iter().map(|(_, (row, _))| row).collect(),
        confusions: chosen
            .iter()
            .filter_map(|(index, (model, _))| mistakes::confusion(material, *index, model))
            .collect(),
        surest: surest.into_iter().flatten().collect(),
        disagreed: mistakes::disagreed(material, &chosen)?,
        mistakes_left_out: mistakes::left_out(models.len(), chosen.len()),
        origin: origin(material),
        runs: runs::sections(&material.runs.ended)?,
        runs_left_out: runs::left_out(material.runs.ended.len()),
    };
    Ok(page.render().expect("the template writes to memory"))
}

/// Why rows are not directly comparable, and what they have in common, as HTML.
fn notes(material: &Material<'_>) -> (Vec<String>, Vec<String>) {
    comparability::notes(&material.runs.ended, &material.runs.disputed, &material.models)
        .iter()
        .map(|note| inline::html(note.trim().trim_start_matches("- ")))
        .partition(|note| note.starts_with("<strong>"))
}

/// Maximum number of rows of the table of leads.
const LEADS_SHOWN: usize = 100;

fn name_of(material: &Material<'_>, model: usize) -> String {
    shown_name(material.models[model].runs.model)
}

fn summary(material: &Material<'_>) -> String {
    let done = material.runs.ended.iter().filter(|run| run.done().is_some()).count();
    let mut parts = vec![counted(material.models.len(), "model"), counted(done, "completed run")];
    if let Some(machine) = material.machines.first() {
        parts.push(format!("{}, {}", machine.cpu, counted(machine.threads, "thread")));
        parts.extend(machine.started.split('T').next().map(str::to_owned));
    }
    if material.machines.len() > 1 {
        parts.push(format!("merged from {} folders", material.machines.len()));
    }
    parts.join(" · ")
}

fn answers(material: &Material<'_>) -> Vec<Card> {
    let card = |answer: verdict::Answer| Card {
        question: answer.question,
        winner: answer.winner,
        name: answer.winner.map(|winner| name_of(material, winner)).unwrap_or_default(),
        pieces: without_headline(answer.pieces, answer.winner.is_some()),
    };
    verdict::answers(&material.models, &material.evidence).into_iter().map(card).collect()
}

/// A sentence without what the card's title already says: the winner's name, or that there is no winner.
fn without_headline(pieces: Vec<Piece>, has_winner: bool) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = pieces
        .into_iter()
        .filter(|piece| !matches!(piece, Piece::Text(text) if text.is_empty() || text == verdict::NO_WINNER))
        .map(|piece| match piece {
            Piece::Name(name) => Piece::Name(shown_name(&name)),
            text => text,
        })
        .skip(usize::from(has_winner))
        .collect();
    if let (true, Some(Piece::Text(text))) = (has_winner, pieces.first_mut()) {
        *text = text.trim_start_matches([',', ' ']).to_owned();
    }
    pieces
}

fn unfinished(material: &Material<'_>) -> String {
    match material.runs.unfinished.len() {
        0 => String::new(),
        runs => format!(
            "{} not finished and left out: run the same command again to complete the plan.",
            counted(runs, "run")
        ),
    }
}

fn failures(material: &Material<'_>) -> Vec<Failure> {
    let failure = |(run, record): (usize, &crate::results::FailureRecord)| Failure {
        run,
        model: shown_name(&record.identity.model),
        seed: record.identity.seed,
        reason: format!("{} in epoch {}: {}", record.reason, record.epoch, shorten(&plain(&record.message), 300)),
    };
    let runs = material.runs.ended.iter().enumerate();
    runs.filter_map(|(index, run)| Some((index, run.failed()?))).map(failure).collect()
}

fn legend(models: &[Shown<'_>]) -> Vec<Legend> {
    let entry = |(index, (model, look)): (usize, &Shown<'_>)| Legend {
        index,
        name: shown_name(model.runs.model),
        marker: look.marker,
    };
    models.iter().enumerate().map(entry).collect()
}

fn lead_rows(material: &Material<'_>, leads: Option<&Leads>) -> Vec<LeadRow> {
    let row = |lead: &leads::Lead| {
        let ends = |interval: Interval| format!("{} to {}", points(interval.low), points(interval.high));
        let (difference, interval, adjusted, p) = match (&lead.comparison, lead.these_two_runs) {
            (Ok(comparison), _) => (
                points(comparison.estimate.value),
                ends(comparison.interval()),
                ends(comparison.adjusted()),
                leads::p_value(comparison.p),
            ),
            (Err(_), Some(these)) => (
                format!("{} (these two runs)", points(these.value)),
                format!("{} (these two runs)", ends(these.interval)),
                String::new(),
                String::new(),
            ),
            (Err(_), None) => Default::default(),
        };
        LeadRow {
            index: lead.model,
            name: name_of(material, lead.model),
            difference,
            interval,
            adjusted,
            p,
            verdict: lead.verdict(),
            is_more_than_chance: lead.is_more_than_chance(),
        }
    };
    leads.map(|leads| leads.leads.iter().take(LEADS_SHOWN).map(row).collect()).unwrap_or_default()
}

/// What a reader has to know about how speeds were measured.
fn speed_remarks(material: &Material<'_>) -> Vec<String> {
    let mut remarks = super::speeds::stage_remarks(material.stage);
    remarks.extend(timing::run_wise(&material.models).map(str::to_owned));
    remarks
}

/// The ratios of the models' rates to those of the fastest.
fn ratios(material: &Material<'_>) -> Vec<RatioRow> {
    let row = |row: timing::RatioRow| RatioRow {
        index: row.model,
        name: name_of(material, row.model),
        timed: row.timed,
        reference: name_of(material, row.reference),
        ratio: row.ratio,
        adjusted: row.adjusted,
        verdict: row.verdict,
    };
    timing::ratios(material).into_iter().map(row).collect()
}

/// The comparison with reported results as HTML.
fn references(material: &Material<'_>) -> String {
    if material.references.is_empty() {
        return String::new();
    }
    inline::blocks(&super::reference::beside(&material.models, material.references))
}

fn origin(material: &Material<'_>) -> Origin {
    const SHOWN: usize = 6;
    let runs = &material.runs.ended;
    let done = || runs.iter().filter_map(|run| run.done());
    let all = |of: fn(&RunRecord) -> String| {
        let values: BTreeSet<String> = done().map(of).collect();
        values.into_iter().collect::<Vec<_>>().join(", ")
    };
    let mut facts = Vec::new();
    for machine in material.machines {
        facts.extend([
            ("Command", machine.command.clone()),
            (
                "Machine",
                format!(
                    "{}, {}, {} of memory, {}",
                    machine.cpu,
                    counted(machine.cpu_cores, "logical CPU"),
                    gibibytes(machine.memory_bytes),
                    machine.os
                ),
            ),
            ("Built as", machine.version.clone()),
            ("Started", machine.started.clone()),
        ]);
    }
    facts.extend([
        ("Version", all(|record| record.identity.version.clone())),
        (
            "Device",
            all(|record| {
                let identity = &record.identity;
                format!("{}, {}, {}", identity.device, identity.precision, counted(identity.threads, "thread"))
            }),
        ),
        ("Data", all(|record| record.identity.data_fingerprint.clone())),
    ]);
    let named: Vec<(usize, String)> = runs
        .iter()
        .enumerate()
        .filter(|(_, run)| run.done().is_some())
        .map(|(index, run)| (index, run.identity().run.clone()))
        .collect();
    let more_runs = named.len().saturating_sub(SHOWN);
    Origin { facts, runs: named.into_iter().take(SHOWN).collect(), more_runs }
}
