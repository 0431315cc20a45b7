//! A run's predictions for all test images, read fast and kept small: a sweep has millions of them.

use std::path::Path;

use super::files::{check_schema, csv_error, headers, read_csv_text, unreadable};
use super::records::SCHEMA;
use crate::error::Result;

/// The predictions of a run, in the order of the test images.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Digest of the images' names and classes, in order: predictions with equal digests are for the same images.
    pub images: blake3::Hash,
    /// The class of every image.
    pub labels: Vec<u32>,
    /// The likeliest class of every image.
    pub predicted: Vec<u32>,
    /// Its probability.
    pub confidence: Vec<f32>,
}

impl Predictions {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether the prediction for each image is correct.
    pub fn correct(&self) -> impl Iterator<Item = bool> {
        self.labels.iter().zip(&self.predicted).map(|(label, predicted)| label == predicted)
    }
}

/// The columns that are read.
const COLUMNS: [&str; 4] = ["image", "label", "predicted", "predicted_probability"];

/// Reads `predictions.csv`; `None` if there is no such file.
pub(super) fn read(path: &Path) -> Result<Option<Predictions>> {
    let Some(text) = read_csv_text(path)? else { return Ok(None) };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let headers = headers(path, &mut reader)?;
    let mut columns = [0; COLUMNS.len()];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        let found = headers.iter().position(|header| header == name);
        *column = found.ok_or_else(|| unreadable(path, Some(1), format!("there is no column `{name}`")))?;
    }
    let mut digest = blake3::Hasher::new();
    let mut predictions =
        Predictions { images: digest.finalize(), labels: Vec::new(), predicted: Vec::new(), confidence: Vec::new() };
    let mut row = csv::StringRecord::new();
    while reader.read_record(&mut row).map_err(|error| csv_error(path, &error))? {
        let line = row.position().map(csv::Position::line);
        let wrong = |name: &str, cell: &str| unreadable(path, line, format!("`{name}`: `{cell}` is not a number"));
        let schema = row[0].parse().map_err(|_| wrong("schema", &row[0]))?;
        if schema != SCHEMA {
            check_schema(path, line, schema)?;
        }
        let [image, label, predicted, confidence] = columns.map(|column| &row[column]);
        let class = |name, cell: &str| cell.parse::<u32>().map_err(|_| wrong(name, cell));
        let label = class("label", label)?;
        digest.update(&(image.len() as u64).to_le_bytes()).update(image.as_bytes()).update(&label.to_le_bytes());
        predictions.labels.push(label);
        predictions.predicted.push(class("predicted", predicted)?);
        let probability = confidence.parse().ok().filter(|probability| (0.0..=1.0).contains(probability));
        predictions.confidence.push(probability.ok_or_else(|| {
            unreadable(path, line, format!("`predicted_probability`: `{confidence}` is not a probability"))
        })?);
    }
    predictions.images = digest.finalize();
    Ok(Some(predictions))
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn predictions_agree_with_the_records() {
        let (_temporary, folder) = fixture::folder();
        let run = folder.run("vit-tiny-s0");
        let records = run.read_predictions().unwrap().unwrap();
        let predictions = run.read_compact_predictions().unwrap().unwrap();
        assert_eq!(predictions.len(), records.len());
        for (index, record) in records.iter().enumerate() {
            assert_eq!(predictions.labels[index] as usize, record.label);
            assert_eq!(predictions.predicted[index] as usize, record.predicted);
            assert_eq!(predictions.confidence[index], record.predicted_probability);
        }
        let other = folder.run("conv-vit-tiny-s1").read_compact_predictions().unwrap().unwrap();
        assert_eq!(predictions.images, other.images, "the same images, whatever is said of them");
        assert_ne!(predictions.predicted, other.predicted);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("predictions.csv");
        let head = "schema,image,label,predicted,predicted_probability,label_probability\n";
        for (text, part) in [
            ("schema,image,label\n1,a,0\n".to_owned(), "predictions.csv:1: there is no column `predicted`"),
            (format!("{head}1,a,0,0,0.5,0.5\n1,b,x,0,0.5,0.5\n"), "predictions.csv:3: `label`: `x` is not a number"),
            (
                format!("{head}1,a,0,0,1.5,0.5\n"),
                "predictions.csv:2: `predicted_probability`: `1.5` is not a probability",
            ),
            (format!("{head}1,a,0,0,0.5"), "the file is cut off"),
            (format!("{head}9,a,0,0,0.5,0.5\n"), "schema 9 is newer"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = read(&path).unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(read(&folder.path().join("absent.csv")).unwrap(), None);
    }
}
