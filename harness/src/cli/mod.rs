//! The command line: parsing and printing only, a file per command.

mod compare;
mod config_args;
mod data;
mod devices;
mod export;
mod noise;
mod parity;
mod plan;
mod progress;
mod report;
mod run;
mod slurm;
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
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train and time the models of a config, then write tables, plots and a report
    Run(run::RunArgs),
    /// List the runs of a config, with the time and memory that each will take, without training
    Plan(plan::PlanArgs),
    /// Write the scripts that do the runs of a config on a Slurm cluster, one array task each, and submit them
    Slurm(slurm::SlurmArgs),
    /// Time training step and inference of a config's models without training them
    Time(time::TimeArgs),
    /// Measure this machine's A/A variation: how much the times of identical runs differ. Verdicts on speed use it
    Noise(noise::NoiseArgs),
    /// The name that `noise` had
    #[command(hide = true)]
    Calibrate(Renamed),
    /// Print the models of a config: parameters, tokens, multiply-accumulates
    Summary(summary::SummaryArgs),
    /// Make tables, plots and report again from the records of a results folder
    Report(report::ReportArgs),
    /// Hold two results, or two models, against each other: what differs by more than chance
    Compare(compare::CompareArgs),
    /// Write the trained weights of a run as a file for other programs
    Export(export::ExportArgs),
    /// Look at the images that models are trained on
    Data(data::DataArgs),
    /// Compare models with what PyTorch recorded of them: logits, loss, gradients, optimiser steps
    Parity(parity::ParityArgs),
    /// List the devices that this build can compute on
    Devices(devices::DevicesArgs),
    /// Do one run: what `run` asks of the processes that it starts
    #[command(hide = true)]
    Work(work::WorkArgs),
}

/// Whatever stands behind the old name of a command.
#[derive(Debug, Args)]
struct Renamed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<String>,
}

/// The number of worker threads that was asked for, or one a core.
fn threads(given: Option<u16>) -> usize {
    given.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

/// Has what is not done in lanes, such as decoding images, done by as many threads as well.
fn limit_global_threads(threads: usize) {
    // Ignored if there is a pool already, as in a test that runs plans one after another.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

impl Cli {
    /// Does what was asked for, and answers the exit code of a process that met no error.
    pub fn execute(self) -> Result<u8> {
        match self.command {
            Command::Work(args) => return work::execute(&args),
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
            Command::Export(args) => export::execute(&args),
            Command::Data(args) => data::execute(&args),
            Command::Parity(args) => parity::execute(&args),
            Command::Devices(args) => devices::execute(&args),
        }
        .map(|()| 0)
    }
}
