//! Which model is best at what, in sentences, and whether the lead is more than chance.

use super::evidence::{Evidence, Tested};
use super::figures::{Estimate, ModelFigures};
use super::format::{count, magnitude, percent};
use super::names::markdown_name;
use super::pairs::{Incomparable, Speed};

/// A piece of a sentence. Names are free text, which Markdown and HTML escape differently.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    /// The report's own words and figures.
    Text(String),
    /// A model's name.
    Name(String),
}

/// The beginning of a sentence if chance could have made another model lead.
pub(crate) const NO_WINNER: &str = "no winner. ";

/// The answer to a question that the runs answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// The question, as a superlative, or the name of the figure if there is only one model.
    pub(crate) question: &'static str,
    /// Index of the winner; `None` if chance could have made another model lead.
    pub(crate) winner: Option<usize>,
    /// The sentence, without its full stop.
    pub(crate) pieces: Vec<Piece>,
}

impl Answer {
    /// A Markdown list item.
    pub(crate) fn markdown(&self) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Name(name) => markdown_name(name),
        };
        let sentence: String = self.pieces.iter().map(piece).collect();
        format!("- **{}:** {sentence}.\n", self.question)
    }
}

/// One answer for each question that the runs answer.
pub(crate) fn answers(models: &[ModelFigures<'_>], evidence: &Evidence<'_>) -> Vec<Answer> {
    let label = |[superlative, alone]: [&'static str; 2]| if models.len() > 1 { superlative } else { alone };
    let accuracy = |estimate: &Estimate| {
        let interval = estimate.interval.map(|i| format!(" (95 % interval {} to {})", percent(i.low), percent(i.high)));
        format!("{} % test accuracy{}", percent(estimate.value), interval.unwrap_or_default())
    };
    let speed = |estimate: &Estimate| format!("{} images/s", magnitude(estimate.value));
    let factor = |best: &Estimate, next: &Estimate| format!("{} times as fast as", magnitude(best.value / next.value));
    let points = |best: &Estimate, next: &Estimate| format!("{:.1} points ahead of", 100.0 * (best.value - next.value));
    let times = |best: &Estimate, next: &Estimate| format!("{} times that of", magnitude(best.value / next.value));
    let per_mac = |estimate: &Estimate| format!("{} points per million MACs", magnitude(100.0 * estimate.value));
    let question = |labels, figure: fn(&ModelFigures<'_>) -> Option<Estimate>| {
        let mut ranked: Vec<(usize, Estimate)> =
            models.iter().enumerate().filter_map(|(index, model)| Some((index, figure(model)?))).collect();
        // The sort is stable, so equal models stay in the plan's order.
        ranked.sort_by(|(_, a), (_, b)| b.value.total_cmp(&a.value));
        Question { question: label(labels), models, ranked }
    };
    let answers = [
        question(["Most accurate", "Accuracy"], |model| model.top1.clone()).answer(
            Some((evidence, Tested::Accuracy)),
            &accuracy,
            &points,
        ),
        question(["Fastest to train", "Training speed"], |model| model.train_images_per_s.clone()).answer(
            Some((evidence, Tested::Speed(Speed::Training))),
            &speed,
            &factor,
        ),
        question(["Fastest to infer", "Inference speed"], |model| model.inference_images_per_s.clone()).answer(
            Some((evidence, Tested::Speed(Speed::Inference))),
            &speed,
            &factor,
        ),
        smallest(label(["Smallest", "Size"]), models),
        question(["Best accuracy per MAC", "Accuracy per MAC"], accuracy_per_mac).answer(None, &per_mac, &times),
    ];
    answers.into_iter().flatten().collect()
}

/// Test accuracy per million multiply-accumulates, which are exact.
fn accuracy_per_mac(model: &ModelFigures<'_>) -> Option<Estimate> {
    let macs = model.size?.macs();
    (macs > 0).then(|| Some(model.top1.as_ref()?.scaled(1e6 / macs as f64)))?
}

/// Models ranked by a figure, largest first.
struct Question<'a> {
    question: &'static str,
    models: &'a [ModelFigures<'a>],
    ranked: Vec<(usize, Estimate)>,
}

impl Question<'_> {
    /// Says who leads, and whether by more than chance: ahead of the runner-up by `lead`, or not distinguishable from some models. Without
    /// a test, or if it lacks predictions, models are told apart if their intervals do not overlap. Models that were measured under
    /// different conditions are not comparable. `None` if no model has the figure.
    fn answer(
        &self,
        test: Option<(&Evidence<'_>, Tested)>,
        text: &dyn Fn(&Estimate) -> String,
        lead: &dyn Fn(&Estimate, &Estimate) -> String,
    ) -> Option<Answer> {
        let (leader, best) = self.ranked.first()?;
        let others = &self.ranked[1..];
        let (mut close, mut apart, mut why) = (Vec::new(), Vec::new(), None);
        for (other, figure) in others {
            let is_ahead = match test.map(|(evidence, tested)| (tested, evidence.is_ahead(tested, *leader, *other))) {
                None | Some((Tested::Accuracy, Err(Incomparable::NotRecorded(_)))) => {
                    best.is_distinguishable_from(figure)
                }
                Some((_, Ok(is_ahead))) => is_ahead,
                Some((_, Err(reason))) => {
                    apart.push(*other);
                    why.get_or_insert(reason);
                    continue;
                }
            };
            if !is_ahead {
                close.push(*other);
            }
        }
        let name = |index: usize| Piece::Name(self.models[index].runs.model.to_owned());
        let names = |indices: &[usize]| listed(indices.iter().map(|index| name(*index)).collect());
        let has_winner = close.is_empty() && apart.is_empty();
        let mut pieces = Vec::new();
        if !has_winner {
            pieces.push(Piece::Text(NO_WINNER.to_owned()));
        }
        pieces.extend([name(*leader), Piece::Text(format!(", {}", text(best)))]);
        if !close.is_empty() {
            pieces.push(Piece::Text(", not distinguishable from ".to_owned()));
            pieces.extend(names(&close));
            if test.is_some_and(|(evidence, tested)| evidence.is_judged_with_noise(tested, *leader)) {
                pieces.push(Piece::Text(" given this machine's A/A variation".to_owned()));
            }
        }
        if let Some(why) = why {
            pieces.push(Piece::Text(", not comparable with ".to_owned()));
            pieces.extend(names(&apart));
            pieces.push(Piece::Text(format!(": {why}")));
        }
        if let (true, Some((next, second))) = (has_winner, others.first()) {
            pieces.extend([Piece::Text(format!("; {} ", lead(best, second))), name(*next)]);
            pieces.push(Piece::Text(", the runner-up".to_owned()));
        } else if others.is_empty() && self.models.len() > 1 {
            pieces.push(Piece::Text("; no other model has this figure".to_owned()));
        }
        Some(Answer { question: self.question, winner: has_winner.then_some(*leader), pieces })
    }
}

/// Parameter counts are exact, so any difference is real and only equal counts are a tie.
fn smallest(question: &'static str, models: &[ModelFigures<'_>]) -> Option<Answer> {
    let fewest = models.iter().filter_map(|model| Some(model.size?.params)).min()?;
    let has_fewest = |(_, model): &(usize, &ModelFigures<'_>)| model.size.is_some_and(|size| size.params == fewest);
    let smallest: Vec<(usize, &ModelFigures<'_>)> = models.iter().enumerate().filter(has_fewest).collect();
    let mut pieces = listed(smallest.iter().map(|(_, model)| Piece::Name(model.runs.model.to_owned())).collect());
    pieces.push(Piece::Text(format!(", {} parameters", count(fewest as f64))));
    let winner = if let [(index, _)] = smallest[..] { Some(index) } else { None };
    Some(Answer { question, winner, pieces })
}

/// The first few names as a list within a sentence, and how many more there are.
fn listed(names: Vec<Piece>) -> Vec<Piece> {
    const SHOWN: usize = 4;
    let (shown, more) = (names.len().min(SHOWN), names.len().saturating_sub(SHOWN));
    let mut pieces = Vec::new();
    for (index, name) in names.into_iter().take(SHOWN).enumerate() {
        let separator = if index == 0 {
            ""
        } else if index + 1 == shown && more == 0 {
            " and "
        } else {
            ", "
        };
        pieces.extend([Piece::Text(separator.to_owned()), name]);
    }
    if more > 0 {
        pieces.push(Piece::Text(format!(" and {more} more")));
    }
    pieces
}
