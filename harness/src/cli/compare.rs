//! `vitbench compare`: what differs between two results folders or models, and whether a limit is broken.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use serde::Serialize;

use super::shared::{ThreadsArgs, csv};
use super::stage::{self, Kept};
use crate::config::{self, Plan, ReportConfig, TimingPlan};
use crate::error::{Error, Result};
use crate::report::{
    Compared, Comparison, Quantity, Verdict, compare, comparisons_markdown, rerun_names, terminal_table,
};
use crate::results::{ResultsFolder, Stage};
use crate::run_folder;
use crate::runner::Stop;

/// Arguments of `vitbench compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The reference: a results folder, or DIR:MODEL for one of its models
    first: String,
    /// What to compare with it, in the same form
    second: String,
    /// Exit with code 1 if the second is worse by more than chance and by more than this limit, such as `slower=5%,accuracy=-0.5`
    ///
    /// `slower=5%` limits rates and latencies; `accuracy=-0.5` limits the test accuracy, in percentage points. Exit code 2 means that
    /// a limit cannot be checked.
    #[arg(long, value_name = "LIMITS", value_delimiter = ',')]
    fail_if: Vec<Limit>,
    /// Time the models of both sides now, in alternation, and compare these times
    ///
    /// Times of different hours differ by the machine's drift as well; times taken in alternation do not. Nothing is written.
    #[arg(long)]
    rerun: bool,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
    Md,
}

/// The change for the worse beyond which a comparison fails.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
    /// Fraction by which a step may take longer.
    Slower(f64),
    /// Change in accuracy, as a fraction of at most zero.
    Accuracy(f64),
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let help = "write `slower=5%` or `accuracy=-0.5` (points)";
        let (key, value) = text.split_once('=').ok_or(help)?;
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
        match key.trim() {
            "slower" => value
                .trim()
                .strip_suffix('%')
                .and_then(number)
                .filter(|percent| *percent >= 0.0)
                .map(|percent| Self::Slower(percent / 100.0))
                .ok_or_else(|| {
                    format!("`slower` must be a percentage of at least 0, as in `slower=5%`, got `{value}`")
                }),
            "accuracy" => number(value)
                .filter(|points| *points <= 0.0)
                .map(|points| Self::Accuracy(points / 100.0))
                .ok_or_else(|| {
                    format!("`accuracy` must be a number of points of at most 0, as in `accuracy=-0.5`, got `{value}`")
                }),
            _ => Err(format!("`{key}` is not known; {help}")),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slower(fraction) => write!(f, "slower={}%", 100.0 * fraction),
            Self::Accuracy(fraction) => write!(f, "accuracy={}", 100.0 * fraction),
        }
    }
}

impl Limit {
    /// Whether the limit applies to this quantity.
    fn concerns(self, quantity: Quantity) -> bool {
        matches!(self, Self::Accuracy(_)) == (quantity == Quantity::Accuracy)
    }

    /// Whether a change of `gain` breaks the limit.
    fn is_broken_by(self, gain: f64) -> bool {
        match self {
            // At 1/1.05 of the former rate, a step takes 5 % longer.
            Self::Slower(fraction) => gain < 1.0 / (1.0 + fraction) - 1.0,
            Self::Accuracy(fraction) => gain < fraction,
        }
    }
}

/// A folder of results, and one of its models if one was named.
struct Subject {
    folder: PathBuf,
    model: Option<String>,
    results: Compared,
    plan: Option<Plan>,
}

/// Prints what differs between two results and returns an error if a limit is broken.
pub(super) fn execute(args: &CompareArgs) -> Result<()> {
    let (first, second) = (open(&args.first)?, open(&args.second)?);
    let pairs = pairs(&first, &second)?;
    let rerun = if args.rerun { Some(rerun(args, &first, &second, &pairs)?) } else { None };
    let plans = [&first.plan, &second.plan];
    let min_runs = plans.into_iter().flatten().map(|plan| plan.report.min_runs).max();
    let min_runs = min_runs.unwrap_or_else(|| ReportConfig::default().min_runs);
    let compared = compare(&first.results, &second.results, &pairs, min_runs, rerun.as_ref())?;
    match args.format {
        Format::Table => {
            println!("{}\n", table(&pairs, &compared));
            println!(
                "{} compared with {}. Verdicts describe the former: better or worse by more than chance (5 % level, Holm), equal within 2 %, or \
                 a tie.",
                args.second, args.first
            );
        }
        Format::Csv => print!("{}", csv(&rows(&pairs, &compared))),
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows(&pairs, &compared)).expect("rows are JSON")),
        Format::Md => print!("{}", comparisons_markdown(&pairs, &compared)),
    }
    let lacks = lacks((&args.first, &first), (&args.second, &second), &pairs);
    if args.format == Format::Table {
        lacks.iter().for_each(|lack| println!("{lack}"));
    }
    let all = || compared.iter().flatten();
    let mut broken = Vec::new();
    for limit in &args.fail_if {
        // A limit that skipped a model would pass even if that model had regressed.
        let unsure = || all().filter(|comparison| limit.concerns(comparison.quantity) && comparison.p.is_none());
        let problem = match (unsure().next(), lacks.first()) {
            (Some(_), _) => Some("some comparisons cannot be judged; the table says why".to_owned()),
            (None, Some(lack)) => Some(format!("it cannot be checked for all runs: {lack}")),
            (None, None) => None,
        };
        if let Some(problem) = problem {
            let help = "compare complete results with the same data and batch sizes and at least three runs per model, time both sides in \
                        alternation with --rerun, or remove the limit";
            return Err(Error::input(format!("--fail-if {limit}"), problem, help));
        }
        let breaks = |comparison: &&Comparison| {
            limit.concerns(comparison.quantity)
                && comparison.verdict == Ok(Verdict::Worse)
                && comparison.gain.is_some_and(|gain| limit.is_broken_by(gain))
        };
        if all().any(|comparison| breaks(&comparison)) {
            broken.push(limit.to_string());
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(Error::Regressed { limits: broken.join(", ") }) }
}

/// `DIR` or `DIR:MODEL`.
fn open(text: &str) -> Result<Subject> {
    let mut candidates = vec![(text, None)];
    candidates.extend(text.match_indices(':').map(|(at, _)| (&text[..at], Some(&text[at + 1..]))));
    let (folder, model) = candidates.into_iter().find(|(folder, _)| Path::new(folder).is_dir()).unwrap_or((text, None));
    let results_folder = ResultsFolder::open(folder)?;
    let plan_path = results_folder.plan_path();
    let plan = if plan_path.is_file() { Some(config::load(&plan_path, &[])?) } else { None };
    let order = plan.as_ref().map(Plan::model_names).unwrap_or_default();
    let results = Compared::read(&results_folder, &order)?;
    if let Some(model) = model.filter(|model| !results.models().contains(model)) {
        let models = results.models().join("`, `");
        let help = format!("its models are `{models}`");
        return Err(Error::input(text, format!("the folder has no runs of model `{model}`"), help));
    }
    Ok(Subject { folder: folder.into(), model: model.map(str::to_owned), results, plan })
}

/// Times the models of both sides in alternation.
fn rerun(args: &CompareArgs, first: &Subject, second: &Subject, pairs: &[(&str, &str)]) -> Result<Stage> {
    let stop = Stop::on_signals()?;
    let timing = |subject: &Subject| {
        let folder = ResultsFolder::open(&subject.folder)?;
        let plan = subject.plan.as_ref().ok_or_else(|| {
            Error::input(subject.folder.display(), "has no `plan.toml`", "give the folder that `vitbench run` wrote")
        })?;
        run_folder::timing_plan(&folder, plan)
    };
    let (of_first, of_second) = (timing(first)?, timing(second)?);
    let named = |plan: &TimingPlan, folder: &Subject, name: &str, new_name: String| {
        let timed = plan.models.iter().find(|timed| timed.model.name == name).cloned();
        let mut timed = timed.ok_or_else(|| {
            let problem = format!("no run of model `{name}` was completed");
            Error::input(folder.folder.display(), problem, "complete its plan first")
        })?;
        timed.model.name = new_name;
        Ok::<_, Error>(timed)
    };
    let mut models = Vec::new();
    for (a, b) in pairs {
        let [name_a, name_b] = rerun_names(a, b);
        models.push(named(&of_first, first, a, name_a)?);
        models.push(named(&of_second, second, b, name_b)?);
    }
    let plan = TimingPlan { models, ..of_first };
    stage::time(&plan, args.threads.count(), &stop, false, &Kept::Nowhere)
}

/// A row of the output for programs.
#[derive(Serialize)]
struct Row<'a> {
    first_model: &'a str,
    second_model: &'a str,
    quantity: &'static str,
    first: &'a str,
    second: &'a str,
    gain: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    p_adjusted: Option<f64>,
    verdict: &'static str,
    reason: &'a str,
}

fn rows<'a>(pairs: &[(&'a str, &'a str)], compared: &'a [Vec<Comparison>]) -> Vec<Row<'a>> {
    let mut rows = Vec::new();
    for ((first_model, second_model), comparisons) in pairs.iter().zip(compared) {
        rows.extend(comparisons.iter().map(|comparison| Row {
            first_model,
            second_model,
            quantity: comparison.quantity.name(),
            first: &comparison.first,
            second: &comparison.second,
            gain: comparison.gain,
            low: comparison.interval.map(|interval| interval.low),
            high: comparison.interval.map(|interval| interval.high),
            p_adjusted: comparison.p,
            verdict: comparison.verdict.as_ref().map_or("no_verdict", |verdict| verdict.name()),
            reason: comparison.verdict.as_ref().err().map_or("", String::as_str),
        }));
    }
    rows
}

/// The pairs of models to compare.
fn pairs<'a>(first: &'a Subject, second: &'a Subject) -> Result<Vec<(&'a str, &'a str)>> {
    let (a, b) = (first.results.models(), second.results.models());
    let place = || format!("{} and {}", first.folder.display(), second.folder.display());
    match (&first.model, &second.model) {
        (Some(x), Some(y)) => Ok(vec![(x, y)]),
        (Some(name), None) | (None, Some(name)) => {
            let (of, other) = if first.model.is_some() { (second, &b) } else { (first, &a) };
            if !other.contains(&name.as_str()) {
                let help = "name a model on both sides, as DIR:MODEL";
                return Err(Error::input(
                    of.folder.display(),
                    format!("the folder has no runs of model `{name}`"),
                    help,
                ));
            }
            Ok(vec![(name, name)])
        }
        (None, None) if first.folder == second.folder => {
            Err(Error::input(place(), "both sides are the same folder", "name two of its models, as DIR:MODEL"))
        }
        (None, None) => {
            let common: Vec<_> = a.iter().filter(|name| b.contains(name)).map(|name| (*name, *name)).collect();
            if common.is_empty() {
                let help = "name a model on each side, as DIR:MODEL";
                return Err(Error::input(place(), "the folders have no model in common", help));
            }
            Ok(common)
        }
    }
}

/// One line for each thing that is missing on one side: models and completed runs.
fn lacks(first: (&str, &Subject), second: (&str, &Subject), pairs: &[(&str, &str)]) -> Vec<String> {
    let (of_first, of_second): (Vec<&str>, Vec<&str>) = pairs.iter().copied().unzip();
    let mut lacks = Vec::new();
    for ((here, subject), (there, other), compared) in [(first, second, of_first), (second, first, of_second)] {
        if subject.model.is_none() && other.model.is_none() {
            let (models, others) = (subject.results.models(), other.results.models());
            let alone = models.iter().filter(|model| !others.contains(model));
            lacks.extend(alone.map(|model| format!("`{model}` is in {here} but not in {there}.")));
        }
        let failed = |model: &str| Some(format!("{here}: `{model}`: {}.", subject.results.lacks(model)?));
        lacks.extend(compared.into_iter().filter_map(failed));
        match subject.results.unfinished() {
            0 => {}
            1 => lacks.push(format!("{here}: 1 run has not finished.")),
            runs => lacks.push(format!("{here}: {runs} runs have not finished.")),
        }
    }
    lacks
}

fn table(pairs: &[(&str, &str)], compared: &[Vec<Comparison>]) -> String {
    let mut table = terminal_table(&["model", "measure", "first", "second", "gain [95 %]", "verdict"]);
    for ((a, b), comparisons) in pairs.iter().zip(compared) {
        let name = if a == b { (*a).to_owned() } else { format!("{b} vs {a}") };
        for (index, comparison) in comparisons.iter().enumerate() {
            let verdict = match &comparison.verdict {
                Ok(verdict) => verdict.name().to_owned(),
                Err(why) => format!("no verdict: {why}"),
            };
            table.add_row([
                if index == 0 { crate::report::short_name(&name) } else { String::new() },
                comparison.quantity.title().to_owned(),
                comparison.first.clone(),
                comparison.second.clone(),
                comparison.change(),
                verdict,
            ]);
        }
    }
    for column in table.column_iter_mut().skip(2).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_what_is_none_is_named() {
        assert_eq!("slower=5%".parse(), Ok(Limit::Slower(0.05)));
        assert_eq!(" accuracy = -0.5".parse(), Ok(Limit::Accuracy(-0.005)));
        for (text, part) in [
            ("slower", "write `slower=5%`"),
            ("slower=5", "as in `slower=5%`, got `5`"),
            ("slower=-5%", "must be a percentage of at least 0"),
            ("accuracy=0.5", "must be a number of points of at most 0"),
            ("accuracy=NaN", "must be a number of points of at most 0"),
            ("memory=5%", "`memory` is not known"),
        ] {
            let message = text.parse::<Limit>().unwrap_err();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn limits_break_beyond_themselves() {
        let slower = Limit::Slower(0.25);
        assert!(slower.is_broken_by(-0.21) && !slower.is_broken_by(-0.19), "four fifths of the rate are 25 % slower");
        let accuracy = Limit::Accuracy(-0.005);
        assert!(accuracy.is_broken_by(-0.006) && !accuracy.is_broken_by(-0.004) && !accuracy.is_broken_by(0.1));
        assert!(slower.concerns(Quantity::Latency) && !slower.concerns(Quantity::Accuracy));
    }
}
