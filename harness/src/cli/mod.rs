//! The command line: parsing and printing only, a file per command.

mod blocks;
mod compare;
mod data;
mod devices;
mod export;
mod noise;
mod parity;
mod plan;
mod progress;
mod report;
mod reproduce;
mod run;
mod shared;
mod slurm;
mod stage;
mod summary;
mod time;
mod work;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Result};

/// Which Vision Transformer should I use, what does it cost, and is the difference real?
///
/// Trains and times Vision Transformer architectures on identical images and writes tables, plots and a report.
#[derive(Debug, Parser)]
#[command(name = "vitbench", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train and time the models of a config, then write tables, plots and the report
    #[command(
        after_long_help = "Examples:\n  vitbench run configs/quick.toml\n  vitbench run configs/quick.toml --out results/wide --set model.0.d_model=128\n  vitbench run sweep.toml --max-memory 4GiB --retry failed"
    )]
    Run(run::RunArgs),
    /// List the runs of a config and estimate their time and memory, without training
    #[command(
        after_long_help = "Examples:\n  vitbench plan configs/cifar10-60k.toml\n  vitbench plan sweep.toml --no-estimate --format csv"
    )]
    Plan(plan::PlanArgs),
    /// Write scripts that do the runs of a config on a Slurm cluster, one array task per run, and submit them
    #[command(
        after_long_help = "Example:\n  vitbench slurm sweep.toml --out /shared/sweep --partition gpu --time 2:00:00 --gpus 1 --submit"
    )]
    Slurm(slurm::SlurmArgs),
    /// Time the models of a config or a results folder side by side, without training
    #[command(
        after_long_help = "Examples:\n  vitbench time configs/speed.toml\n  vitbench time configs/speed.toml --threads 1 --format csv\n  vitbench time results/quick"
    )]
    Time(time::TimeArgs),
    /// Measure this machine's A/A variation: how much the times of identical processes differ. `compare` uses it
    #[command(after_long_help = "Examples:\n  vitbench noise\n  vitbench noise --into results/quick")]
    Noise(noise::NoiseArgs),
    /// The former name of `noise`
    #[command(hide = true)]
    Calibrate(Renamed),
    /// Print the models of a config: parameters, tokens, multiply-accumulates
    #[command(
        after_long_help = "Examples:\n  vitbench summary vit_base\n  vitbench summary configs/quick.toml --set model.0.depth=6"
    )]
    Summary(summary::SummaryArgs),
    /// Rebuild tables, plots and report from the records of a results folder
    #[command(
        after_long_help = "Examples:\n  vitbench report results/quick --open\n  vitbench report results/monday results/tuesday --out results/both\n  vitbench report results/quick --format json"
    )]
    Report(report::ReportArgs),
    /// Compare two results folders or two models, and show what differs by more than chance
    #[command(
        after_long_help = "Examples:\n  vitbench compare results/before results/after\n  vitbench compare --rerun results/before results/after\n  vitbench compare results/quick:vit results/quick:linformer\n  vitbench compare results/before results/after --fail-if slower=5%,accuracy=-0.5"
    )]
    Compare(compare::CompareArgs),
    /// Repeat the plan of a results folder in a new folder, and say which runs come out the same
    #[command(
        after_long_help = "Examples:\n  vitbench reproduce results/published/quick\n  vitbench reproduce results/photos --data-dir ~/photos --out results/photos-again"
    )]
    Reproduce(reproduce::ReproduceArgs),
    /// Export the trained weights of a run for other programs
    #[command(after_long_help = "Example:\n  vitbench export results/quick/runs/RUN --layout huggingface")]
    Export(export::ExportArgs),
    /// Fetch, check and inspect datasets
    #[command(
        after_long_help = "Examples:\n  vitbench data fetch cifar10\n  vitbench data info my-photos\n  vitbench data verify my-photos"
    )]
    Data(data::DataArgs),
    /// Compare models with values that PyTorch recorded: logits, loss, gradients, optimiser steps
    #[command(after_long_help = "Example:\n  vitbench parity harness/tests/fixtures/*.safetensors")]
    Parity(parity::ParityArgs),
    /// List the devices that this build can use
    #[command(after_long_help = "Example:\n  vitbench devices --peak")]
    Devices(devices::DevicesArgs),
    /// Do one run. `run` starts its worker processes with this command
    #[command(hide = true)]
    Work(work::WorkArgs),
    /// One process of the timing stage. `run` and `time` start it with this command
    #[command(hide = true)]
    Blocks(blocks::BlocksArgs),
}

/// The arguments after a command's old name, which are ignored.
#[derive(Debug, Args)]
struct Renamed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<String>,
}

/// Parses the command line and runs the command. Returns the exit code for a process that met no error.
pub(crate) fn execute() -> Result<u8> {
    Cli::parse().execute()
}

impl Cli {
    fn execute(self) -> Result<u8> {
        match self.command {
            Command::Work(args) => return work::execute(&args),
            Command::Blocks(args) => return blocks::execute(&args),
            Command::Run(args) => run::execute(&args),
            Command::Plan(args) => plan::execute(&args),
            Command::Slurm(args) => slurm::execute(&args),
            Command::Time(args) => time::execute(&args),
            Command::Noise(args) => noise::execute(&args),
            Command::Calibrate(_) => {
                Err(Error::input("vitbench calibrate", "the command has a new name", "run `vitbench noise`"))
            }
            Command::Summary(args) => summary::execute(&args),
            Command::Report(args) => report::execute(&args),
            Command::Compare(args) => compare::execute(&args),
            Command::Reproduce(args) => reproduce::execute(args),
            Command::Export(args) => export::execute(&args),
            Command::Data(args) => data::execute(&args),
            Command::Parity(args) => parity::execute(&args),
            Command::Devices(args) => devices::execute(&args),
        }
        .map(|()| 0)
    }
}
