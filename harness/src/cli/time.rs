//! `vitbench time`: speeds of models, timed side by side.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;

use super::report::write_and_print;
use super::shared::{DeviceArgs, SetArgs, ThreadsArgs, csv};
use super::stage::{self, Kept};
use crate::config::{self, TimingPlan};
use crate::error::{Error, Result};
use crate::report::{self, magnitude, short_name, terminal_table};
use crate::results::{ResultsFolder, Stage, ThroughputRow, TimingMode, stage_throughput};
use crate::run_folder;
use crate::runner::Stop;

/// Arguments of `vitbench time`.
#[derive(Debug, Args)]
pub(super) struct TimeArgs {
    /// A config, such as `configs/speed.toml`, or a results folder
    ///
    /// The models of a results folder are timed again, whatever version trained them, and nothing is trained. The new blocks are added
    /// to those that the folder has, and its report is rebuilt.
    source: PathBuf,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Longest time for each model, in seconds [default: the config's `measure.max_seconds`]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Write blocks.csv, timing.json, throughput.csv and verdicts.csv to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

/// Parses a number of seconds from 0 to 3600.
pub(super) fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "must be a number".to_owned())?;
    if (0.0..=3600.0).contains(&seconds) { Ok(seconds) } else { Err("must be a number from 0 to 3600".into()) }
}

/// Times the models of a config or a results folder side by side.
pub(super) fn execute(args: &TimeArgs) -> Result<()> {
    let stop = Stop::on_signals()?;
    match args.source.is_dir() {
        true => again(args, &stop),
        false => config(args, &stop),
    }
}

/// Times the models of a results folder.
fn again(args: &TimeArgs, stop: &Stop) -> Result<()> {
    let folder = ResultsFolder::open(&args.source)?;
    let plan = config::load(&folder.plan_path(), &args.set.assignments)?;
    let mut timing = run_folder::timing_plan(&folder, &plan)?;
    if timing.models.is_empty() {
        let help = "run its plan first; `vitbench time CONFIG` times models without training";
        return Err(Error::input(args.source.display(), "no run of the folder was completed", help));
    }
    adjust(args, &mut timing)?;
    let out = args.out.as_ref().map(ResultsFolder::create_or_open).transpose()?;
    let kept = Kept::In(out.as_ref().unwrap_or(&folder));
    let stage = stage::time(&timing, args.threads.count(), stop, false, &kept)?;
    show(args, &timing, &stage, out.as_ref().map(ResultsFolder::path))?;
    if out.is_none() && args.format == Format::Table { write_and_print(&folder, &plan) } else { Ok(()) }
}

/// Times the models of a config.
fn config(args: &TimeArgs, stop: &Stop) -> Result<()> {
    let mut plan = config::load_timing(&args.source, &args.set.assignments)?;
    adjust(args, &mut plan)?;
    plan.device.open()?;
    let out = args.out.as_ref().map(ResultsFolder::create_or_open).transpose()?;
    let kept = out.as_ref().map_or(Kept::Nowhere, Kept::In);
    let stage = stage::time(&plan, args.threads.count(), stop, false, &kept)?;
    show(args, &plan, &stage, args.out.as_deref())
}

/// Applies the arguments, and checks that the device computes in every model's precision.
fn adjust(args: &TimeArgs, plan: &mut TimingPlan) -> Result<()> {
    plan.device = args.device.device.unwrap_or(plan.device);
    plan.measure.max_seconds = args.seconds.unwrap_or(plan.measure.max_seconds);
    plan.check_precision()
}

/// Prints the rates, and writes tables to `out`.
fn show(args: &TimeArgs, plan: &TimingPlan, stage: &Stage, out: Option<&Path>) -> Result<()> {
    let names: Vec<&str> = plan.models.iter().map(|timed| timed.model.name.as_str()).collect();
    let rows: Vec<ThroughputRow> = names.iter().flat_map(|name| stage_throughput(name, stage)).collect();
    if let Some(out) = out {
        report::write_speeds(out, &names, stage)?;
    }
    match args.format {
        Format::Table => println!("{}", table(&names, &rows, stage)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows).expect("rows are JSON")),
        Format::Csv => print!("{}", csv(&rows)),
    }
    Ok(())
}

fn table(names: &[&str], rows: &[ThroughputRow], stage: &Stage) -> String {
    let several = names.len() > 1;
    let versus = format!("times as fast\nas {}", short_name(names[0]));
    let mut header = vec!["model", "mode,\nbatch", "images/s\n(range over blocks)"];
    if several {
        header.push(&versus);
    }
    header.extend(["p99\nms", "MFU\n%"]);
    let mut table = terminal_table(&header);
    for row in rows {
        let mode = match row.mode {
            TimingMode::TrainStep => "train",
            TimingMode::Inference => "infer",
        };
        let range = row
            .range
            .map_or_else(String::new, |range| format!(" ({} to {})", magnitude(range.low), magnitude(range.high)));
        let mut cells = vec![
            short_name(&row.model),
            format!("{mode} {}", row.batch_size),
            format!("{}{range}", magnitude(row.images_per_s)),
        ];
        if several {
            cells.push(report::ratio_to(stage, &row.model, names[0], row.timed()).unwrap_or_default());
        }
        cells.push(magnitude(1e3 * row.p99_s));
        cells.push(row.mfu_percent.map_or_else(String::new, |percent| format!("{percent:.0}")));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let remarks: Vec<String> = report::stage_remarks(stage).iter().map(|remark| wrapped(remark)).collect();
    format!("{}\n{}", table.trim_fmt(), remarks.join("\n"))
}

/// A sentence in lines of at most 80 columns.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is a line");
        if !last.is_empty() && last.chars().count() + 1 + word.chars().count() > 80 {
            lines.push(word.to_owned());
        } else {
            *last = format!("{last} {word}").trim_start().to_owned();
        }
    }
    lines.join("\n")
}
