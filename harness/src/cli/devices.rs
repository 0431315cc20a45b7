//! `vitbench devices`: the devices that this build can use, and how fast they multiply matrices.

use clap::Args;

use super::shared::ThreadsArgs;
use crate::device;
use crate::error::{Error, Result};
use crate::lanes::Lanes;
use crate::measure::{GO_ON, Machine, peak_gflop_per_s};
use crate::report::{magnitude, terminal_table};

/// Arguments of `vitbench devices`.
#[derive(Debug, Args)]
pub(super) struct DevicesArgs {
    /// Also measure each device's peak rate of matrix products in f32, which takes a few seconds per device
    #[arg(long)]
    peak: bool,
    #[command(flatten)]
    threads: ThreadsArgs,
}

/// Prints every device and whether it works here.
pub(super) fn execute(args: &DevicesArgs) -> Result<()> {
    let mut header = vec!["device", "here", "remarks"];
    if args.peak {
        header.push("GFLOP/s");
    }
    let threads = args.threads.limit_global();
    let machine = Machine::this()?;
    // Other processes pause their training; if one is timing, this waits until it is done.
    let _alone = if args.peak { machine.alone(&GO_ON)? } else { None };
    let mut table = terminal_table(&header);
    for name in device::ALL {
        let opened = name.open();
        let (here, remark) = match &opened {
            Ok(_) => ("yes", name.remark().to_owned()),
            Err(Error::Input { problem, .. }) => ("no", problem.clone()),
            Err(error) => ("no", error.to_string()),
        };
        let mut row = vec![name.as_str().to_owned(), here.to_owned(), remark];
        if let (true, Ok(device)) = (args.peak, opened) {
            row.push(magnitude(peak_gflop_per_s(&Lanes::on(name, threads), &device)));
        }
        table.add_row(row);
    }
    println!("{}", table.trim_fmt());
    if args.peak {
        println!("GFLOP/s: 1e9 floating-point operations per second, in products of square matrices in f32");
    }
    Ok(())
}
