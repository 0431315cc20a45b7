mod export;
mod table;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::shared::SetArgs;
use crate::architecture::{ArchitectureConfig, PUBLISHED};
use crate::config::{self, TimedModel};
use crate::error::{Error, Result};

/// Arguments of `vitbench summary`.
#[derive(Debug, Args)]
pub(super) struct SummaryArgs {
    /// A config, or a published model: `vit_base`, `linformer_published`, `conv_vit_published`
    #[arg(value_name = "CONFIG or MODEL")]
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
    if let Some((_, published)) = PUBLISHED.iter().find(|(known, _)| *known == name) {
        if let Some(assignment) = args.set.assignments.first() {
            let problem = format!("`{name}` is a published model, not a config");
            return Err(Error::input(format!("--set {assignment}"), problem, "give a config to change values of"));
        }
        let (architecture, image_size, classes) = published();
        return Ok(vec![Model { name, architecture, image_size, classes }]);
    }
    if !args.source.exists() {
        let published: Vec<&str> = PUBLISHED.iter().map(|(name, _)| *name).collect();
        let help = format!("give the path of a config, or one of {}", published.join(", "));
        return Err(Error::input(name, "there is no such config and no published model of that name", help));
    }
    let plan = config::load_timing(&args.source, &args.set.assignments)?;
    let model = |TimedModel { model, .. }| {
        let (image_size, classes) = model.architecture.images();
        Model { name: model.name, architecture: model.architecture, image_size, classes }
    };
    Ok(plan.models.into_iter().map(model).collect())
}
