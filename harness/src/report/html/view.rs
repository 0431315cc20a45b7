//! The data that the page's template shows.

use askama::Template;

use super::charts::Figure;
use super::mistakes::{Calibration, Confusion, Picture, Surest};
use super::runs::RunSection;
use super::table;
use super::time_to_accuracy::TimeToAccuracy;
use crate::report::plots::look::Marker;
use crate::report::verdict::Piece;

/// The page.
#[derive(Template)]
#[template(path = "report.html")]
pub(super) struct Page<'a> {
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) script_hash: String,
    /// Definitions of the models' colours on a light and on a dark background.
    pub(super) colors: [String; 2],
    pub(super) title: &'static str,
    pub(super) summary: String,
    pub(super) answers: Vec<Card>,
    /// Why rows are not directly comparable, and what they have in common, as HTML.
    pub(super) notices: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) unfinished: String,
    pub(super) columns: &'a [(&'a str, &'a str, bool)],
    pub(super) rows: Vec<table::Row>,
    pub(super) failures: Vec<Failure>,
    pub(super) legend: Vec<Legend>,
    pub(super) leader: String,
    pub(super) method: String,
    pub(super) power: String,
    pub(super) leads: Vec<LeadRow>,
    pub(super) leads_left_out: usize,
    pub(super) trade_offs: Vec<Figure>,
    pub(super) learning: Vec<Figure>,
    pub(super) test_reads: String,
    pub(super) time_to_accuracy: Option<TimeToAccuracy>,
    pub(super) references: String,
    pub(super) speed: Vec<Figure>,
    pub(super) speed_remarks: Vec<String>,
    pub(super) ratios: Vec<RatioRow>,
    pub(super) reliability: Option<Figure>,
    pub(super) calibrations: Vec<Calibration>,
    pub(super) confusions: Vec<Confusion>,
    pub(super) surest: Vec<Surest>,
    pub(super) disagreed: Vec<Picture>,
    pub(super) origin: Origin,
    pub(super) runs: Vec<RunSection>,
    /// A note if the mistakes of some models are not shown.
    pub(super) mistakes_left_out: Option<String>,
    /// A note on what the sections of runs leave out, if there are many runs.
    pub(super) runs_left_out: Option<String>,
}

/// The answer to a question.
pub(super) struct Card {
    pub(super) question: &'static str,
    /// Index of the winner, if there is one.
    pub(super) winner: Option<usize>,
    pub(super) name: String,
    pub(super) pieces: Vec<Piece>,
}

/// A run that failed.
pub(super) struct Failure {
    pub(super) run: usize,
    pub(super) model: String,
    pub(super) seed: u64,
    pub(super) reason: String,
}

/// How a model looks in all plots.
pub(super) struct Legend {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) marker: Marker,
}

/// A model behind the leader.
pub(super) struct LeadRow {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) difference: String,
    pub(super) interval: String,
    pub(super) adjusted: String,
    pub(super) p: String,
    pub(super) verdict: String,
    pub(super) is_more_than_chance: bool,
}

/// How many times as fast a model is as another.
pub(super) struct RatioRow {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) timed: String,
    pub(super) reference: String,
    pub(super) ratio: String,
    pub(super) adjusted: String,
    pub(super) verdict: String,
}

/// Where a figure comes from: the same for all figures of a page.
pub(super) struct Origin {
    pub(super) facts: Vec<(&'static str, String)>,
    /// The first few runs, by index and name.
    pub(super) runs: Vec<(usize, String)>,
    pub(super) more_runs: usize,
}
