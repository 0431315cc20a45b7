//! Which model is best at what, in sentences, and whether the lead is more than chance.

use super::figures::{Estimate, ModelFigures};
use super::format::{count, magnitude, percent};
use super::names::markdown_name;

/// One Markdown list item for each question that the runs answer.
pub(crate) fn sentences(models: &[ModelFigures<'_>]) -> Vec<String> {
    let accuracy = |estimate: &Estimate| {
        let interval = estimate.interval.map(|i| format!(" (95 % interval {} to {})", percent(i.low), percent(i.high)));
        format!("{} % of the test images right{}", percent(estimate.value), interval.unwrap_or_default())
    };
    let speed = |estimate: &Estimate| format!("{} images/s", magnitude(estimate.value));
    let points =
        |best: &Estimate, next: &Estimate| format!("{} points ahead of", magnitude(100.0 * (best.value - next.value)));
    let factor = |best: &Estimate, next: &Estimate| format!("{} times as fast as", magnitude(best.value / next.value));
    let sentences = [
        leader("Most accurate", models, |model| model.top1.as_ref(), &accuracy, &points),
        leader("Fastest to train", models, |model| model.train_images_per_s.as_ref(), &speed, &factor),
        leader("Fastest to infer", models, |model| model.inference_images_per_s.as_ref(), &speed, &factor),
        smallest(models),
    ];
    sentences.into_iter().flatten().map(|sentence| format!("- {sentence}\n")).collect()
}

/// The model with the greatest figure, and how it stands to the others: ahead of the next by `lead`, or not distinguishable
/// from those whose interval overlaps its own. `None` if no model has the figure.
fn leader<'a>(
    title: &str,
    models: &'a [ModelFigures<'a>],
    figure: impl Fn(&'a ModelFigures<'a>) -> Option<&'a Estimate>,
    text: &dyn Fn(&Estimate) -> String,
    lead: &dyn Fn(&Estimate, &Estimate) -> String,
) -> Option<String> {
    let mut ranked: Vec<(&ModelFigures<'_>, &Estimate)> =
        models.iter().filter_map(|model| Some((model, figure(model)?))).collect();
    // Stable, so that equals stay in the plan's order.
    ranked.sort_by(|(_, a), (_, b)| b.value.total_cmp(&a.value));
    let (winner, best) = ranked.first()?;
    let mut sentence = format!("**{title}:** {}, {}", markdown_name(winner.runs.model), text(best));
    let close: Vec<&str> = ranked[1..]
        .iter()
        .filter(|(_, other)| !best.is_distinguishable_from(other))
        .map(|(m, _)| m.runs.model)
        .collect();
    if !close.is_empty() {
        sentence += &format!("; not distinguishable from {}", names(&close));
    } else if let Some((next, second)) = ranked.get(1) {
        sentence += &format!("; {} {}, the next", lead(best, second), markdown_name(next.runs.model));
    }
    Some(sentence + ".")
}

/// Parameter counts are exact, so that a tie is a tie and any difference a difference.
fn smallest(models: &[ModelFigures<'_>]) -> Option<String> {
    let fewest = models.iter().filter_map(|model| Some(model.size?.params)).min()?;
    let has_fewest = |model: &&ModelFigures<'_>| model.size.is_some_and(|size| size.params == fewest);
    let names: Vec<&str> = models.iter().filter(has_fewest).map(|model| model.runs.model).collect();
    Some(format!("**Smallest:** {}, {} parameters.", self::names(&names), count(fewest as f64)))
}

/// The first few names as Markdown, and how many more there are.
fn names(names: &[&str]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| markdown_name(name)).collect();
    match (shown.split_last(), names.len().saturating_sub(SHOWN)) {
        (Some((last, [])), 0) => last.clone(),
        (Some((last, others)), 0) => format!("{} and {last}", others.join(", ")),
        (_, more) => format!("{} and {more} more", shown.join(", ")),
    }
}
