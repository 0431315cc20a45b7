//! `vitbench summary`: the layers of models.

mod export;
mod table;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::shared::SetArgs;
use crate::architecture::{self, ArchitectureConfig};
use crate::config::{self, TimedModel};
use crate::error::{Error, Result};

/// Arguments of `vitbench summary`.
#[derive(Debug, Args)]
pub(super) struct SummaryArgs {
    /// A config, or a preset such as `vit_base`
    #[arg(value_name = "CONFIG or PRESET")]
    source: PathBuf,
    #[command(flatten)]
    set: SetArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

/// A model to print, from a config or by its name.
struct Model {
    name: String,
    architecture: ArchitectureConfig,
    image_size: usize,
    classes: usize,
}

/// Prints the layers of every model: output shapes, parameters, multiply-accumulates, and their sums.
pub(super) fn execute(args: &SummaryArgs) -> Result<()> {
    let models = models(args)?;
    match args.format {
        Format::Table => models.iter().for_each(|model| println!("{}", table::text(model))),
        Format::Csv => print!("{}", export::csv(&models)),
        Format::Json => println!("{}", export::json(&models)),
    }
    Ok(())
}

fn models(args: &SummaryArgs) -> Result<Vec<Model>> {
    let name = args.source.display().to_string();
    if let Some(architecture) = architecture::preset(&name) {
        if let Some(assignment) = args.set.assignments.first() {
            let problem = format!("`{name}` is a preset, not a config");
            return Err(Error::input(format!("--set {assignment}"), problem, "give a config to change values of"));
        }
        let (image_size, classes) = architecture.images();
        return Ok(vec![Model { name, architecture, image_size, classes }]);
    }
    if !args.source.exists() {
        let help = format!("give the path of a config, or one of {}", architecture::preset_names().join(", "));
        return Err(Error::input(name, "there is no such config and no preset of that name", help));
    }
    let plan = config::load_timing(&args.source, &args.set.assignments)?;
    let model = |TimedModel { model, .. }| {
        let (image_size, classes) = model.architecture.images();
        Model { name: model.name, architecture: model.architecture, image_size, classes }
    };
    Ok(plan.models.into_iter().map(model).collect())
}
