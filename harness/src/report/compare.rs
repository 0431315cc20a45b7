//! Compares two sets of results model by model: the effect of a change, or the differences between two models.

use super::evidence::AllPredictions;
use super::figures::{self, Estimate, ModelFigures};
use super::format::{NONE, counted, magnitude, or_none, percent, points};
use super::pairs::{self, Incomparable, LEVEL, Side, Speed, UNKNOWN_NOISE};
use crate::error::Result;
use crate::results::{NoiseRecord, ResultsFolder, Runs};
use crate::stats::{Interval, holm};

/// The records of a results folder, as far as a comparison needs them.
pub struct Compared {
    runs: Runs,
    noises: Vec<NoiseRecord>,
}

impl Compared {
    /// Reads the records. `models` are the plan's model names in order.
    pub fn read(folder: &ResultsFolder, models: &[String]) -> Result<Self> {
        Ok(Self { runs: folder.read_runs(models)?, noises: folder.read_noise()?.into_iter().collect() })
    }

    /// What is missing from a model's runs, as the end of a sentence: those that failed. `None` if all were completed.
    pub fn lacks(&self, model: &str) -> Option<String> {
        let of_model = || self.runs.ended.iter().filter(|run| run.identity().model == model);
        let failed = of_model().filter(|run| run.failed().is_some()).count();
        (failed > 0).then(|| format!("{failed} of {} failed", counted(of_model().count(), "run")))
    }

    /// Runs that have not ended.
    pub fn unfinished(&self) -> usize {
        self.runs.unfinished.len()
    }

    /// The models that the folder has runs of, in their order.
    pub fn models(&self) -> Vec<&str> {
        crate::results::by_model(&self.runs.ended).into_iter().map(|model| model.model).collect()
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Test accuracy.
    Accuracy,
    /// Images per second of training steps.
    Training,
    /// Images per second of inference.
    Inference,
    /// Time of inference on one image.
    Latency,
}

impl Measure {
    /// All, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Accuracy, Self::Training, Self::Inference, Self::Latency];

    /// With its unit.
    pub fn title(self) -> &'static str {
        match self {
            Self::Accuracy => "test top-1, %",
            Self::Training => "training, images/s",
            Self::Inference => "inference, images/s",
            Self::Latency => "latency, ms",
        }
    }
}

/// The verdict on the second side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Better by more than chance.
    Better,
    /// Worse by more than chance.
    Worse,
    /// The difference is no larger than chance could make it.
    NoDifference,
    /// Not comparable, for this reason.
    NotComparable(String),
}

/// One measure of a model, in both results.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub measure: Measure,
    /// The first side's figure.
    pub first: String,
    /// The second side's figure.
    pub second: String,
    /// By how much the second is better, as a fraction: of all images for accuracy, of the first's rate for speeds (-0.05: its rate is
    /// 5 % lower). `None` if they cannot be compared.
    pub gain: Option<f64>,
    /// 95 % interval of `gain`.
    pub interval: Option<Interval>,
    /// P-value, corrected for the number of comparisons. `None` if they cannot be compared or the A/A variation is unknown.
    pub p: Option<f64>,
    /// The verdict on the second side.
    pub verdict: Verdict,
}

impl Comparison {
    /// The gain with its interval, as text.
    pub fn change(&self) -> String {
        let text = |gain: f64| match self.measure {
            Measure::Accuracy => points(gain),
            _ => format!("{} %", points(gain)),
        };
        or_none(self.gain.zip(self.interval), |(gain, interval)| {
            format!("{} [{}, {}]", text(gain), text(interval.low), text(interval.high))
        })
    }
}

/// Compares pairs of models in every measure. The first name of a pair is from the first results, the second from the second.
///
/// # Errors
/// If predictions cannot be read.
pub fn compare(first: &Compared, second: &Compared, pairs: &[(&str, &str)]) -> Result<Vec<Vec<Comparison>>> {
    let (predictions_a, predictions_b) =
        (AllPredictions::read(&first.runs.ended)?, AllPredictions::read(&second.runs.ended)?);
    let (models_a, models_b) = (figures::of_models(&first.runs.ended), figures::of_models(&second.runs.ended));
    let named = |models: &[ModelFigures<'_>], name: &str| {
        models.iter().position(|model| model.runs.model == name).expect("the caller names models that the results have")
    };
    let mut all = Vec::new();
    for (a, b) in pairs {
        let (a, b) = (&models_a[named(&models_a, a)], &models_b[named(&models_b, b)]);
        let (side_a, side_b) = (first.side(a, &predictions_a), second.side(b, &predictions_b));
        all.push(Measure::ALL.map(|measure| comparison(measure, (a, &side_a), (b, &side_b))).to_vec());
    }
    judge(&mut all);
    Ok(all)
}

impl Compared {
    fn side<'a>(&'a self, model: &ModelFigures<'a>, predictions: &AllPredictions<'_>) -> Side<'a> {
        let runs: Vec<_> = model.runs.done().collect();
        let of_runs: Vec<_> = runs.iter().map(|(run, _)| predictions.of(run)).collect();
        Side::new(runs, &of_runs, &self.noises)
    }
}

/// Everything but the verdict, which also depends on the number of comparisons.
fn comparison(
    measure: Measure,
    first: (&ModelFigures<'_>, &Side<'_>),
    second: (&ModelFigures<'_>, &Side<'_>),
) -> Comparison {
    let found = match measure {
        Measure::Accuracy => pairs::accuracy(second.1, first.1).map(|paired| {
            let difference = paired.difference();
            (difference.value, difference.interval, Some(difference.p))
        }),
        Measure::Training => speed(first.1, second.1, Speed::Training),
        Measure::Inference => speed(first.1, second.1, Speed::Inference),
        Measure::Latency => speed(first.1, second.1, Speed::Latency),
    };
    let figure = |model: &ModelFigures<'_>| match measure {
        Measure::Accuracy => or_none(model.top1.as_ref(), |top1| percent(top1.value)),
        Measure::Training => rate(model.train_images_per_s.as_ref()),
        Measure::Inference => rate(model.inference_images_per_s.as_ref()),
        Measure::Latency => or_none(model.latency_s.as_ref(), |latency| magnitude(1e3 * latency.value)),
    };
    let (first, second) = (figure(first.0), figure(second.0));
    match found {
        Ok((gain, interval, p)) => Comparison {
            measure,
            first,
            second,
            gain: Some(gain),
            interval: Some(interval),
            p,
            verdict: match p {
                Some(_) => Verdict::NoDifference,
                None => Verdict::NotComparable(UNKNOWN_NOISE.to_string()),
            },
        },
        Err(why) => Comparison {
            measure,
            first,
            second,
            gain: None,
            interval: None,
            p: None,
            verdict: Verdict::NotComparable(why.to_string()),
        },
    }
}

type Found = (f64, Interval, Option<f64>);

fn speed(first: &Side<'_>, second: &Side<'_>, kind: Speed) -> Result<Found, Incomparable> {
    let ratio = pairs::speed(second, first, kind)?;
    let interval = Interval { low: ratio.interval.low - 1.0, high: ratio.interval.high - 1.0 };
    Ok((ratio.value - 1.0, interval, ratio.p))
}

fn rate(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(|| NONE.to_owned(), |estimate| magnitude(estimate.value))
}

/// Corrects the p-values for their number and sets the verdicts.
fn judge(all: &mut [Vec<Comparison>]) {
    let known: Vec<f64> = all.iter().flatten().filter_map(|comparison| comparison.p).collect();
    let mut adjusted = holm(&known).into_iter();
    for comparison in all.iter_mut().flatten() {
        let (Some(gain), Some(_)) = (comparison.gain, comparison.p) else { continue };
        comparison.p = adjusted.next();
        comparison.verdict = match comparison.p {
            Some(p) if p < LEVEL && gain > 0.0 => Verdict::Better,
            Some(p) if p < LEVEL && gain < 0.0 => Verdict::Worse,
            _ => Verdict::NoDifference,
        };
    }
}
