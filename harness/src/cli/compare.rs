//! `vitbench compare`: what differs between two results folders or models, and whether a limit is broken.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use comfy_table::CellAlignment;

use crate::config;
use crate::error::{Error, Result};
use crate::report::{Compared, Comparison, Measure, Verdict, compare, terminal_table};
use crate::results::ResultsFolder;

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
    /// Whether the limit applies to this measure.
    fn concerns(self, measure: Measure) -> bool {
        matches!(self, Self::Accuracy(_)) == (measure == Measure::Accuracy)
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
}

/// Prints what differs between two results and returns an error if a limit is broken.
pub(super) fn execute(args: &CompareArgs) -> Result<()> {
    let (first, second) = (open(&args.first)?, open(&args.second)?);
    let pairs = pairs(&first, &second)?;
    let compared = compare(&first.results, &second.results, &pairs)?;
    println!("{}\n", table(&pairs, &compared));
    println!(
        "{} compared with {}. Verdicts describe the former: better or worse by more than chance (5 % level, Holm), or no difference.",
        args.second, args.first
    );
    let lacks = lacks((&args.first, &first), (&args.second, &second), &pairs);
    lacks.iter().for_each(|lack| println!("{lack}"));
    let all = || compared.iter().flatten();
    let mut broken = Vec::new();
    for limit in &args.fail_if {
        // A limit that skipped a model would pass even if that model had regressed.
        let unsure = || all().filter(|comparison| limit.concerns(comparison.measure) && comparison.p.is_none());
        let problem = match (unsure().next(), lacks.first()) {
            (Some(_), _) => Some("some comparisons cannot be judged; the table says why".to_owned()),
            (None, Some(lack)) => Some(format!("it cannot be checked for all runs: {lack}")),
            (None, None) => None,
        };
        if let Some(problem) = problem {
            let help = "compare complete results with the same data, batch sizes and machine (`vitbench noise` measures its A/A \
                        variation), or remove the limit";
            return Err(Error::input(format!("--fail-if {limit}"), problem, help));
        }
        let breaks = |comparison: &&Comparison| {
            limit.concerns(comparison.measure)
                && comparison.verdict == Verdict::Worse
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
    let order = if plan_path.is_file() { config::load(&plan_path, &[])?.model_names() } else { Vec::new() };
    let results = Compared::read(&results_folder, &order)?;
    if let Some(model) = model.filter(|model| !results.models().contains(model)) {
        let models = results.models().join("`, `");
        let help = format!("its models are `{models}`");
        return Err(Error::input(text, format!("the folder has no runs of model `{model}`"), help));
    }
    Ok(Subject { folder: folder.into(), model: model.map(str::to_owned), results })
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
                Verdict::Better => "better".to_owned(),
                Verdict::Worse => "worse".to_owned(),
                Verdict::NoDifference => "no difference".to_owned(),
                Verdict::NotComparable(why) => format!("not comparable: {why}"),
            };
            table.add_row([
                if index == 0 { crate::report::short_name(&name) } else { String::new() },
                comparison.measure.title().to_owned(),
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
        assert!(slower.concerns(Measure::Latency) && !slower.concerns(Measure::Accuracy));
    }
}
