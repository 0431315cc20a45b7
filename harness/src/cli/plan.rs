//! `vitbench plan`: the runs of a config, with estimates of their time and memory.

use std::collections::HashSet;

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use comfy_table::{CellAlignment, ColumnConstraint};
use serde::Serialize;

use super::shared::{ConfigArgs, DataDirArgs, OutArgs, ThreadsArgs, csv};
use crate::config::{DataConfig, Plan, RunConfig, TimedModel};
use crate::data::{self, SplitSizes};
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::measure::{GO_ON, Machine};
use crate::report::{Variation, count, magnitude, terminal_table};
use crate::results::ResultsFolder;
use crate::runner;
use crate::train::{self, StepCost};

/// Arguments of `vitbench plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    source: ConfigArgs,
    #[command(flatten)]
    data: DataDirArgs,
    #[command(flatten)]
    out: OutArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Only list the runs, without measuring a few steps to estimate time and memory
    #[arg(long)]
    no_estimate: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Measure the steps of this model only and print them as JSON. vitbench starts itself with this option, so that every model is
    /// measured in its own process
    #[arg(long, hide = true)]
    model: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

/// A run of the plan.
#[derive(Debug, Serialize)]
struct Row {
    /// The run's name, which depends on the images; absent if they cannot be read.
    run: Option<String>,
    model: String,
    architecture: &'static str,
    seed: u64,
    params: usize,
    macs: u64,
    train_images: usize,
    val_images: usize,
    test_images: usize,
    epochs: usize,
    steps_per_epoch: usize,
    /// Training and evaluation.
    epoch_s: Option<f64>,
    train_images_per_s: Option<f64>,
    run_s: Option<f64>,
    memory_bytes: Option<u64>,
}

/// Lists the runs. Measures a few steps of every model to estimate time and memory.
pub(super) fn execute(args: &PlanArgs) -> Result<()> {
    let mut plan = args.source.plan()?;
    let device = plan.device.open()?;
    let threads = args.threads.limit_global();
    if let Some(index) = args.model {
        let timed = models_to_measure(&plan.runs(), plan.classes);
        return measure(args, &plan, &device, &timed, index);
    }
    let (configs, names): (Vec<RunConfig>, Vec<Option<String>>) =
        match runner::identify(&mut plan, &args.source.config, args.data.path(), threads) {
            Ok((runs, _)) => runs.into_iter().map(|run| (run.config, Some(run.identity.run))).unzip(),
            Err(error) => {
                eprintln!("Run names are left out because they depend on the images: {error}");
                plan.runs().into_iter().map(|config| (config, None)).unzip()
            }
        };
    let timed = models_to_measure(&configs, plan.classes);
    let mut costs = Vec::new();
    if !args.no_estimate {
        for index in 0..timed.len() {
            costs.push(in_process_of_its_own(args, index)?);
        }
    }
    let mut sizes: Vec<(DataConfig, SplitSizes)> = Vec::new();
    let mut rows = Vec::new();
    for (config, run) in configs.iter().zip(names) {
        let images = config.data.without_augmentation();
        let known = sizes.iter().find(|(data, _)| *data == images).map(|(_, sizes)| *sizes);
        let known = match known {
            Some(known) => known,
            None => {
                // Without the image folder, only the time of epochs cannot be estimated.
                let found = data::split_sizes(&images, args.data.path())?;
                sizes.push((images, found));
                found
            }
        };
        let at = timed
            .iter()
            .position(|timed| *timed == to_measure(config, plan.classes))
            .expect("every run has its model among these");
        rows.push(row(config, run, &timed[at], known, costs.get(at)));
    }
    match args.format {
        Format::Table => {
            println!("{}", table(&rows, threads));
            if let Some(power) = power(args, &plan, &rows)? {
                println!("{power}");
            }
        }
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows).expect("rows are JSON")),
        Format::Csv => print!("{}", csv(&rows)),
    }
    Ok(())
}

/// What the seeds and the test images can resolve. How much runs differ comes from the finished runs of the results folder, if there are any.
fn power(args: &PlanArgs, plan: &Plan, rows: &[Row]) -> Result<Option<String>> {
    let Some(first) = rows.first() else { return Ok(None) };
    let measured = match ResultsFolder::open(args.out.folder(&args.source.config)) {
        Ok(folder) => Variation::of_folder(&folder)?,
        Err(_) => None,
    };
    let variation = measured.unwrap_or_else(|| Variation::assumed(first.test_images));
    let models: HashSet<&str> = rows.iter().map(|row| row.model.as_str()).collect();
    Ok(variation.sentence(plan.seeds.len(), first.test_images, models.len(), plan.report.min_runs))
}

/// What the cost of a run's steps depends on.
fn to_measure(run: &RunConfig, classes: Option<usize>) -> TimedModel {
    let mut timed = TimedModel::of_run(run, classes);
    timed.model.name.clear();
    timed
}

fn models_to_measure(runs: &[RunConfig], classes: Option<usize>) -> Vec<TimedModel> {
    let mut models: Vec<TimedModel> = Vec::new();
    for run in runs {
        let timed = to_measure(run, classes);
        if !models.contains(&timed) {
            models.push(timed);
        }
    }
    models
}

fn measure(args: &PlanArgs, plan: &Plan, device: &Device, models: &[TimedModel], index: usize) -> Result<()> {
    let timed = models.get(index).ok_or_else(|| {
        let help = format!("it has {} models", models.len());
        Error::input(format!("--model {index}"), "the config has no such model", help)
    })?;
    let lanes = Lanes::on(plan.device, args.threads.count());
    let machine = Machine::this()?;
    let _alone = machine.alone(&GO_ON)?;
    let cost = StepCost::measure(plan.device, timed, device, &lanes)?;
    println!("{}", serde_json::to_string(&cost).expect("numbers are JSON"));
    Ok(())
}

fn in_process_of_its_own(args: &PlanArgs, index: usize) -> Result<StepCost> {
    let mut more = vec!["--model".to_owned(), index.to_string()];
    more.extend(args.threads.words());
    args.source.ask_own_process("plan", &more, |status| {
        let place = format!("{}: model.{index}", args.source.config.display());
        let problem = format!("the process that measured it returned no result ({status})");
        Error::input(place, problem, "see its output above; a smaller `micro_batch` needs less memory")
    })
}

fn row(config: &RunConfig, run: Option<String>, timed: &TimedModel, sizes: SplitSizes, cost: Option<&StepCost>) -> Row {
    let forecast = cost.map(|cost| train::forecast(config, sizes, cost));
    let architecture = &timed.model.architecture;
    let size = train::model_size(architecture);
    Row {
        run,
        model: config.model.name.clone(),
        architecture: architecture.kind(),
        seed: config.seed,
        params: size.params,
        macs: size.macs(),
        train_images: sizes.train,
        val_images: sizes.val,
        test_images: sizes.test,
        epochs: config.train.epochs,
        steps_per_epoch: sizes.train.div_ceil(config.train.batch_size),
        epoch_s: forecast.map(|forecast| forecast.epoch_s),
        train_images_per_s: forecast.map(|forecast| sizes.train as f64 / forecast.train_epoch_s),
        run_s: forecast.map(|forecast| forecast.run_s),
        memory_bytes: forecast.and_then(|forecast| forecast.memory_bytes),
    }
}

fn table(rows: &[Row], threads: usize) -> String {
    let estimated = rows.iter().any(|row| row.run_s.is_some());
    // A run's name contains its model and seed. Either all runs have a name or none has.
    let named = rows.iter().all(|row| row.run.is_some());
    let mut header = if named { vec!["run"] } else { vec!["model", "seed"] };
    header.extend(["params", "MMAC"]);
    if estimated {
        header.extend(["images\n/s", "epochs", "the run", "memory\nMiB"]);
    }
    let mut table = terminal_table(&header);
    for row in rows {
        let mut cells = match &row.run {
            Some(run) => vec![run.clone()],
            None => vec![row.model.clone(), row.seed.to_string()],
        };
        cells.extend([count(row.params as f64), magnitude(row.macs as f64 / 1e6)]);
        let or_empty = |value: Option<f64>, text: &dyn Fn(f64) -> String| value.map_or_else(String::new, text);
        if estimated {
            cells.extend([
                or_empty(row.train_images_per_s, &magnitude),
                or_empty(row.epoch_s, &|epoch| format!("{} x {}", row.epochs, short_duration(epoch))),
                or_empty(row.run_s, &short_duration),
                or_empty(row.memory_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)), &magnitude),
            ]);
        }
        table.add_row(cells);
    }
    // Users copy the names of runs, so they are not wrapped.
    table.column_mut(0).expect("there is a first column").set_constraint(ColumnConstraint::ContentWidth);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let images = rows.first().map_or([0; 3], |row| [row.train_images, row.val_images, row.test_images]);
    let [train, val, test] = images;
    let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let what = format!("{} of {train} training, {val} validation and {test} test images", plural(rows.len(), "run"));
    if !estimated {
        return format!("{}\n{what}.", table.trim_fmt());
    }
    format!(
        "{}\n{what} will take about {} with {}, one after another.\n\
         Estimated from a few steps of every model; excludes reading images and other work on the machine.",
        table.trim_fmt(),
        duration(rows.iter().filter_map(|row| row.run_s).sum()),
        plural(threads, "thread"),
    )
}

/// In at most two units, such as "1 h 5 min".
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.1} s"),
        10..120 => format!("{whole} s"),
        120..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..172_800 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// The same without spaces, for columns: "1h5m".
fn short_duration(seconds: f64) -> String {
    duration(seconds).replace(" min", "m").replace(' ', "")
}

#[cfg(test)]
mod tests {
    use super::{duration, short_duration};

    #[test]
    fn durations_are_read_at_a_glance() {
        let durations = [0.04, 9.96, 61.4, 119.6, 4000.0, 200_000.0].map(duration);
        assert_eq!(durations, ["0.0 s", "10 s", "61 s", "2 min 0 s", "1 h 6 min", "2 d 7 h"]);
        assert_eq!([9.96, 119.6, 4000.0].map(short_duration), ["10s", "2m0s", "1h6m"]);
    }
}
