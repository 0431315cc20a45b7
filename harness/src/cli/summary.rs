use std::path::PathBuf;

use clap::Args;
use comfy_table::{Cell, CellAlignment};

use crate::config;
use crate::error::Result;
use crate::report::terminal_table;
use crate::train::model_size;

/// Arguments of `vitbench summary`.
#[derive(Debug, Args)]
pub(super) struct SummaryArgs {
    /// The config whose models to print
    config: PathBuf,
    /// Change a value of the config, such as `data.image_size=64`; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
}

/// Prints a row per model. The number of classes is the dataset's, which is known without its files for all but image folders.
pub(super) fn execute(args: &SummaryArgs) -> Result<()> {
    let plan = config::load(&args.config, &args.assignments)?;
    let classes = plan.data.dataset.classes().unwrap_or(2);
    plan.check_models(&args.config.display().to_string(), classes)?;
    let mut table = terminal_table(&["model", "architecture", "params", "module-wise", "tokens", "MMACs"]);
    for model in &plan.models {
        let size = model_size(&model.architecture.for_images(plan.data.image_size, classes));
        let numbers = [
            thousands(size.params),
            thousands(size.params_module_wise),
            size.tokens.to_string(),
            format!("{:.2}", size.macs() as f64 / 1e6),
        ];
        let mut row = vec![Cell::new(&model.name), Cell::new(model.architecture.kind())];
        row.extend(numbers.into_iter().map(|number| Cell::new(number).set_alignment(CellAlignment::Right)));
        table.add_row(row);
    }
    println!("{}", table.trim_fmt());
    println!("{} px, {classes} classes. 1 MAC = 2 FLOPs; one image's forward pass, attention included.", plan.data.image_size);
    Ok(())
}

/// 2851842 as 2,851,842.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap_or_default()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    #[test]
    fn thousands_are_set_apart() {
        assert_eq!([0, 999, 1000, 2_851_842].map(super::thousands), ["0", "999", "1,000", "2,851,842"]);
    }
}
