//! What the timing stage says, for the terminal and the report: ratios of rates, and how precise they are.

use super::format::{counted, magnitude};
use super::pairs;
use crate::results::{MANY_MODELS, Stage, StretchRecord, Timed, TimingMode, references};
use crate::stats::Interval;

/// How many times as fast a model is as another, with the 95 % interval: `2.31 (2.27 to 2.35)`. `None` if the two were not timed side by
/// side.
pub fn ratio_to(stage: &Stage, model: &str, reference: &str, timed: Timed) -> Option<String> {
    if model == reference {
        return Some("1".to_owned());
    }
    let estimate = stage.log_ratio(model, reference, timed)?;
    Some(ratio(estimate.value.exp(), estimate.interval(pairs::LEVEL).exp()))
}

/// A ratio with its interval.
pub(super) fn ratio(value: f64, interval: Interval) -> String {
    let digits = if value < 10.0 { 2 } else { 1 };
    format!("{value:.digits$} ({:.digits$} to {:.digits$})", interval.low, interval.high)
}

/// What a reader has to know about the stage, a sentence each.
pub fn stage_remarks(stage: &Stage) -> Vec<String> {
    let mut remarks = Vec::new();
    let Some(last) = stage.stretches.last() else { return remarks };
    let processes: u64 = stage
        .stretches
        .iter()
        .map(|stretch| u64::from(stretch.last_process.saturating_sub(stretch.first_process)) + 1)
        .sum();
    let (blocks, disturbed) = stage.blocks();
    let stretches = match stage.stretches.len() {
        1 => String::new(),
        stretches => format!(" in {stretches} stretches"),
    };
    remarks.push(format!(
        "Timed side by side in {processes} processes{stretches}, {}, {disturbed} of them while the machine was busy with something else; {} on {}, {}.",
        counted(blocks, "block"), counted(last.threads, "thread"), last.device, last.cpu
    ));
    if let Some(reached) = last.reached_precision {
        let percent = |fraction: f64| magnitude(100.0 * fraction);
        let wanted = match reached <= last.wanted_precision {
            true => String::new(),
            false => format!(" (the time was used up before {} % was reached)", percent(last.wanted_precision)),
        };
        remarks.push(format!("Every ratio of speeds is known to within {} %{wanted}.", percent(reached)));
    }
    if last.models.len() >= MANY_MODELS {
        remarks.push(format!(
            "With {} models, each is compared in speed only with the fastest and with the first of the plan.",
            last.models.len()
        ));
    }
    remarks.extend(unsteady(stage));
    remarks
}

/// The ratios that differ by more than 5 % between stretches of timing, a sentence each.
fn unsteady(stage: &Stage) -> Vec<String> {
    const SHOWN: usize = 6;
    let (Some(first), true) = (stage.stretches.first(), stage.stretches.len() > 1) else { return Vec::new() };
    let names: Vec<&str> = first.models.iter().map(|model| model.model.as_str()).collect();
    let by_stretch: Vec<(&StretchRecord, Stage)> =
        stage.stretches.iter().map(|stretch| (stretch, stage.of_stretch(stretch))).collect();
    let mut sentences = Vec::new();
    for (index, reference) in names.iter().enumerate().take(references(names.len())) {
        for model in &names[index + 1..] {
            let timed = stage.timed(model);
            sentences.extend(timed.filter_map(|timed| unsteady_ratio(&by_stretch, model, reference, timed)));
        }
    }
    sentences.truncate(SHOWN);
    sentences
}

/// The ratio of two models in each stretch, if it differs between them.
fn unsteady_ratio(
    by_stretch: &[(&StretchRecord, Stage)],
    model: &str,
    reference: &str,
    timed: Timed,
) -> Option<String> {
    const LIMIT: f64 = 0.05;
    let ratio = |(stretch, stage): &(&StretchRecord, Stage)| {
        Some((stage.log_ratio(model, reference, timed)?.value.exp(), stretch.started.clone()))
    };
    let ratios: Vec<(f64, String)> = by_stretch.iter().filter_map(ratio).collect();
    let least = ratios.iter().map(|(ratio, _)| *ratio).fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().map(|(ratio, _)| *ratio).fold(0.0, f64::max);
    let listed: Vec<String> = ratios.iter().map(|(ratio, started)| format!("{ratio:.2} ({started})")).collect();
    (greatest > least * (1.0 + LIMIT)).then(|| {
        format!(
            "The ratio of {model} to {reference} in {} differs between stretches of timing: {}.",
            title(timed),
            listed.join(", ")
        )
    })
}

/// What was timed, in words.
pub(super) fn title(timed: Timed) -> String {
    match (timed.mode, timed.batch_size) {
        (TimingMode::TrainStep, size) => format!("training at batch {size}"),
        (TimingMode::Inference, 1) => "inference of one image".to_owned(),
        (TimingMode::Inference, size) => format!("inference at batch {size}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture::{self, Model};

    #[test]
    fn ratios_that_differ_between_stretches_are_shown_with_both() {
        let [first, second, third] = fixture::models();
        let stage = |models: &[&Model]| {
            let (blocks, stretches) = fixture::stage(models);
            Stage::new(&blocks, stretches)
        };
        let mut both = stage(&[&first, &second, &third]);
        both.merge(stage(&[&first, &second, &third]));
        assert!(unsteady(&both).is_empty(), "{:?}", unsteady(&both));
        let slower = Model { images_per_s: 0.9 * second.images_per_s, ..fixture::models().into_iter().nth(1).unwrap() };
        both.merge(stage(&[&first, &slower, &third]));
        let sentences = unsteady(&both);
        // Two pairs have the model, in three timings.
        assert_eq!(sentences.len(), 6, "{sentences:?}");
        assert!(
            sentences[0].contains("The ratio of linformer-tiny to vit-tiny in training at batch 64"),
            "{sentences:?}"
        );
        assert!(sentences[0].contains("1.31 (2026") && sentences[0].contains("1.18 (2026"), "{sentences:?}");
    }
}
