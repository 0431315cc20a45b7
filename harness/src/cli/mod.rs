//! The command line: parsing and printing only, a file per command.

mod data;
mod devices;
mod export;
mod parity;
mod plan;
mod progress;
mod report;
mod run;
mod summary;
mod time;

use clap::{Parser, Subcommand};

use crate::error::Result;

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
    /// Time training step and inference of a config's models without training them
    Time(time::TimeArgs),
    /// Print the models of a config: parameters, tokens, multiply-accumulates
    Summary(summary::SummaryArgs),
    /// Make tables, plots and report again from the records of a results folder
    Report(report::ReportArgs),
    /// Write the trained weights of a run as a file for other programs
    Export(export::ExportArgs),
    /// Look at the images that models are trained on
    Data(data::DataArgs),
    /// Compare models with what PyTorch recorded of them: logits, loss, gradients, optimiser steps
    Parity(parity::ParityArgs),
    /// List the devices that this build can compute on
    Devices(devices::DevicesArgs),
}

/// The number of worker threads that was asked for, or one a core.
fn threads(given: Option<u16>) -> usize {
    given.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

impl Cli {
    /// Does what was asked for.
    pub fn execute(self) -> Result<()> {
        match self.command {
            Command::Run(args) => run::execute(&args),
            Command::Plan(args) => plan::execute(&args),
            Command::Time(args) => time::execute(&args),
            Command::Summary(args) => summary::execute(&args),
            Command::Report(args) => report::execute(&args),
            Command::Export(args) => export::execute(&args),
            Command::Data(args) => data::execute(&args),
            Command::Parity(args) => parity::execute(&args),
            Command::Devices(args) => {
                devices::execute(&args);
                Ok(())
            }
        }
    }
}
