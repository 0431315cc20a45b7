//! `vitbench time`: speed and memory of models, each measured in its own process.

use std::path::Path;

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use serde::{Deserialize, Serialize};

use super::shared::{ConfigArgs, DeviceArgs, SetArgs, ThreadsArgs};
use crate::config::{self, TimedModel, TimingPlan};
use crate::device::DeviceName;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::measure::{Enough, GO_ON, Machine, peak_gflop_per_s, peak_rss_bytes};
use crate::report::{magnitude, terminal_table};
use crate::results::{TimingMode, TimingSummary};
use crate::train::{self, TimingBench};

/// Arguments of `vitbench time`.
#[derive(Debug, Args)]
pub(super) struct TimeArgs {
    #[command(flatten)]
    source: ConfigArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Minimum total time of the samples behind each figure, in seconds [default: the config's `measure.min_seconds`]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Measure this row only and print it as JSON. vitbench starts itself with this option, so that every row is measured in its own
    /// process
    #[arg(long, hide = true)]
    row: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
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

impl TimeArgs {
    /// Arguments for timing single rows of a config.
    pub(super) fn of(config: &Path, device: DeviceName, threads: usize, seconds: f64) -> Self {
        Self {
            source: ConfigArgs {
                config: config.to_owned(),
                set: SetArgs::default(),
                device: DeviceArgs { device: Some(device) },
            },
            threads: ThreadsArgs::of(threads),
            seconds: Some(seconds),
            format: Format::Json,
            row: None,
        }
    }
}

/// Median seconds of a row, measured in its own process.
pub(super) fn median_of_row(args: &TimeArgs, row: usize) -> Result<f64> {
    Ok(in_process_of_its_own(args, row)?.median_s)
}

/// The measurements of a model in one mode at one batch size.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    model: String,
    mode: TimingMode,
    batch_size: usize,
    micro_batch: usize,
    device: String,
    threads: usize,
    samples: usize,
    median_s: f64,
    p90_s: f64,
    p99_s: f64,
    images_per_s: f64,
    /// Peak of the row's own process.
    peak_rss_bytes: Option<u64>,
    gflop_per_s: f64,
    /// Rate of plain matrix products on this machine, measured before the rows.
    peak_gflop_per_s: Option<f64>,
    mfu_percent: Option<f64>,
}

/// What a row measures.
struct Subject<'a> {
    timed: &'a TimedModel,
    mode: TimingMode,
    batch_size: usize,
}

/// Times every model of a config and prints a table.
pub(super) fn execute(args: &TimeArgs) -> Result<()> {
    let mut plan = config::load_timing(&args.source.config, &args.source.set.assignments)?;
    plan.device = args.source.device.device.unwrap_or(plan.device);
    plan.measure.min_seconds = args.seconds.unwrap_or(plan.measure.min_seconds);
    let device = plan.device.open()?;
    let threads = args.threads.limit_global();
    let lanes = Lanes::on(plan.device, threads);
    let subjects = subjects(&plan);
    let machine = Machine::this()?;
    let alone = machine.alone(&GO_ON)?;
    if let Some(index) = args.row {
        let subject = subjects.get(index).ok_or_else(|| {
            Error::input(
                format!("--row {index}"),
                "the config has no such row",
                format!("it has {} rows", subjects.len()),
            )
        })?;
        let row = measure(&plan, subject, &device, &lanes)?;
        println!("{}", serde_json::to_string(&row).expect("rows are JSON"));
        return Ok(());
    }
    let peak = peak_gflop_per_s(&lanes, &device);
    // Their threads and memory would disturb the rows' processes, each of which waits for exclusive access.
    drop((lanes, device, alone));
    let mut rows = Vec::with_capacity(subjects.len());
    for index in 0..subjects.len() {
        let row = in_process_of_its_own(args, index)?;
        let mfu_percent = Some(100.0 * row.gflop_per_s / peak);
        rows.push(Row { peak_gflop_per_s: Some(peak), mfu_percent, ..row });
    }
    match args.format {
        Format::Table => println!("{}", table(&rows, peak)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&rows).expect("rows are JSON")),
        Format::Csv => print!("{}", csv(&rows)),
    }
    Ok(())
}

fn subjects(plan: &TimingPlan) -> Vec<Subject<'_>> {
    let mut subjects = Vec::new();
    for timed in &plan.models {
        let modes =
            [(TimingMode::TrainStep, &timed.train_batch_sizes), (TimingMode::Inference, &timed.inference_batch_sizes)];
        for (mode, sizes) in modes {
            subjects.extend(sizes.iter().map(|batch_size| Subject { timed, mode, batch_size: *batch_size }));
        }
    }
    subjects
}

fn in_process_of_its_own(args: &TimeArgs, index: usize) -> Result<Row> {
    let mut more = vec!["--row".to_owned(), index.to_string()];
    more.extend(args.threads.words());
    more.extend(args.seconds.iter().flat_map(|seconds| ["--seconds".to_owned(), seconds.to_string()]));
    args.source.ask_own_process("time", &more, |status| {
        let place = format!("{}, row {index}", args.source.config.display());
        let problem = format!("its process returned no result ({status})");
        Error::input(place, problem, "see its output above; a smaller `batch_size` needs less memory")
    })
}

fn measure(plan: &TimingPlan, subject: &Subject<'_>, device: &burn::tensor::Device, lanes: &Lanes) -> Result<Row> {
    let Subject { timed, mode, batch_size } = *subject;
    let mut bench = TimingBench::new(plan.device, timed, batch_size, device);
    let seconds = bench.time(mode, batch_size, lanes, Enough::of(&plan.measure))?;
    let timing =
        TimingSummary::of(mode, batch_size, &seconds).expect("there is at least one sample, and none takes no time");
    Ok(Row {
        model: timed.model.name.clone(),
        mode,
        batch_size,
        micro_batch: bench.micro_batch().min(batch_size),
        device: plan.device.as_str().to_owned(),
        threads: lanes.threads(),
        samples: timing.samples,
        median_s: timing.median_s,
        p90_s: timing.p90_s,
        p99_s: timing.p99_s,
        images_per_s: timing.images_per_s(),
        peak_rss_bytes: peak_rss_bytes(),
        gflop_per_s: timing.gflop_per_s(&train::model_size(&timed.model.architecture)),
        peak_gflop_per_s: None,
        mfu_percent: None,
    })
}

fn table(rows: &[Row], peak: f64) -> String {
    let header = ["model", "mode,\nbatch", "images\n/s", "median\nms", "p99\nms", "GFLOP\n/s", "MFU\n%", "memory\nMiB"];
    let mut table = terminal_table(&header);
    for row in rows {
        let mode = match row.mode {
            TimingMode::TrainStep => "train",
            TimingMode::Inference => "infer",
        };
        table.add_row([
            row.model.clone(),
            format!("{mode} {}", row.batch_size),
            magnitude(row.images_per_s),
            magnitude(1e3 * row.median_s),
            magnitude(1e3 * row.p99_s),
            magnitude(row.gflop_per_s),
            row.mfu_percent.map_or_else(String::new, |percent| format!("{percent:.0} %")),
            row.peak_rss_bytes.map_or_else(String::new, |bytes| magnitude(bytes as f64 / f64::from(1 << 20))),
        ]);
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let (threads, device) = rows.first().map_or((0, ""), |row| (row.threads, &row.device));
    let plural = if threads == 1 { "" } else { "s" };
    format!(
        "{}\n{threads} thread{plural}, device {device}; matrix products alone reach {} GFLOP/s here",
        table.trim_fmt(),
        magnitude(peak)
    )
}

fn csv(rows: &[Row]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("rows are flat, and memory takes every byte");
    }
    String::from_utf8(writer.into_inner().expect("memory takes every byte")).expect("names are UTF-8")
}
