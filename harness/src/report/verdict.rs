//! Which model is best at what, in sentences, and whether the lead is more than chance.

use super::evidence::Evidence;
use super::figures::{Estimate, ModelFigures};
use super::format::{count, magnitude, percent};
use super::names::markdown_name;
use super::pairs::{MARGIN, Quantity, Verdict};

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
    let question = |labels, quantity, figure: fn(&ModelFigures<'_>) -> Option<Estimate>| {
        let mut ranked: Vec<(usize, Estimate)> =
            models.iter().enumerate().filter_map(|(index, model)| Some((index, figure(model)?))).collect();
        // The sort is stable, so equal models stay in the plan's order.
        ranked.sort_by(|(_, a), (_, b)| b.value.total_cmp(&a.value));
        Question { question: label(labels), quantity, models, evidence, ranked }
    };
    let answers = [
        question(["Most accurate", "Accuracy"], Quantity::Accuracy, |model| model.top1.clone()).answer(&accuracy),
        question(["Fastest to train", "Training speed"], Quantity::Training, |model| model.train_images_per_s.clone())
            .answer(&speed),
        question(["Fastest to infer", "Inference speed"], Quantity::Inference, |model| {
            model.inference_images_per_s.clone()
        })
        .answer(&speed),
        smallest(label(["Smallest", "Size"]), models),
    ];
    answers.into_iter().flatten().collect()
}

/// Models ranked by a figure, largest first.
struct Question<'a> {
    question: &'static str,
    quantity: Quantity,
    models: &'a [ModelFigures<'a>],
    evidence: &'a Evidence<'a>,
    ranked: Vec<(usize, Estimate)>,
}

impl Question<'_> {
    /// Says who leads, and whether by more than chance: by how much it is ahead of the runner-up, or which models are equal, tied or
    /// without a verdict. `None` if no model has the figure.
    fn answer(&self, text: &dyn Fn(&Estimate) -> String) -> Option<Answer> {
        let (leader, best) = self.ranked.first()?;
        let others = &self.ranked[1..];
        let (mut equal, mut close, mut apart, mut why) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (other, _) in others {
            match self.evidence.verdict(self.quantity, *leader, *other) {
                Ok(Verdict::Better) => {}
                Ok(Verdict::Equal) => equal.push(*other),
                Ok(Verdict::Tie | Verdict::Worse) => close.push(*other),
                Err(reason) => {
                    apart.push(*other);
                    why.get_or_insert(reason);
                }
            }
        }
        let name = |index: usize| Piece::Name(self.models[index].runs.model.to_owned());
        let names = |indices: &[usize]| listed(indices.iter().map(|index| name(*index)).collect());
        let has_winner = equal.is_empty() && close.is_empty() && apart.is_empty();
        let mut pieces = Vec::new();
        if !has_winner {
            pieces.push(Piece::Text(NO_WINNER.to_owned()));
        }
        let figure = text(best);
        let next = others.first().filter(|_| has_winner);
        match next {
            // A ratio says more of a speed than the rate of one hour, so it comes first.
            Some((next, _)) if self.quantity != Quantity::Accuracy => {
                pieces.extend([name(*leader), Piece::Text(format!(", {} ", self.lead(*leader, *next))), name(*next)]);
                pieces.push(Piece::Text(format!("{}; {figure}", self.lead_interval(*leader, *next))));
            }
            _ => pieces.extend([name(*leader), Piece::Text(format!(", {figure}"))]),
        }
        for (indices, what) in [
            (&equal, format!(", equal within {:.0} % to ", 100.0 * MARGIN)),
            (&close, ", not distinguishable from ".to_owned()),
        ] {
            if !indices.is_empty() {
                pieces.push(Piece::Text(what));
                pieces.extend(names(indices));
            }
        }
        if let Some(why) = why {
            pieces.push(Piece::Text(", no verdict on ".to_owned()));
            pieces.extend(names(&apart));
            pieces.push(Piece::Text(format!(": {why}")));
        }
        if let Some((next, _)) = next.filter(|_| self.quantity == Quantity::Accuracy) {
            pieces.push(Piece::Text(format!("; {} ", self.lead(*leader, *next))));
            pieces.push(name(*next));
            pieces.push(Piece::Text(self.lead_interval(*leader, *next)));
        } else if others.is_empty() && self.models.len() > 1 {
            pieces.push(Piece::Text("; no other model has this figure".to_owned()));
        }
        Some(Answer { question: self.question, winner: has_winner.then_some(*leader), pieces })
    }

    /// By how much the leader is ahead of the runner-up, as in `2.31 times as fast as`.
    fn lead(&self, leader: usize, next: usize) -> String {
        let value = self.evidence.compare(self.quantity, leader, next).map_or(0.0, |found| found.estimate.value);
        match self.quantity {
            Quantity::Accuracy => format!("{:.1} points ahead of", 100.0 * value),
            _ => format!("{:.2} times as fast as", value.exp()),
        }
    }

    /// The interval of the lead, as in `(2.27 to 2.35), the runner-up`.
    fn lead_interval(&self, leader: usize, next: usize) -> String {
        let interval = self.evidence.compare(self.quantity, leader, next).map(|found| found.interval());
        let text = interval.map_or_else(
            |_| String::new(),
            |interval| match self.quantity {
                Quantity::Accuracy => format!(" ({:.1} to {:.1})", 100.0 * interval.low, 100.0 * interval.high),
                _ => format!(" ({:.2} to {:.2})", interval.low.exp(), interval.high.exp()),
            },
        );
        format!("{text}, the runner-up")
    }
}

/// Parameter counts are exact. Where sizes were matched, as most comparisons do, the smallest model is no answer to anything.
fn smallest(question: &'static str, models: &[ModelFigures<'_>]) -> Option<Answer> {
    /// Sizes that differ by less count as matched.
    const MATCHED: f64 = 0.05;
    let mut sizes: Vec<(usize, usize)> =
        models.iter().enumerate().filter_map(|(index, model)| Some((model.size?.params, index))).collect();
    sizes.sort_unstable();
    let (fewest, index) = *sizes.first()?;
    if sizes.get(1).is_some_and(|(next, _)| (*next as f64) < fewest as f64 * (1.0 + MATCHED)) {
        return None;
    }
    let name = Piece::Name(models[index].runs.model.to_owned());
    let pieces = vec![name, Piece::Text(format!(", {} parameters", count(fewest as f64)))];
    Some(Answer { question, winner: Some(index), pieces })
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
