//! `vitbench parity`: compares a model with the values that PyTorch recorded for it.

use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::{Cell, CellAlignment, ContentArrangement};

use super::shared::DeviceArgs;
use crate::device::DeviceName;
use crate::error::{Error, Result};
use crate::parity::{self, Comparison, Verdict};
use crate::report::terminal_table;

/// Arguments of `vitbench parity`.
#[derive(Debug, Args)]
pub(super) struct ParityArgs {
    /// Recorded PyTorch values of a model and a batch, as `harness/tests/fixtures/make_fixtures.py` writes them
    #[arg(required = true, value_name = "FILE")]
    fixtures: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
}

/// Prints a table per fixture and returns an error if a tensor disagrees.
pub(super) fn execute(args: &ParityArgs) -> Result<()> {
    let name = args.device.device.unwrap_or_default();
    let device = name.open()?;
    let (mut out, mut total) = (0, 0);
    for path in &args.fixtures {
        let comparisons = parity::compare(path, &device)?;
        print(path, name, &comparisons);
        out += count(&comparisons, Verdict::Disagrees);
        total += comparisons.len();
    }
    if out > 0 { Err(Error::Disagreement { out, total }) } else { Ok(()) }
}

fn print(path: &Path, device: DeviceName, comparisons: &[Comparison]) {
    let mut table = terminal_table(&["tensor", "shape", "error", "bound", "verdict"]);
    // Users search for tensor names, which can be longer than half the window, so they are not wrapped.
    table.set_content_arrangement(ContentArrangement::Disabled);
    for comparison in comparisons {
        let Comparison { tensor, shape, error, bound, .. } = comparison;
        let shape = shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        let number = |number: f64| Cell::new(format!("{number:.1e}")).set_alignment(CellAlignment::Right);
        let verdict = match comparison.verdict() {
            Verdict::Agrees => "agrees",
            Verdict::Rounding => "rounding",
            Verdict::Disagrees => "DISAGREES",
        };
        table.add_row([Cell::new(tensor), Cell::new(shape), number(*error), number(*bound), Cell::new(verdict)]);
    }
    println!("{} on {}", path.display(), device.as_str());
    println!("{}", table.trim_fmt());
    let agreeing = count(comparisons, Verdict::Agrees);
    println!("{agreeing} of {} agree; errors are relative to the norm of PyTorch's tensor.", comparisons.len());
    let rounding = comparisons.iter().filter(|comparison| comparison.verdict() == Verdict::Rounding);
    for Comparison { tensor, rounding, .. } in rounding {
        println!(
            "{tensor}: changing the weights' last bits moves it by {rounding:.1e}; 32-bit floats cannot resolve less here."
        );
    }
    println!();
}

fn count(comparisons: &[Comparison], verdict: Verdict) -> usize {
    comparisons.iter().filter(|comparison| comparison.verdict() == verdict).count()
}
