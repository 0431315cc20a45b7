//! Compares our runs with the results that others reported for the same model.

use super::figures::ModelFigures;
use super::format::{magnitude, or_none, percent};
use super::markdown::{Align, table};
use super::names::{markdown, markdown_name};
use crate::config::ReferenceRun;
use crate::results::EpochRecord;
use crate::stats::{mean, median, sample_std};

/// A table with one row per reported run.
pub(crate) fn beside(figures: &[ModelFigures<'_>], references: &[ReferenceRun]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Reference", Left),
        ("Epoch", Right),
        ("Reported accuracy, %", Right),
        ("Ours, %", Right),
        ("Reported training accuracy, %", Right),
        ("Ours, %", Right),
        ("Reported seconds per epoch", Right),
        ("Ours", Right),
        ("Reported images/s", Right),
        ("Ours", Right),
    ];
    let rows: Vec<_> = references.iter().filter_map(|run| row(figures, run)).collect();
    let mut text = table(&columns, &rows);
    text += "\nAccuracies are those of the same epoch, on the images that the epochs were evaluated on; ours are means over seeds ± their \
             standard deviation. Seconds are those of the median epoch, including its evaluation.\n\n";
    for run in references {
        let machine = run.machine.as_deref().map(|machine| format!(", on {}", markdown(machine)));
        text += &format!("- {}: {}{}\n", markdown_name(&run.name), markdown(&run.source), machine.unwrap_or_default());
    }
    text
}

/// A reported run at its last epoch, and our runs of that model at the same epoch if they got that far.
fn row(figures: &[ModelFigures<'_>], run: &ReferenceRun) -> Option<Vec<String>> {
    let (epoch, accuracy) = *run.eval_top1.last()?;
    let ours = figures.iter().find(|model| model.runs.model == run.model);
    let curves: Vec<&[EpochRecord]> =
        ours.iter().flat_map(|model| model.runs.done()).map(|(run, _)| run.epochs.as_slice()).collect();
    let at = |epoch: usize, value: fn(&EpochRecord) -> f64| {
        let values: Vec<f64> =
            curves.iter().filter_map(|epochs| epochs.iter().find(|record| record.epoch == epoch)).map(value).collect();
        let mean = percent(mean(&values)?);
        Some(match sample_std(&values) {
            Some(std) => format!("{mean} ± {} ({})", percent(std), values.len()),
            None => mean,
        })
    };
    let records = || curves.iter().copied().flatten();
    let seconds: Vec<f64> = records().map(|record| record.train_seconds + record.eval_seconds).collect();
    let rates: Vec<f64> = records().map(|record| record.train_images_per_s).collect();
    let train = run.train_top1.last();
    Some(vec![
        markdown_name(&run.model),
        markdown_name(&run.name),
        epoch.to_string(),
        percent(accuracy),
        or_none(at(epoch, |record| record.eval_top1), |text| text),
        or_none(train, |(_, accuracy)| percent(*accuracy)),
        or_none(train.and_then(|(epoch, _)| at(*epoch, |record| record.train_top1)), |text| text),
        or_none(run.epoch_seconds, |[least, greatest]| match least == greatest {
            true => magnitude(least),
            false => format!("{} to {}", magnitude(least), magnitude(greatest)),
        }),
        or_none(median(&seconds), magnitude),
        or_none(run.train_images_per_s, magnitude),
        or_none(median(&rates), magnitude),
    ])
}
