//! `vitbench data preview`: a sheet of training images before and after augmentation.

use std::path::PathBuf;

use clap::Args;
use image::RgbImage;

use super::super::shared::{DataDirArgs, SetArgs};
use crate::config::{self, Plan};
use crate::data::{self, BatchReader, Dataset};
use crate::error::{Error, Result};

/// Arguments of `vitbench data preview`.
#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// The config, such as `configs/quick.toml`
    config: PathBuf,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    data: DataDirArgs,
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "preview.png")]
    out: PathBuf,
    /// Number of images
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    images: u16,
    /// Number of epochs to show for each image
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..=100))]
    epochs: u16,
}

/// Writes the sheet.
pub(super) fn execute(args: &PreviewArgs) -> Result<()> {
    let plan = config::load(&args.config, &args.set.assignments)?;
    let dataset = data::load(&plan.data, args.data.path())?;
    let sheet = sheet(&plan, &dataset, args.images.into(), args.epochs.into());
    sheet.save_with_format(&args.out, image::ImageFormat::Png).map_err(|error| match error {
        image::ImageError::IoError(source) => Error::io("write", &args.out)(source),
        error => Error::input(args.out.display(), error, "name a file that can be written"),
    })?;
    println!(
        "{}: one image per row; the first column shows it as it is, the others as training sees it, epoch by epoch",
        args.out.display()
    );
    if plan.data.augment.mixup.or(plan.data.augment.cutmix).is_some() {
        println!(
            "Mixing treats the sheet as one batch: every image is mixed with the one above it, the first with the last."
        );
    }
    if plan.sweep.is_some() {
        println!("Keys that `[sweep]` varies keep their values from the rest of the config.");
    }
    Ok(())
}

/// Pixels between the images of a sheet.
const GAP: usize = 2;

/// Draws one row for each of `count` images, spread evenly over the dataset. In every epoch, they are read as the first batch.
fn sheet(plan: &Plan, Dataset { train: images, classes, .. }: &Dataset, count: usize, epochs: usize) -> RgbImage {
    let (size, count) = (images.size(), count.min(images.len()));
    let seed = plan.seeds.first().copied().unwrap_or_default();
    let reader = BatchReader::training(images, &plan.data, seed);
    let cell = size + GAP;
    let side = |cells: usize| (cells * cell - GAP) as u32;
    let mut sheet = RgbImage::from_pixel(side(epochs + 1), side(count), image::Rgb([255; 3]));
    let mut draw = |row: usize, column: usize, pixel: &dyn Fn(usize, usize) -> [u8; 3]| {
        for (y, x) in (0..size).flat_map(|y| (0..size).map(move |x| (y, x))) {
            sheet.put_pixel((column * cell + x) as u32, (row * cell + y) as u32, image::Rgb(pixel(y, x)));
        }
    };
    let batch: Vec<u32> = (0..count).map(|row| (row * images.len() / count) as u32).collect();
    for (row, index) in batch.iter().enumerate() {
        let pixels = images.pixels(*index as usize);
        draw(row, 0, &|y, x| std::array::from_fn(|channel| pixels[(y * size + x) * 3 + channel]));
    }
    for epoch in 0..epochs {
        let samples = reader.read(&batch, 0..count, [epoch as u64, 0], classes.len());
        for (row, values) in samples.values.chunks_exact(reader.values_per_image()).enumerate() {
            draw(row, epoch + 1, &|y, x| {
                std::array::from_fn(|channel| {
                    let value = values[(channel * size + y) * size + x];
                    let brightness = value * plan.data.std[channel] + plan.data.mean[channel];
                    (255.0 * brightness).round().clamp(0.0, 255.0) as u8
                })
            });
        }
    }
    sheet
}
