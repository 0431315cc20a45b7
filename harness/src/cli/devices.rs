//! `vitbench devices`: the devices that this build can use, and how fast they multiply matrices.

use burn::tensor::Device;
use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use layers::{Precision, ops};
use serde::Serialize;

use super::shared::{ThreadsArgs, csv};
use crate::device::{self, DeviceName};
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::measure::{GO_ON, Machine, peak_gflop_per_s};
use crate::report::{magnitude, terminal_table};

/// Arguments of `vitbench devices`.
#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Also measure each device's peak rate of matrix products, which takes a few seconds per device and precision
    #[arg(long)]
    peak: bool,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Print a table, or CSV
    #[arg(long, value_enum, default_value_t = Format::Table, requires = "peak")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    /// A row for each device and precision
    Csv,
}

/// A row of `vitbench devices --peak --format csv`.
#[derive(Serialize)]
struct Peak {
    device: &'static str,
    precision: &'static str,
    threads: usize,
    /// In 1e9 floating-point operations per second.
    peak_gflop_per_s: f64,
    /// Whether the CPU lacks an instruction for the precision.
    emulated: bool,
}

/// Prints every device and whether it works here.
pub(super) fn execute(args: &DevicesArgs) -> Result<()> {
    let threads = args.threads.limit_global();
    let opened: Vec<(DeviceName, Result<Device>)> = device::ALL.iter().map(|name| (*name, name.open())).collect();
    let peaks = if args.peak { peaks(&opened, threads)? } else { Vec::new() };
    if args.format == Format::Csv {
        print!("{}", csv(&peaks));
        return Ok(());
    }
    let mut header = vec!["device", "here", "remarks"];
    if args.peak {
        header.extend(["f32\nGFLOP/s", "bf16\nGFLOP/s"]);
    }
    let mut table = terminal_table(&header);
    for (name, opened) in &opened {
        let (here, remark) = match opened {
            Ok(_) => ("yes", name.remark().to_owned()),
            Err(Error::Input { problem, .. }) => ("no", problem.clone()),
            Err(error) => ("no", error.to_string()),
        };
        let mut row = vec![name.as_str().to_owned(), here.to_owned(), remark];
        if args.peak {
            row.extend([Precision::F32, Precision::Bf16].map(|precision| {
                let is_it = |peak: &&Peak| (peak.device, peak.precision) == (name.as_str(), precision.name());
                peaks.iter().find(is_it).map_or_else(String::new, |peak| magnitude(peak.peak_gflop_per_s))
            }));
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{}", table.trim_fmt());
    if args.peak {
        println!("GFLOP/s: 1e9 floating-point operations per second, in products of square matrices");
    }
    if !ops::bf16_is_native() {
        println!(
            "This CPU has no instruction for bf16 (AVX512-BF16), so products in bf16 are emulated, which is slower than f32."
        );
    }
    Ok(())
}

/// The peak rates of the devices that work, in every precision that they have.
fn peaks(opened: &[(DeviceName, Result<Device>)], threads: usize) -> Result<Vec<Peak>> {
    let machine = Machine::this()?;
    // Other processes pause their training; if one is timing, this waits until it is done.
    let _alone = machine.alone(&GO_ON)?;
    let mut peaks = Vec::new();
    for (name, device) in opened {
        let Ok(device) = device else { continue };
        for precision in [Precision::F32, Precision::Bf16] {
            if name.check_precision(precision).is_ok() {
                peaks.push(Peak {
                    device: name.as_str(),
                    precision: precision.name(),
                    threads,
                    peak_gflop_per_s: peak_gflop_per_s(&Lanes::on(*name, threads), device, precision),
                    emulated: precision == Precision::Bf16 && !ops::bf16_is_native(),
                });
            }
        }
    }
    Ok(peaks)
}
