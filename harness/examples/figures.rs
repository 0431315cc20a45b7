//! Splices the figures of a document in from the records under `results/published`: `bash .ci/figures`.
//!
//! Reads a document on standard input and writes it to standard output with everything between `<!-- figures: NAME -->` and
//! `<!-- end of figures -->` replaced. Intervals and verdicts are those of `vitbench report --format json`.

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;
use vitbench::config::{self, ReferenceRun};
use vitbench::report::{self, Printed, Source, count, magnitude};
use vitbench::results::ResultsFolder;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Makes the text of a block.
type Block = fn() -> Result<String>;

/// The blocks that the document must have, once each.
const BLOCKS: [(&str, Block); 5] =
    [("accuracies", accuracies), ("speeds", speeds), ("reproduction", reproduction), ("best", best), ("quick", quick)];

const END: &str = "<!-- end of figures -->\n";

fn main() -> ExitCode {
    match spliced() {
        Ok(document) => {
            print!("{document}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The document from standard input with all blocks replaced.
fn spliced() -> Result<String> {
    let mut document = String::new();
    std::io::stdin().read_to_string(&mut document)?;
    for (name, block) in BLOCKS {
        document = splice(&document, name, &block()?)?;
    }
    Ok(document)
}

/// The document with the block of that name replaced.
fn splice(document: &str, name: &str, block: &str) -> Result<String> {
    let start = format!("<!-- figures: {name} -->\n");
    let (before, rest) = document.split_once(&start).ok_or_else(|| format!("there is no `{}`", start.trim_end()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| format!("`{}` has no end", start.trim_end()))?;
    if after.contains(&start) {
        return Err(format!("`{}` is there twice", start.trim_end()).into());
    }
    Ok(format!("{before}{start}{block}{END}{after}"))
}

/// What is used of `vitbench report --format json`.
#[derive(Deserialize)]
struct Report {
    models: Vec<Model>,
    differences: Vec<Difference>,
    ratios: Vec<Ratio>,
}

#[derive(Deserialize)]
struct Model {
    model: String,
    completed_runs: usize,
    params: f64,
    test_top1: Figure,
    train_images_per_s: Figure,
    inference_images_per_s: Figure,
    latency_s: Figure,
}

#[derive(Deserialize)]
struct Figure {
    value: f64,
    interval: Option<[f64; 2]>,
    by_run: Vec<f64>,
}

#[derive(Deserialize)]
struct Difference {
    model: String,
    difference: Option<f64>,
    interval: Option<[f64; 2]>,
    is_more_than_chance: bool,
}

#[derive(Deserialize)]
struct Ratio {
    model: String,
    quantity: String,
    ratio: Option<f64>,
    interval: Option<[f64; 2]>,
}

impl Report {
    /// The model, where the folder has only one.
    fn only_model(&self) -> Result<&Model> {
        match &self.models[..] {
            [model] => Ok(model),
            models => Err(format!("{} models where one was expected", models.len()).into()),
        }
    }
}

impl Figure {
    /// A fraction as `75.3 % (66.3 to 84.4)`.
    fn percent(&self) -> String {
        let value = percent(self.value);
        self.interval
            .map_or(format!("{value} %"), |[low, high]| format!("{value} % ({} to {})", percent(low), percent(high)))
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.1}", 100.0 * fraction)
}

/// `65.1 % and 63.6 %`.
fn percents(fractions: &[f64]) -> String {
    let all: Vec<String> = fractions.iter().map(|fraction| format!("{} %", percent(*fraction))).collect();
    match all.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => all.concat(),
    }
}

/// A model's test accuracy, with what it rests on.
fn accuracy(model: &Model) -> String {
    let figure = &model.test_top1;
    match &figure.by_run[..] {
        [_] => format!("{} test accuracy, one seed", figure.percent()),
        runs => format!("{} test accuracy, mean of {} seeds: {}", figure.percent(), runs.len(), percents(runs)),
    }
}

/// The report on a published folder, and what others reported of its models.
fn read(folder: &str) -> Result<(Report, Vec<ReferenceRun>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../results/published").join(folder);
    let folder = ResultsFolder::open(path)?;
    let plan = config::load(&folder.plan_path(), &[])?;
    let models = plan.model_names();
    let source = Source {
        folders: std::slice::from_ref(&folder),
        models: &models,
        references: &plan.reference,
        report: &plan.report,
    };
    Ok((serde_json::from_slice(&report::print(&source, Printed::Json)?)?, plan.reference))
}

/// Three architectures of one size on CIFAR-10: test accuracy, and the distance to the most accurate.
fn accuracies() -> Result<String> {
    let (report, _) = read("cifar10-60k")?;
    let mut table = String::from(
        "| model | parameters | seeds | test accuracy (95 % interval) | behind the most accurate (95 % interval) |\n\
         | --- | ---: | ---: | ---: | ---: |\n",
    );
    for model in &report.models {
        let difference = report.differences.iter().find(|difference| difference.model == model.model);
        let behind = difference.map_or(String::new(), |found| match found.difference.zip(found.interval) {
            Some((difference, interval)) => {
                let [high, low] = interval.map(|end| percent(-end));
                let verdict = if found.is_more_than_chance { "" } else { ", a tie" };
                format!("{} points ({low} to {high}){verdict}", percent(-difference))
            }
            None => "no verdict: too few seeds".to_owned(),
        });
        table += &format!(
            "| {} | {} | {} | {} | {behind} |\n",
            model.model,
            count(model.params),
            model.completed_runs,
            model.test_top1.percent()
        );
    }
    Ok(table)
}

/// The speeds of the same models, each compared with the fastest.
fn speeds() -> Result<String> {
    let (report, _) = read("cifar10-60k")?;
    let mut table =
        String::from("| model | training | inference | latency of one image |\n| --- | ---: | ---: | ---: |\n");
    for model in &report.models {
        let cell = |quantity: &str, rate: String| {
            let ratio = report.ratios.iter().find(|ratio| ratio.model == model.model && ratio.quantity == quantity);
            let text = ratio.and_then(|ratio| {
                let [low, high] = ratio.interval?;
                Some(format!("{:.2} ({low:.2} to {high:.2}) times as fast as the fastest", ratio.ratio?))
            });
            format!("{rate}; {}", text.unwrap_or_else(|| "the fastest".to_owned()))
        };
        table += &format!(
            "| {} | {} | {} | {} |\n",
            model.model,
            cell("train_step", format!("{} images/s", magnitude(model.train_images_per_s.value))),
            cell("inference", format!("{} images/s", magnitude(model.inference_images_per_s.value))),
            cell("latency", format!("{} ms", magnitude(1e3 * model.latency_s.value)))
        );
    }
    Ok(table)
}

/// A published run beside ours with the same recipe.
fn reproduction() -> Result<String> {
    let (report, references) = read("conv-vit-cifar10")?;
    let model = report.only_model()?;
    let theirs: Vec<f64> = references.iter().filter_map(|run| Some(run.eval_top1.last()?.1)).collect();
    Ok(format!("- published: {}\n- here: {}\n", percents(&theirs), accuracy(model)))
}

/// The same model with a better recipe, and with four times as many epochs.
fn best() -> Result<String> {
    let ((short, _), (long, _)) = (read("cifar10-conv-vit-best")?, read("cifar10-conv-vit-best-100")?);
    Ok(format!("- 25 epochs: {}\n- 100 epochs: {}\n", accuracy(short.only_model()?), accuracy(long.only_model()?)))
}

/// What the first command shows.
fn quick() -> Result<String> {
    let (report, _) = read("quick")?;
    Ok(report.models.iter().map(|model| format!("- {}: {}\n", model.model, accuracy(model))).collect())
}
