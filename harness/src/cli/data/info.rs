//! `vitbench data info`: what a dataset contains, and which of its images occur twice.

use clap::Args;

use super::super::shared::DataDirArgs;
use crate::data::{self, Info};
use crate::error::Result;

/// Arguments of `vitbench data info`.
#[derive(Debug, Args)]
pub(super) struct InfoArgs {
    /// The name of a dataset, such as `cifar10`, or a folder
    dataset: String,
    #[command(flatten)]
    data: DataDirArgs,
}

/// How many pairs of identical images are printed at most.
const SHOWN: usize = 5;

/// How many classes a dataset may have for each to be named and counted.
const COUNTED: usize = 20;

/// Prints what a dataset contains.
pub(super) fn execute(args: &InfoArgs) -> Result<()> {
    let info = data::inspect(&args.dataset, args.data.path())?;
    print_splits(&info);
    if let Some([[narrow, width, wide], [low, height, high]]) = info.sizes {
        println!("width   {narrow} to {wide} pixels, median {width}");
        println!("height  {low} to {high} pixels, median {height}");
    }
    for (kind, count) in &info.kinds {
        println!("kind    {kind}: {count}");
    }
    if info.turned > 0 {
        println!("        {} of them have an EXIF orientation, which is applied when they are read", info.turned);
    }
    if info.unreadable > 0 {
        println!("bad     {} files cannot be read; `vitbench data verify` lists them", info.unreadable);
    }
    println!("copies  {} images occur more than once", info.copies);
    if info.splits.len() > 1 {
        println!("leaks   {} test images are also training images", info.leaks.len());
    }
    for (test, train) in info.leaks.iter().take(SHOWN) {
        println!("        {test} = {train}");
    }
    println!("fingerprint {}", info.fingerprint);
    Ok(())
}

fn print_splits(info: &Info) {
    println!("classes {}: {}", info.classes.len(), shortened(&info.classes));
    for (split, counts) in &info.splits {
        let total: usize = counts.iter().sum();
        let least = counts.iter().min().copied().unwrap_or_default();
        let greatest = counts.iter().max().copied().unwrap_or_default();
        println!("{split:<7} {total} images, {least} to {greatest} per class");
        if info.classes.len() <= COUNTED && least != greatest {
            for (class, count) in info.classes.iter().zip(counts) {
                println!("        {class}: {count}");
            }
        }
    }
}

fn shortened(classes: &[String]) -> String {
    let more = if classes.len() > COUNTED { ", ..." } else { "" };
    format!("{}{more}", classes[..classes.len().min(COUNTED)].join(", "))
}
