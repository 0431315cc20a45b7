use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;

use super::time::{TimeArgs, median_of_row};
use crate::device::DeviceName;
use crate::error::{Error, Result};
use crate::noise;
use crate::report::{magnitude, terminal_table};
use crate::results::{Noise, NoiseRecord, ResultsFolder, SCHEMA};
use crate::run_folder;
use crate::stats::sample_std;

/// Arguments of `vitbench calibrate`.
#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
    /// Processes that the same work is timed in, one after the other
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(3..=200))]
    repetitions: u16,
    /// Seconds that the steps of a figure take together at least
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = super::time::seconds)]
    seconds: f64,
    /// Where to compute [default: flex, or the device of --into]
    #[arg(long, value_name = "NAME")]
    device: Option<DeviceName>,
    /// Worker threads [default: all cores, or the number of --into]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// A folder of results from this machine that lacks its noise: it is put there as well
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// The work: a small ViT, at a batch as recipes have it and at one image.
const CONFIG: &str = r#"
[train]
optimizer = { kind = "adamw" }

[measure]
warmup_seconds = 0.5
min_samples = 20

[[model]]
name = "batch"
image_size = 32
classes = 10
batch_size = 64
architecture = "vit"
patch_size = 4
d_model = 64
depth = 4
heads = 4
d_ff = 128

[[model]]
name = "single"
image_size = 32
classes = 10
batch_size = 1
architecture = "vit"
patch_size = 4
d_model = 64
depth = 4
heads = 4
d_ff = 128
"#;

/// Rows of that config that are timed, as `vitbench time` numbers them: training and inference of a batch, inference of one.
const ROWS: [(usize, &str); 3] = [(0, "training step"), (1, "inference"), (3, "latency")];

/// Times the same work in one process after the other and keeps how far their medians lie apart.
pub(super) fn execute(args: &CalibrateArgs) -> Result<()> {
    let into = args.into.as_ref().map(ResultsFolder::open).transpose()?;
    let recorded = into.as_ref().map(ResultsFolder::read_machine).transpose()?.flatten();
    let threads = args
        .threads
        .map_or_else(|| recorded.as_ref().map_or_else(|| super::threads(None), |machine| machine.threads), usize::from);
    let device = match (args.device, &recorded) {
        (Some(device), _) => device,
        (None, Some(machine)) => DeviceName::from_str(&machine.device, false).map_err(|_| {
            let help = "measure it with a program that knows that device, or name one with --device";
            Error::input(format!("--into, device `{}`", machine.device), "this program does not know it", help)
        })?,
        (None, None) => DeviceName::default(),
    };
    let machine = run_folder::machine(device, run_folder::command_line(), threads);
    if let Some(recorded) =
        recorded.filter(|recorded| (&recorded.cpu, recorded.cpu_cores) != (&machine.cpu, machine.cpu_cores))
    {
        let problem = format!(
            "its runs were made on {} with {} CPUs, and this is {} with {}",
            recorded.cpu, recorded.cpu_cores, machine.cpu, machine.cpu_cores
        );
        return Err(Error::input("--into", problem, "calibrate on the machine that made the results"));
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
    println!("Kept in {}; `vitbench run` takes it from there into its results.", kept.display());
    if let Some(folder) = into {
        record.write(&folder.noise_path())?;
        println!("Put into {}; `vitbench report` takes it into account.", folder.path().display());
    }
    Ok(())
}

/// Logarithms of the medians, row by row. The rows take turns, so that a slow minute is in all of them.
fn times(args: &CalibrateArgs, device: DeviceName, threads: usize) -> Result<[Vec<f64>; 3]> {
    let folder = tempfile::tempdir().map_err(Error::io("create", &std::env::temp_dir()))?;
    let config: &Path = &folder.path().join("calibrate.toml");
    std::fs::write(config, CONFIG).map_err(Error::io("write", config))?;
    let timing = TimeArgs::of(config, device, threads, args.seconds);
    let mut logs = [const { Vec::new() }; 3];
    for repetition in 1..=args.repetitions {
        for (logs, (row, _)) in logs.iter_mut().zip(ROWS) {
            logs.push(median_of_row(&timing, row)?.ln());
        }
        eprintln!("{repetition} of {}", args.repetitions);
    }
    Ok(logs)
}

fn table(record: &NoiseRecord) -> String {
    let mut table = terminal_table(&["", "spread of medians", "two runs differ by up to"]);
    for ((_, name), noise) in ROWS.iter().zip([record.train_step, record.inference, record.latency]) {
        let percent = |share: f64| format!("{} %", magnitude(100.0 * share));
        table.add_row([(*name).to_owned(), percent(noise.log_std), percent(noise.ratio())]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n(95 of 100 times; {} processes each)", table.trim_fmt(), record.train_step.degrees + 1)
}
