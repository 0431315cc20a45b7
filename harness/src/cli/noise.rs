//! `vitbench noise`: how much the times of identical runs differ on this machine (A/A).

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;

use super::shared::{DeviceArgs, ThreadsArgs};
use super::stage;
use crate::config;
use crate::device::DeviceName;
use crate::error::{Error, Result};
use crate::measure;
use crate::noise;
use crate::report::{magnitude, terminal_table};
use crate::results::{Noise, NoiseRecord, ResultsFolder, SCHEMA, Timed, TimingMode};
use crate::runner::{Repetitions, Stop};
use crate::stats::sample_std;

/// Arguments of `vitbench noise`.
#[derive(Debug, Args)]
pub(super) struct NoiseArgs {
    /// How many processes time the same work, one after another
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(3..=200))]
    repetitions: u16,
    /// Time that each process spends on each figure, in seconds
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = super::time::seconds)]
    seconds: f64,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Also write `noise.json` to this results folder, which must have been made on this machine
    ///
    /// Unless given, the device and the number of threads are those of the folder's runs.
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// The timed work: a small ViT, at a usual batch size.
const CONFIG: &str = r#"
[train]
optimizer = { kind = "adamw" }

[[model]]
name = "vit"
image_size = 32
classes = 10
batch_size = 64
architecture = "vit"
patch_size = 4
d_model = 64
depth = 4
heads = 4
d_ff = 128
"#;

/// What is timed: training and inference of a batch, and inference of one image.
const ROWS: [(Timed, &str); 3] = [
    (Timed { mode: TimingMode::TrainStep, batch_size: 64 }, "training step"),
    (Timed { mode: TimingMode::Inference, batch_size: 64 }, "inference"),
    (Timed { mode: TimingMode::Inference, batch_size: 1 }, "latency"),
];

/// Times the same work in one process after another and records how far their medians differ: the machine's A/A variation.
pub(super) fn execute(args: &NoiseArgs) -> Result<()> {
    let into = args.into.as_ref().map(ResultsFolder::open).transpose()?;
    let recorded = into.as_ref().map(ResultsFolder::read_machine).transpose()?.flatten();
    let recorded_threads = recorded.as_ref().map(|machine| machine.threads);
    let threads = args.threads.given().or(recorded_threads).unwrap_or_else(|| args.threads.count());
    let device = match (args.device.device, &recorded) {
        (Some(device), _) => device,
        (None, Some(machine)) => DeviceName::from_str(&machine.device, false).map_err(|_| {
            let help = "use a build of vitbench that knows the device, or name another with --device";
            Error::input(format!("--into, device `{}`", machine.device), "this build does not know the device", help)
        })?,
        (None, None) => DeviceName::default(),
    };
    let machine = measure::machine_record(device, measure::command_line(), threads);
    if let Some(recorded) =
        recorded.filter(|recorded| (&recorded.cpu, recorded.cpu_cores) != (&machine.cpu, machine.cpu_cores))
    {
        let problem = format!(
            "its runs were made on {} with {} CPUs, but this machine is {} with {}",
            recorded.cpu, recorded.cpu_cores, machine.cpu, machine.cpu_cores
        );
        return Err(Error::input("--into", problem, "run `vitbench noise` on the machine that made the results"));
    }
    let logs = times(args, device, threads)?;
    let noise =
        |row: usize| Noise { log_std: sample_std(&logs[row]).unwrap_or_default(), degrees: logs[row].len() - 1 };
    let record = NoiseRecord {
        schema: SCHEMA,
        version: machine.version,
        cpu: machine.cpu,
        cpu_cores: machine.cpu_cores,
        device: machine.device,
        threads,
        measured: machine.started,
        train_step: noise(0),
        inference: noise(1),
        latency: noise(2),
    };
    println!("{}", table(&record));
    let kept = noise::store(&record)?;
    println!("Saved as {}; `vitbench run` copies it into its results folder.", kept.display());
    if let Some(folder) = into {
        record.write(&folder.noise_path())?;
        println!("Saved in {}; run `vitbench report` to update its verdicts.", folder.path().display());
    }
    Ok(())
}

/// Logarithms of the rates of each process, for each row.
fn times(args: &NoiseArgs, device: DeviceName, threads: usize) -> Result<[Vec<f64>; 3]> {
    let stop = Stop::on_signals()?;
    let mut plan = config::parse_timing(CONFIG, "noise", &[])?;
    plan.device = device;
    let repetitions = Repetitions { processes: args.repetitions.into(), seconds: args.seconds * ROWS.len() as f64 };
    let stage = stage::repeat(&plan, threads, &stop, repetitions)?;
    Ok(ROWS.map(|(timed, _)| stage.log_rates("vit", timed)))
}

fn table(record: &NoiseRecord) -> String {
    let mut table = terminal_table(&["", "standard deviation of medians", "two identical runs differ by up to"]);
    for ((_, name), noise) in ROWS.iter().zip([record.train_step, record.inference, record.latency]) {
        let percent = |fraction: f64| format!("{} %", magnitude(100.0 * fraction));
        table.add_row([(*name).to_owned(), percent(noise.log_std), percent(noise.ratio())]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n(in 95 of 100 cases; {} processes each)", table.trim_fmt(), record.train_step.degrees + 1)
}
