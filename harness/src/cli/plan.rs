use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use serde::Serialize;

use crate::config::{self, Plan, RunConfig, TimingPlan};
use crate::data::{self, SplitSizes};
use crate::device::DeviceName;
use crate::error::{Error, Result};
use crate::report::{count, magnitude, terminal_table};
use crate::train::{self, Lanes, StepCost};

/// Arguments of `vitbench plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// The config, such as `configs/cifar10.toml`
    config: PathBuf,
    /// Change a value of the config, such as `train.epochs=3`; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Where to compute [default: the config's `device`, or flex]
    #[arg(long, value_name = "NAME")]
    device: Option<DeviceName>,
    /// Where datasets are, besides $VITBENCH_DATA and the cache folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Worker threads [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Measure the steps of this model alone and print them as JSON: what the program asks of itself, so that every model has a
    /// process of its own
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
    epoch_s: f64,
    train_images_per_s: f64,
    run_s: f64,
    memory_bytes: Option<u64>,
}

/// Measures a few steps of every model and prints what the runs will take.
pub(super) fn execute(args: &PlanArgs) -> Result<()> {
    let mut plan = config::load(&args.config, &args.assignments)?;
    plan.device = args.device.unwrap_or(plan.device);
    let mut timing = config::load_timing(&args.config, &args.assignments)?;
    timing.device = plan.device;
    if let Some(index) = args.model {
        return measure(args, &timing, index);
    }
    plan.device.open()?;
    // Without the folder of images there are no epochs to foresee, but everything else.
    let sizes = data::split_sizes(&plan.data, args.data_dir.as_deref())?;
    let mut costs = Vec::new();
    for index in 0..plan.models.len() {
        costs.push(in_process_of_its_own(args, index)?);
    }
    let rows = rows(&plan, &timing, sizes, &costs);
    match args.format {
        Format::Table => println!("{}", table(&rows, super::threads(args.threads))),
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows).expect("rows are JSON")),
        Format::Csv => print!("{}", csv(&rows)),
    }
    Ok(())
}

fn measure(args: &PlanArgs, timing: &TimingPlan, index: usize) -> Result<()> {
    let timed = timing.models.get(index).ok_or_else(|| {
        let help = format!("it has {}", timing.models.len());
        Error::input(format!("--model {index}"), "the config has no such model", help)
    })?;
    let lanes = Lanes::on(timing.device, super::threads(args.threads));
    let cost = StepCost::measure(timing, timed, &timing.device.open()?, &lanes)?;
    println!("{}", serde_json::to_string(&cost).expect("numbers are JSON"));
    Ok(())
}

fn in_process_of_its_own(args: &PlanArgs, index: usize) -> Result<StepCost> {
    let program = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
    let mut command = Command::new(&program);
    command.arg("plan").arg(&args.config).args(["--model", &index.to_string()]);
    for assignment in &args.assignments {
        command.args(["--set", assignment]);
    }
    if let Some(device) = args.device {
        command.args(["--device", device.as_str()]);
    }
    if let Some(threads) = args.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    let output = command.stderr(Stdio::inherit()).output().map_err(Error::io("start", &program))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let place = format!("{}: model.{index}", args.config.display());
        let problem = format!("the process that measured it ended without a result ({})", output.status);
        Error::input(place, problem, "what it said stands above; a smaller `micro_batch` needs less memory")
    })
}

fn rows(plan: &Plan, timing: &TimingPlan, sizes: SplitSizes, costs: &[StepCost]) -> Vec<Row> {
    let row = |(run, config): (usize, RunConfig)| {
        let model = run % plan.models.len();
        let forecast = train::forecast(&config, sizes, &costs[model]);
        let architecture = &timing.models[model].model.architecture;
        let size = train::model_size(architecture);
        Row {
            model: config.model.name.clone(),
            architecture: architecture.kind(),
            seed: config.seed,
            params: size.params,
            macs: size.macs(),
            train_images: sizes.train,
            val_images: sizes.val,
            test_images: sizes.test,
            epochs: config.train.epochs,
            steps_per_epoch: forecast.steps,
            epoch_s: forecast.epoch_s,
            train_images_per_s: sizes.train as f64 / forecast.train_epoch_s,
            run_s: forecast.run_s,
            memory_bytes: forecast.memory_bytes,
        }
    };
    plan.runs().into_iter().enumerate().map(row).collect()
}

fn table(rows: &[Row], threads: usize) -> String {
    let header = ["model", "seed", "params", "MMAC", "images\n/s", "epochs", "the run", "memory\nMiB"];
    let mut table = terminal_table(&header);
    for row in rows {
        table.add_row([
            row.model.clone(),
            row.seed.to_string(),
            count(row.params as f64),
            magnitude(row.macs as f64 / 1e6),
            magnitude(row.train_images_per_s),
            format!("{} x {}", row.epochs, duration(row.epoch_s)),
            duration(row.run_s),
            row.memory_bytes.map_or_else(String::new, |bytes| magnitude(bytes as f64 / f64::from(1 << 20))),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let sum: f64 = rows.iter().map(|row| row.run_s).sum();
    let images = rows.first().map_or([0; 3], |row| [row.train_images, row.val_images, row.test_images]);
    let [train, val, test] = images;
    let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    format!(
        "{}\n{} of {train} training, {val} validation and {test} test images take about {} with {}, one after the other.\n\
         Foreseen from a few steps of every model; reading images and whatever else the machine does come on top.",
        table.trim_fmt(),
        plural(rows.len(), "run"),
        duration(sum),
        plural(threads, "thread"),
    )
}

/// To two units, as "1 h 5 min".
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

fn csv(rows: &[Row]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("rows are flat, and memory takes every byte");
    }
    String::from_utf8(writer.into_inner().expect("memory takes every byte")).expect("names are UTF-8")
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_read_at_a_glance() {
        let durations = [0.04, 9.96, 61.4, 119.6, 4000.0, 200_000.0].map(duration);
        assert_eq!(durations, ["0.0 s", "10 s", "61 s", "2 min 0 s", "1 h 6 min", "2 d 7 h"]);
    }
}
