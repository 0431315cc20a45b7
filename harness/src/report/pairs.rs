//! Compares two models: on the same test images, and at the same work on the same machine.

#[cfg(test)]
mod simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::results::{Noise, NoiseRecord, Predictions, Run, RunRecord, TimingMode};
use crate::stats::{
    Difference, Estimate, Interval, Spread, difference_of_means, log_median_std, mcnemar_exact, mean,
    median_ratio_interval, paired_difference_interval,
};

/// Below this p-value a difference counts as more than chance.
pub(crate) const LEVEL: f64 = 0.05;

/// A kind of speed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Speed {
    /// Images per second of training steps at the largest batch that both models were timed with.
    Training,
    /// Images per second of inference, likewise.
    Inference,
    /// Inference on one image.
    Latency,
}

/// The completed runs of a model as one side of a comparison.
pub(crate) struct Side<'a> {
    runs: Vec<(&'a Run, &'a RunRecord)>,
    /// The A/A variation for the machine, device and threads of the runs.
    noise: Option<&'a NoiseRecord>,
    /// The conditions under which the runs were timed: the values of each of the [`CONDITIONS`].
    conditions: [BTreeSet<String>; CONDITIONS.len()],
    correct: Result<CorrectCounts, Incomparable>,
    /// By mode and batch size.
    speeds: BTreeMap<(TimingMode, usize), Speeds>,
}

/// Correct predictions.
struct CorrectCounts {
    images: blake3::Hash,
    /// The number of runs that are correct, for each image.
    by_image: Vec<u16>,
    /// The fraction of images that are correct, for each run.
    by_run: Vec<f64>,
}

/// The rates at one batch size.
struct Speeds {
    /// Natural logarithm of images per second, for each run.
    logs: Vec<f64>,
    /// Standard error of the logarithm, if there is one run and it has enough samples.
    within: Option<f64>,
}

/// A condition that speeds depend on: its name, and its value for a run.
type Condition = (&'static str, fn(&Run, &RunRecord) -> String);

const CONDITIONS: [Condition; 4] = [
    ("device", |_, record| record.identity.device.clone()),
    ("precision", |_, record| record.identity.precision.clone()),
    ("number of threads", |_, record| record.identity.threads.to_string()),
    ("machine", |run, _| cpu(run).map_or_else(|| "not recorded".to_owned(), |(cpu, n)| format!("{cpu}, {n} CPUs"))),
];

/// Why two models cannot be compared, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Incomparable {
    /// A record is missing.
    NotRecorded(&'static str),
    /// They did not do the same work under the same conditions.
    Different(String),
}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRecorded(what) => f.write_str(what),
            Self::Different(what) => f.write_str(what),
        }
    }
}

impl<'a> Side<'a> {
    /// From completed runs and their predictions. Uses the one of `noises` that was measured on the runs' machine.
    pub(crate) fn new(
        runs: Vec<(&'a Run, &'a RunRecord)>,
        predictions: &[Option<&Predictions>],
        noises: &'a [NoiseRecord],
    ) -> Self {
        let correct = CorrectCounts::of(predictions);
        let mut speeds: BTreeMap<_, Speeds> = BTreeMap::new();
        for (run, _) in &runs {
            for timing in run.timings() {
                let speeds = speeds.entry((timing.mode, timing.batch_size)).or_insert(Speeds::NONE);
                speeds.logs.push(timing.images_per_s().ln());
            }
        }
        if let [(run, _)] = runs[..] {
            for ((mode, batch_size), speeds) in &mut speeds {
                speeds.within = log_median_std(&run.seconds(*mode, *batch_size));
            }
        }
        let noise = noises.iter().find(|noise| {
            runs.first().is_some_and(|(run, record)| {
                let same_cpu = cpu(run).is_none_or(|cpu| cpu == (noise.cpu.as_str(), noise.cpu_cores));
                noise.device == record.identity.device && noise.threads == record.identity.threads && same_cpu
            })
        });
        let conditions = CONDITIONS.map(|(_, of)| runs.iter().map(|(run, record)| of(run, record)).collect());
        Self { runs, noise, conditions, correct, speeds }
    }

    fn first(&self) -> Result<&'a RunRecord, Incomparable> {
        self.runs.first().map(|(_, record)| *record).ok_or(Incomparable::NotRecorded("no run was completed"))
    }

    /// The A/A variation that its speeds are judged with.
    pub(crate) fn noise(&self) -> Option<&'a NoiseRecord> {
        self.noise
    }
}

impl Speeds {
    const NONE: Self = Self { logs: Vec::new(), within: None };
}

impl CorrectCounts {
    fn of(predictions: &[Option<&Predictions>]) -> Result<Self, Incomparable> {
        let known: Option<Vec<&Predictions>> = predictions.iter().copied().collect();
        let known = known
            .filter(|known| !known.is_empty())
            .ok_or(Incomparable::NotRecorded("the predictions of a run were not recorded"))?;
        let images = known[0].images;
        if known.iter().any(|predictions| predictions.images != images || predictions.is_empty()) {
            return Err(Incomparable::Different("the runs of one model had different test images".to_owned()));
        }
        let mut by_image = vec![0; known[0].len()];
        let mut by_run = Vec::new();
        for predictions in known {
            let mut all = 0_usize;
            for (count, is_correct) in by_image.iter_mut().zip(predictions.correct()) {
                *count += u16::from(is_correct);
                all += usize::from(is_correct);
            }
            by_run.push(all as f64 / predictions.len() as f64);
        }
        Ok(Self { images, by_image, by_run })
    }
}

/// What two models' predictions for the same images say about their accuracy.
pub(crate) enum Paired {
    /// A run each: the images for which only one of them is correct.
    Single { only_first: u64, only_second: u64, images: u64 },
    /// Several runs.
    Several(Estimate),
}

impl Paired {
    /// The probability of a difference at least this large by chance.
    pub(crate) fn p(&self) -> f64 {
        match self {
            Self::Single { only_first, only_second, .. } => mcnemar_exact(*only_first, *only_second),
            Self::Several(estimate) => estimate.p(),
        }
    }

    /// The first model's accuracy minus the second's.
    pub(crate) fn value(&self) -> f64 {
        match self {
            Self::Single { only_first, only_second, images } => {
                (*only_first as f64 - *only_second as f64) / *images as f64
            }
            Self::Several(estimate) => estimate.value,
        }
    }

    /// The first model's accuracy minus the second's, with the interval.
    pub(crate) fn difference(&self) -> Difference {
        match self {
            Self::Several(estimate) => estimate.difference(),
            Self::Single { only_first, only_second, images } => {
                let value = self.value();
                let interval = paired_difference_interval(*only_first, *only_second, *images);
                Difference { value, interval: interval.expect("there is at least one image"), p: self.p() }
            }
        }
    }
}

/// Compares the accuracies of two models.
pub(crate) fn accuracy(first: &Side<'_>, second: &Side<'_>) -> Result<Paired, Incomparable> {
    first.first().and(second.first())?;
    paired(first.correct.as_ref().map_err(Clone::clone)?, second.correct.as_ref().map_err(Clone::clone)?)
}

fn paired(a: &CorrectCounts, b: &CorrectCounts) -> Result<Paired, Incomparable> {
    if a.images != b.images {
        return Err(Incomparable::Different("the test images differ".to_owned()));
    }
    let images = a.by_image.len();
    if a.by_run.len() == 1 && b.by_run.len() == 1 {
        let count = |x: &CorrectCounts, y: &CorrectCounts| {
            x.by_image.iter().zip(&y.by_image).map(|(x, y)| u64::from(x > y)).sum()
        };
        return Ok(Paired::Single { only_first: count(a, b), only_second: count(b, a), images: images as u64 });
    }
    // The difference of each image's mean number of correct predictions, times both numbers of runs, so that it is whole.
    let (runs_a, runs_b) = (a.by_run.len() as i64, b.by_run.len() as i64);
    let differences =
        || a.by_image.iter().zip(&b.by_image).map(|(a, b)| i64::from(*a) * runs_b - i64::from(*b) * runs_a);
    let (sum, squares) = differences().fold((0, 0), |(sum, squares), d| (sum + d, squares + d * d));
    let (n, scale) = (images as f64, (runs_a * runs_b) as f64);
    let variance = (squares as f64 - (sum as f64).powi(2) / n) / (n - 1.0).max(1.0) / scale.powi(2);
    difference_of_means(&a.by_run, &b.by_run, variance / n, images)
        .map(Paired::Several)
        .ok_or(Incomparable::NotRecorded("an accuracy is not a number"))
}

/// Two models' speeds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    /// The first model's rate over the second's: above 1 the first is faster.
    pub(crate) value: f64,
    /// 95 % interval.
    pub(crate) interval: Interval,
    /// The probability of a ratio at least this far from 1 by chance; `None` if it is unknown, see [`UNKNOWN_NOISE`].
    pub(crate) p: Option<f64>,
}

/// Why there is no verdict on the difference between the speeds of single runs.
pub(crate) const UNKNOWN_NOISE: Incomparable =
    Incomparable::NotRecorded("this machine's A/A variation was not measured (run vitbench noise to measure it)");

/// Compares the speeds of two models.
///
/// With one run each, the interval comes from the medians of their steps and the machine's A/A variation. With several, it comes from the
/// spread of the runs and is never narrower than the A/A variation. If that was not measured, the interval of single runs comes from
/// their steps alone (a bootstrap of the ratio of medians), which excludes the variation between processes.
pub(crate) fn speed(first: &Side<'_>, second: &Side<'_>, kind: Speed) -> Result<Ratio, Incomparable> {
    match log_speed(first, second, kind) {
        Ok(estimate) => {
            let Difference { value, interval, p } = estimate.difference();
            let interval = Interval { low: interval.low.exp(), high: interval.high.exp() };
            Ok(Ratio { value: value.exp(), interval, p: Some(p) })
        }
        Err(UNKNOWN_NOISE) => {
            let (mode, batch_size) = common_batch(first, second, kind)?;
            // Times and rates are each other's reciprocals.
            let seconds = |side: &Side<'_>| side.runs[0].0.seconds(mode, batch_size);
            let interval = median_ratio_interval(&seconds(second), &seconds(first)).ok_or(UNKNOWN_NOISE)?;
            let log = |side: &Side<'_>| side.speeds[&(mode, batch_size)].logs[0];
            Ok(Ratio { value: (log(first) - log(second)).exp(), interval, p: None })
        }
        Err(why) => Err(why),
    }
}

/// The logarithm of the ratio of [`speed`], if it can be judged, without the interval, which takes longer to compute.
pub(crate) fn log_speed(first: &Side<'_>, second: &Side<'_>, kind: Speed) -> Result<Estimate, Incomparable> {
    same_conditions(first, second)?;
    let (mode, batch_size) = common_batch(first, second, kind)?;
    let (a, b) = (&first.speeds[&(mode, batch_size)], &second.speeds[&(mode, batch_size)]);
    a.log_ratio(b, noise(first, second, kind))
}

impl Speeds {
    /// The logarithm of the ratio of two rates. With one run each, its spread is that of the medians of their steps plus the machine's
    /// A/A variation, which must be known. With several, it is that of the runs, or the A/A variation if that is larger.
    fn log_ratio(&self, other: &Self, noise: Option<Noise>) -> Result<Estimate, Incomparable> {
        let runs = 1.0 / self.logs.len() as f64 + 1.0 / other.logs.len() as f64;
        let noise = noise.map(|noise| Spread { variance: noise.log_std.powi(2) * runs, degrees: noise.degrees as f64 });
        let spread = match (Spread::pooled(&self.logs, &other.logs), self.within.zip(other.within)) {
            (Some(pooled), _) => noise.filter(|noise| noise.half_width() > pooled.half_width()).unwrap_or(pooled),
            (None, Some((a, b))) => {
                let noise = noise.ok_or(UNKNOWN_NOISE)?;
                Spread::sum(&[Spread { variance: a * a + b * b, degrees: f64::INFINITY }, noise])
            }
            (None, None) => return Err(Incomparable::NotRecorded("fewer than 6 steps were timed")),
        };
        let value = mean(&self.logs).zip(mean(&other.logs)).map(|(a, b)| a - b);
        let estimate = value.and_then(|value| Estimate::new(value, spread));
        estimate.ok_or(Incomparable::NotRecorded("a time is not a number"))
    }
}

/// Speeds are comparable only on the same device, with the same precision and number of threads, on the same machine.
fn same_conditions(first: &Side<'_>, second: &Side<'_>) -> Result<(), Incomparable> {
    first.first().and(second.first())?;
    for (((what, _), a), b) in CONDITIONS.iter().zip(&first.conditions).zip(&second.conditions) {
        if a.len() > 1 || a != b {
            let values: Vec<&str> = a.union(b).map(String::as_str).collect();
            return Err(Incomparable::Different(format!("the {what} differs ({})", values.join("; "))));
        }
    }
    Ok(())
}

/// Brand and number of the CPUs of a run's machine.
fn cpu(run: &Run) -> Option<(&str, usize)> {
    run.machine.as_ref().map(|machine| (machine.cpu.as_str(), machine.cpu_cores))
}

fn common_batch(first: &Side<'_>, second: &Side<'_>, kind: Speed) -> Result<(TimingMode, usize), Incomparable> {
    let mode = match kind {
        Speed::Training => TimingMode::TrainStep,
        Speed::Inference | Speed::Latency => TimingMode::Inference,
    };
    let timed = |side: &Side<'_>| side.speeds.keys().any(|(timed, _)| *timed == mode);
    if !timed(first) || !timed(second) {
        return Err(Incomparable::NotRecorded("it was not timed"));
    }
    let common = first.speeds.keys().filter(|key| key.0 == mode && second.speeds.contains_key(key));
    let wanted = common.filter(|(_, batch)| kind != Speed::Latency || *batch == 1);
    let apart = || Incomparable::Different("they were timed with different batch sizes".to_owned());
    wanted.max().copied().ok_or_else(apart)
}

/// The A/A variation that applies to both sides.
fn noise(first: &Side<'_>, second: &Side<'_>, kind: Speed) -> Option<Noise> {
    let of_side = |side: &Side<'_>| {
        side.noise.map(|noise| match kind {
            Speed::Training => noise.train_step,
            Speed::Inference => noise.inference,
            Speed::Latency => noise.latency,
        })
    };
    let wider = |a: Noise, b: Noise| if a.ratio() >= b.ratio() { a } else { b };
    match (of_side(first), of_side(second)) {
        (Some(a), Some(b)) => Some(wider(a, b)),
        (a, b) => a.or(b),
    }
}
