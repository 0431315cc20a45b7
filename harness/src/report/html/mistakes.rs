//! The mistakes of models: which classes they confuse, how well calibrated they are, and on which images they disagree.

use std::collections::BTreeMap;
use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits, RgbImage};

use super::embed::png_uri;
use super::inline::shown_name;
use crate::error::{Error, Result};
use crate::report::figures::ModelFigures;
use crate::report::format::{counted, magnitude, or_none, percent};
use crate::report::material::Material;
use crate::report::plots::curves::Spot;
use crate::report::plots::data::Shown;
use crate::results::{KeptImage, Predictions, Run};
use crate::stats::{calibration_error, confidence_bins, mean};

/// Number of models whose confusions, reliability and images are shown: the most accurate.
const SHOWN: usize = 8;

/// Maximum number of classes for a confusion matrix.
const MATRIX_CLASSES: usize = 20;

/// Number of images shown for each model, and for all together.
const IMAGES: usize = 8;

/// Maximum width and height of a run's `images.png`, in pixels: more than twice what runs write.
const MAX_SHEET: u32 = 4096;

/// Which classes one model confuses.
pub(super) struct Confusion {
    pub(super) index: usize,
    pub(super) name: String,
    /// The classes' names; empty if there are too many.
    pub(super) classes: Vec<String>,
    /// One row per true class, one column per predicted class; empty if there are too many classes.
    pub(super) matrix: Vec<Vec<Fraction>>,
    /// The most common mistakes: true class, predicted class, and how often.
    pub(super) commonest: Vec<(String, String, String)>,
}

/// A fraction of the images of a class.
pub(super) struct Fraction {
    /// In percent, rounded.
    pub(super) percent: u32,
    pub(super) is_right: bool,
    /// Shown under the pointer.
    pub(super) hint: String,
}

/// How well a model's confidence matches its accuracy.
pub(super) struct Calibration {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) error: String,
    pub(super) confidence: String,
    pub(super) accuracy: String,
    pub(super) loss: String,
}

/// A picture with what models predicted for it.
pub(super) struct Picture {
    pub(super) uri: String,
    /// Its true class.
    pub(super) label: String,
    /// What was predicted instead, and by which model.
    pub(super) verdicts: Vec<String>,
    /// Its name in the dataset.
    pub(super) image: String,
}

/// The most confident mistakes of one model.
pub(super) struct Surest {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) pictures: Vec<Picture>,
}

/// The models that this part of the page covers, each with its index among all models.
pub(super) fn chosen<'a>(material: &'a Material<'a>, models: &[Shown<'a>]) -> Vec<(usize, Shown<'a>)> {
    let has_predictions =
        |model: &ModelFigures<'_>| model.runs.done().any(|(run, _)| material.predictions.of(run).is_some());
    let mut ranked: Vec<(usize, Shown<'a>)> =
        models.iter().copied().enumerate().filter(|(_, (model, _))| has_predictions(model)).collect();
    let top1 = |model: &ModelFigures<'_>| model.top1.as_ref().map_or(f64::NEG_INFINITY, |top1| top1.value);
    ranked.sort_by(|(_, (a, _)), (_, (b, _))| top1(b).total_cmp(&top1(a)));
    ranked.truncate(SHOWN);
    ranked
}

/// A note that this part of the page covers only some of the models, if that is so.
pub(super) fn left_out(models: usize, chosen: usize) -> Option<String> {
    (chosen < models).then(|| {
        format!(
            "This section covers the {chosen} most accurate models with recorded predictions, of {}.",
            counted(models, "model")
        )
    })
}

fn predictions_of<'a>(material: &'a Material<'a>, model: &ModelFigures<'a>) -> Vec<(&'a Run, &'a Predictions)> {
    model.runs.done().filter_map(|(run, _)| Some((run, material.predictions.of(run)?))).collect()
}

/// The name of a class, or its number if the run did not record names.
fn class_name(run: &Run, class: usize) -> String {
    let names = run.done().map(|record| record.class_names.as_slice()).unwrap_or_default();
    names.get(class).map_or_else(|| format!("class {class}"), |name| shown_name(name))
}

/// Which classes a model confuses, all seeds together.
pub(super) fn confusion(material: &Material<'_>, index: usize, model: &ModelFigures<'_>) -> Option<Confusion> {
    const COMMONEST: usize = 5;
    let by_run = predictions_of(material, model);
    let (run, _) = *by_run.first()?;
    let classes = run.done()?.classes;
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut totals: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, predictions) in &by_run {
        for (label, predicted) in predictions.labels.iter().zip(&predictions.predicted) {
            *counts.entry((*label as usize, *predicted as usize)).or_default() += 1;
            *totals.entry(*label as usize).or_default() += 1;
        }
    }
    let fraction = |label: usize, predicted: usize| {
        let count = counts.get(&(label, predicted)).copied().unwrap_or_default();
        let total = totals.get(&label).copied().unwrap_or_default();
        Fraction {
            percent: (100.0 * count as f64 / total.max(1) as f64).round() as u32,
            is_right: label == predicted,
            hint: format!("{} taken for {}: {count} of {total}", class_name(run, label), class_name(run, predicted)),
        }
    };
    let mut mistakes: Vec<_> = counts.iter().filter(|((label, predicted), _)| label != predicted).collect();
    mistakes.sort_by_key(|(key, count)| (std::cmp::Reverse(**count), **key));
    let commonest = mistakes.into_iter().take(COMMONEST).map(|((label, predicted), count)| {
        let of_class = percent(*count as f64 / totals[label] as f64);
        (class_name(run, *label), class_name(run, *predicted), format!("{of_class} %"))
    });
    let commonest = commonest.collect();
    // Nobody reads a matrix of too many classes; the most common mistakes are listed anyway.
    let shown = if classes <= MATRIX_CLASSES { classes } else { 0 };
    let row = |label| (0..shown).map(|predicted| fraction(label, predicted)).collect();
    let (names, matrix) = ((0..shown).map(|class| class_name(run, class)).collect(), (0..shown).map(row).collect());
    Some(Confusion { index, name: shown_name(model.runs.model), classes: names, matrix, commonest })
}

/// How well a model's confidence matches its accuracy: a row of the table, and the spots of its curve.
pub(super) fn calibration(
    material: &Material<'_>,
    index: usize,
    model: &ModelFigures<'_>,
) -> Option<(Calibration, Vec<Spot>)> {
    const BINS: usize = 15;
    let by_run = predictions_of(material, model);
    let pairs = |predictions: &Predictions| -> Vec<(f64, bool)> {
        predictions.confidence.iter().map(|confidence| f64::from(*confidence)).zip(predictions.correct()).collect()
    };
    let all: Vec<(f64, bool)> = by_run.iter().flat_map(|(_, predictions)| pairs(predictions)).collect();
    let errors: Vec<f64> = by_run
        .iter()
        .filter_map(|(_, predictions)| calibration_error(&confidence_bins(pairs(predictions), BINS)))
        .collect();
    let losses: Vec<f64> = model.runs.done().filter_map(|(_, record)| record.test_loss).collect();
    let confidence = mean(&all.iter().map(|(confidence, _)| *confidence).collect::<Vec<_>>())?;
    let row = Calibration {
        index,
        name: shown_name(model.runs.model),
        error: or_none(mean(&errors), |error| format!("{:.1}", 100.0 * error)),
        confidence: percent(confidence),
        accuracy: or_none(model.top1.as_ref(), |top1| percent(top1.value)),
        loss: or_none(mean(&losses), magnitude),
    };
    let spot = |bin: crate::stats::ConfidenceBin| {
        let right = 100.0 * bin.accuracy;
        Spot { x: 100.0 * bin.confidence, mean: right, low: right, high: right }
    };
    // A few images say nothing about how often such predictions are correct.
    let bins = confidence_bins(all.iter().copied(), BINS).into_iter().filter(|bin| bin.count >= 10);
    Some((row, bins.map(spot).collect()))
}

/// The most confident mistakes of the model's first run, if it kept pictures.
pub(super) fn surest(index: usize, model: &ModelFigures<'_>) -> Result<Option<Surest>> {
    let Some((run, _)) = model.runs.done().next() else { return Ok(None) };
    let Some(sheet) = Sheet::read(run)? else { return Ok(None) };
    let predictions = run.folder.read_predictions()?.unwrap_or_default();
    let mut pictures = Vec::new();
    for (column, kept) in sheet.kept.iter().enumerate().take(IMAGES) {
        let Some(prediction) = predictions.get(kept.position) else { continue };
        let guesses = prediction.top5.0.iter().zip(&prediction.top5_probabilities.0).take(2);
        let verdicts = guesses
            .map(|(class, probability)| format!("{} {} %", class_name(run, *class), percent(f64::from(*probability))));
        pictures.push(Picture {
            uri: sheet.picture(column)?,
            label: class_name(run, prediction.label),
            verdicts: verdicts.collect(),
            image: kept.image.clone(),
        });
    }
    Ok((!pictures.is_empty()).then(|| Surest { index, name: shown_name(model.runs.model), pictures }))
}

/// Of all kept images, which are the most confident mistakes of runs, those on which the models' first runs disagree most.
pub(super) fn disagreed(material: &Material<'_>, models: &[(usize, Shown<'_>)]) -> Result<Vec<Picture>> {
    let first = |(_, (model, _)): &(usize, Shown<'_>)| -> Option<(String, Run, Predictions)> {
        let (run, predictions) = predictions_of(material, model).into_iter().next()?;
        Some((shown_name(model.runs.model), run.clone(), predictions.clone()))
    };
    let voters: Vec<_> = models.iter().filter_map(first).collect();
    let Some((_, _, reference)) = voters.first() else { return Ok(Vec::new()) };
    if voters.len() < 2 || voters.iter().any(|(_, _, predictions)| predictions.images != reference.images) {
        return Ok(Vec::new());
    }
    let mut sheets = Vec::new();
    for (_, run, _) in &voters {
        sheets.extend(Sheet::read(run)?);
    }
    // An image that several runs kept is one image.
    let mut places: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (sheet, of_run) in sheets.iter().enumerate() {
        for (column, kept) in of_run.kept.iter().enumerate().filter(|(_, kept)| kept.position < reference.len()) {
            places.entry(kept.position).or_insert((sheet, column));
        }
    }
    let agreement = |position: usize| {
        let mut votes: BTreeMap<u32, usize> = BTreeMap::new();
        voters.iter().for_each(|(_, _, predictions)| *votes.entry(predictions.predicted[position]).or_default() += 1);
        votes.into_values().max().unwrap_or_default()
    };
    let mut ranked: Vec<(usize, (usize, usize))> = places.into_iter().collect();
    ranked.sort_by_key(|(position, _)| (agreement(*position), *position));
    let picture = |(position, (sheet, column)): (usize, (usize, usize))| {
        let verdict = |(name, run, predictions): &(String, Run, Predictions)| {
            format!("{name}: {}", class_name(run, predictions.predicted[position] as usize))
        };
        Ok(Picture {
            uri: sheets[sheet].picture(column)?,
            label: class_name(&voters[0].1, reference.labels[position] as usize),
            verdicts: voters.iter().map(verdict).collect(),
            image: sheets[sheet].kept[column].image.clone(),
        })
    };
    let disagreed = ranked.into_iter().filter(|(position, _)| agreement(*position) < voters.len());
    disagreed.take(IMAGES).map(picture).collect()
}

/// The pictures that a run kept.
struct Sheet {
    kept: Vec<KeptImage>,
    pixels: RgbImage,
    path: String,
}

impl Sheet {
    fn read(run: &Run) -> Result<Option<Self>> {
        let Some((kept, png)) = run.folder.read_images()? else { return Ok(None) };
        let path = run.folder.path().join("images.png").display().to_string();
        let wrong = |problem: String| {
            Error::input(&path, problem, "delete it and `images.csv`; the report is then made without pictures")
        };
        let mut reader = ImageReader::with_format(Cursor::new(&png), ImageFormat::Png);
        let mut limits = Limits::default();
        (limits.max_image_width, limits.max_image_height) = (Some(MAX_SHEET), Some(MAX_SHEET));
        limits.max_alloc = Some(u64::from(MAX_SHEET) * 1024);
        reader.limits(limits);
        let pixels = reader.decode().map_err(|error| wrong(error.to_string()))?.into_rgb8();
        if u64::from(pixels.width()) != u64::from(pixels.height()) * kept.len() as u64 {
            return Err(wrong(format!("it does not contain the {} pictures that `images.csv` lists", kept.len())));
        }
        Ok(Some(Self { kept, pixels, path }))
    }

    /// One of the pictures as a `data:` URI.
    fn picture(&self, column: usize) -> Result<String> {
        let size = self.pixels.height();
        let picture = image::imageops::crop_imm(&self.pixels, column as u32 * size, 0, size, size).to_image();
        let mut png = Cursor::new(Vec::new());
        picture
            .write_to(&mut png, ImageFormat::Png)
            .map_err(|error| Error::io("encode a picture of", self.path.as_ref())(std::io::Error::other(error)))?;
        Ok(png_uri(png.get_ref()))
    }
}
