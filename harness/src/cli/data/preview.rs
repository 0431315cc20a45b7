use std::path::PathBuf;

use clap::Args;
use image::RgbImage;

use crate::config::{self, Plan};
use crate::data::{self, BatchReader, Dataset};
use crate::error::{Error, Result};

/// Arguments of `vitbench data preview`.
#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    /// The config, such as `configs/quick.toml`
    config: PathBuf,
    /// Change a value of the config, such as `data.augment.horizontal_flip=false`; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    /// Where datasets are, besides $VITBENCH_DATA and the cache folder
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the sheet goes
    #[arg(long, value_name = "FILE", default_value = "preview.png")]
    out: PathBuf,
    /// How many images
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    images: u16,
    /// How many epochs of each
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u16).range(1..=100))]
    epochs: u16,
}

/// Writes the sheet.
pub(super) fn execute(args: &PreviewArgs) -> Result<()> {
    let plan = config::load(&args.config, &args.assignments)?;
    let dataset = data::load(&plan.data, args.data_dir.as_deref())?;
    let sheet = sheet(&plan, &dataset, args.images.into(), args.epochs.into());
    sheet.save_with_format(&args.out, image::ImageFormat::Png).map_err(|error| match error {
        image::ImageError::IoError(source) => Error::io("write", &args.out)(source),
        error => Error::input(args.out.display(), error, "name a file that can be written"),
    })?;
    println!("{}: images in rows; the first column as they are, the others as epochs see them", args.out.display());
    if plan.data.augment.mixup.or(plan.data.augment.cutmix).is_some() {
        println!(
            "Each epoch mixes the images of the sheet as one batch: every image with the one above it, the first with the last."
        );
    }
    if plan.sweep.is_some() {
        println!("What `[sweep]` varies is as the rest of the config has it.");
    }
    Ok(())
}

/// Pixels between the images of a sheet.
const GAP: usize = 2;

/// A row for each of `count` images, spread over the dataset. They are read as one batch, the first of every epoch.
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
