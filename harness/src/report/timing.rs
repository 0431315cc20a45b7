//! The section of the report on timing: ratios of speeds, rates, and the cost of the data.

use super::figures::ModelFigures;
use super::format::{NONE, magnitude, or_none};
use super::markdown::{Align, section, table};
use super::material::Material;
use super::names::{markdown, markdown_name};
use super::pairs::{Comparison, Incomparable, MARGIN, Quantity, Verdict};
use super::plots::{Section, images};
use super::speeds::{self, stage_remarks};
use crate::results::{Run, ThroughputRow, TimingMode};

/// The section on timing.
pub(crate) fn section_of(material: &Material<'_>, plots: Option<&[&str]>) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Mode", Left),
        ("Batch", Right),
        ("Images/s", Right),
        ("95 % interval", Right),
        ("Range over blocks", Right),
        ("Median, ms", Right),
        ("p99, ms", Right),
        ("GFLOP/s", Right),
        ("MFU, %", Right),
    ];
    let row = |row: &ThroughputRow| {
        let mode = match row.mode {
            TimingMode::TrainStep => "training step",
            TimingMode::Inference => "inference",
        };
        let ends = |low: f64, high: f64| format!("[{}, {}]", magnitude(low), magnitude(high));
        vec![
            markdown_name(&row.model),
            mode.to_owned(),
            row.batch_size.to_string(),
            magnitude(row.images_per_s),
            or_none(row.low.zip(row.high), |(low, high)| ends(low, high)),
            or_none(row.range, |range| ends(range.low, range.high)),
            magnitude(1e3 * row.median_s),
            magnitude(1e3 * row.p99_s),
            or_none(row.gflop_per_s, magnitude),
            or_none(row.mfu_percent, |percent| format!("{percent:.0}")),
        ]
    };
    let rows: Vec<_> = material.models.iter().flat_map(|model| &model.throughput).map(row).collect();
    if rows.is_empty() {
        return section("Timing", "Nothing was timed.\n");
    }
    let mut text = ratio_table(material);
    for remark in stage_remarks(material.stage).iter().map(String::as_str).chain(run_wise(&material.models)) {
        text += &format!("{}\n\n", markdown(remark));
    }
    text += "Times are those of one step on a batch that is already in memory. A training step is forward, loss, backward and \
             optimiser; inference is the forward pass to logits. Inference on a batch of one is the latency. MFU (model FLOPs \
             utilisation) is relative to the rate that plain matrix products reach on the machine; a training step counts as three \
             forward passes.\n\n";
    text += &table(&columns, &rows);
    text += &epoch_rates(&material.models);
    text += &images(plots, Section::Speed);
    section("Timing", &text)
}

/// What a reader has to know about speeds that runs measured themselves, if there are any.
pub(crate) fn run_wise(models: &[ModelFigures<'_>]) -> Option<&'static str> {
    let of_runs = models.iter().flat_map(|model| &model.throughput).any(|row| row.source == "run");
    of_runs.then_some(
        "These speeds are run-wise: each run timed its model by itself, at its own time. The machine's speed drifts between runs, so they \
         decide no verdict. The command vitbench time DIR times the models of a folder side by side.",
    )
}

/// How many times as fast a model is as the fastest.
pub(crate) struct RatioRow {
    /// Index of the model.
    pub(crate) model: usize,
    /// Index of the fastest.
    pub(crate) reference: usize,
    /// What was timed.
    pub(crate) timed: String,
    /// The quantity, and the batch size.
    pub(crate) quantity: (Quantity, usize),
    /// The comparison of the model with the fastest, or why there is no verdict.
    pub(crate) comparison: Result<Comparison, Incomparable>,
    /// The ratio with its 95 % interval.
    pub(crate) ratio: String,
    /// The adjusted interval.
    pub(crate) adjusted: String,
    /// The verdict in words.
    pub(crate) verdict: String,
}

/// For everything that was timed, the ratio of every other model's rate to that of the fastest.
pub(crate) fn ratios(material: &Material<'_>) -> Vec<RatioRow> {
    let Material { models, evidence, stage, .. } = material;
    let mut rows = Vec::new();
    for timed in evidence.all_timed() {
        let rate = |index: usize| stage.rate(models[index].runs.model, timed).map(|rate| rate.images_per_s);
        let mut ranked: Vec<(f64, usize)> = (0..models.len()).filter_map(|index| Some((rate(index)?, index))).collect();
        ranked.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let Some(((_, fastest), others)) = ranked.split_first() else { continue };
        for (_, model) in others {
            let comparison = evidence.at(timed, *model, *fastest);
            let (ratio, adjusted, verdict) = match &comparison {
                Ok(found) => (
                    speeds::ratio(found.estimate.value.exp(), found.interval().exp()),
                    format!("{:.2} to {:.2}", found.adjusted().low.exp(), found.adjusted().high.exp()),
                    match found.verdict(Quantity::of(timed)) {
                        Verdict::Better => "faster".to_owned(),
                        Verdict::Worse => "slower".to_owned(),
                        Verdict::Equal => format!("equal within {:.0} %", 100.0 * MARGIN),
                        Verdict::Tie => "no difference shown".to_owned(),
                    },
                ),
                Err(why) => (NONE.to_owned(), NONE.to_owned(), format!("no verdict: {why}")),
            };
            rows.push(RatioRow {
                model: *model,
                reference: *fastest,
                timed: speeds::title(timed),
                quantity: (Quantity::of(timed), timed.batch_size),
                comparison,
                ratio,
                adjusted,
                verdict,
            });
        }
    }
    rows
}

fn ratio_table(material: &Material<'_>) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Timed", Left),
        ("Times as fast (95 %)", Right),
        ("as", Left),
        ("Adjusted interval", Right),
        ("Verdict", Left),
    ];
    let name = |index: usize| markdown_name(material.models[index].runs.model);
    let row = |row: RatioRow| {
        vec![name(row.model), row.timed, row.ratio, name(row.reference), row.adjusted, markdown(&row.verdict)]
    };
    let rows: Vec<_> = ratios(material).into_iter().map(row).collect();
    if rows.is_empty() { String::new() } else { format!("{}\n", table(&columns, &rows)) }
}

/// Compares training including data with training steps alone.
fn epoch_rates(models: &[ModelFigures<'_>]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Seed", Right),
        ("Epochs, images/s", Right),
        ("Steps alone, images/s", Right),
        ("Epochs / steps", Right),
    ];
    let row = |model: &ModelFigures<'_>, run: &Run| {
        let epochs = run.epoch_images_per_s()?;
        let steps = model.train_images_per_s.as_ref()?.value;
        let identity = run.identity();
        let ratio = format!("{:.2}", epochs / steps);
        Some(vec![
            markdown_name(&identity.model),
            identity.seed.to_string(),
            magnitude(epochs),
            magnitude(steps),
            ratio,
        ])
    };
    let rows: Vec<_> =
        models.iter().flat_map(|model| model.runs.done().filter_map(move |(run, _)| row(model, run))).collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\nThe cost of the data: the median rate of each run's epochs, which includes reading and augmenting images but not evaluation, and \
         the rate of the timed steps, whose batches are in memory. The rates of epochs are run-wise: runs of different hours differ by the \
         machine's drift as well.\n\n{}",
        table(&columns, &rows)
    )
}
