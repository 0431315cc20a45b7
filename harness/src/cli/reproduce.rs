//! `vitbench reproduce`: repeats the plan of a results folder, and says what came out the same.

use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::CellAlignment;

use super::run::{self, RunArgs};
use super::shared::{DataDirArgs, DeviceArgs, ThreadsArgs};
use crate::config;
use crate::error::{Error, Result};
use crate::report::{Repeated, Repetition, repetitions, short_name, terminal_table};
use crate::results::ResultsFolder;

/// Arguments of `vitbench reproduce`.
#[derive(Debug, Args)]
pub(super) struct ReproduceArgs {
    /// The results folder to repeat
    folder: PathBuf,
    /// Folder for the repetition [default: DIR-again]
    ///
    /// If it holds runs of the repetition, only the missing ones are done.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    data: DataDirArgs,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
}

/// Repeats a plan and compares the two run by run.
pub(super) fn execute(args: ReproduceArgs) -> Result<()> {
    let original = ResultsFolder::open(&args.folder)?;
    let plan_path = original.plan_path();
    let models = config::load(&plan_path, &[])?.model_names();
    let out = args.out.unwrap_or_else(|| beside(&args.folder));
    run::execute(&RunArgs::repeating(plan_path, out.clone(), args.data, args.device, args.threads))?;
    let compared = repetitions(&original, &ResultsFolder::open(&out)?, &models)?;
    if compared.is_empty() {
        let help = "compare folders with completed runs of the same models and seeds";
        return Err(Error::input(args.folder.display(), "it has no completed run that was repeated", help));
    }
    println!("\n{}", table(&compared));
    let mut causes: Vec<&String> = compared.iter().flat_map(|run| &run.causes).collect();
    causes.dedup();
    if !causes.is_empty() {
        println!("Possible causes of the differences:");
        causes.iter().for_each(|cause| println!("  {cause}"));
    }
    let count = |repeated: Repeated| compared.iter().filter(|run| run.repeated == repeated).count();
    let all = compared.len();
    match (count(Repeated::BitIdentical), count(Repeated::Different)) {
        (identical, _) if identical == all => println!("{all} of {all} runs are bit-identical"),
        (identical, 0) => {
            println!("{identical} of {all} runs are bit-identical, and no other lies outside its model's interval");
        }
        (_, different) => return Err(Error::NotReproduced { different, total: all }),
    }
    Ok(())
}

/// `results/quick-again` for `results/quick`.
fn beside(folder: &Path) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(format!("{name}-again"))
}

fn table(compared: &[Repetition]) -> String {
    let mut table = terminal_table(&["run", "test top-1\nthen, %", "test top-1\nnow, %", "result"]);
    for run in compared {
        let result = match run.repeated {
            Repeated::BitIdentical => "bit-identical",
            Repeated::WithinInterval => "within the interval",
            Repeated::Different => "outside the interval",
            Repeated::Unknown => "not comparable",
        };
        table.add_row([short_name(&run.run), run.before.clone(), run.now.clone(), result.to_owned()]);
    }
    for column in table.column_iter_mut().skip(1).take(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}
