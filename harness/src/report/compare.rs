//! Compares two sets of results model by model: the effect of a change, or the differences between two models.

use super::evidence::AllPredictions;
use super::figures::{self, Estimate as Figure, ModelFigures};
use super::format::{NONE, counted, magnitude, or_none, percent, points};
use super::markdown::{Align, table};
use super::names::{markdown, markdown_name};
use super::pairs::{self, Comparison as Tested, CorrectCounts, Incomparable, LEVEL, Quantity, Verdict};
use crate::error::Result;
use crate::results::{NoiseRecord, ResultsFolder, Runs, Stage, StretchRecord};
use crate::stats::{Estimate, Interval, Spread, holm};

/// The records of a results folder, as far as a comparison needs them.
pub struct Compared {
    runs: Runs,
    stage: Stage,
    noise: Option<NoiseRecord>,
}

impl Compared {
    /// Reads the records. `models` are the plan's model names in order.
    pub fn read(folder: &ResultsFolder, models: &[String]) -> Result<Self> {
        Ok(Self { runs: folder.read_runs(models)?, stage: Stage::read(folder)?, noise: folder.read_noise()? })
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

impl Quantity {
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

/// The verdict on the second side, or why there is none.
pub type Judgement = std::result::Result<Verdict, String>;

/// One quantity of a model, in both results.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What is compared.
    pub quantity: Quantity,
    /// The first side's figure.
    pub first: String,
    /// The second side's figure.
    pub second: String,
    /// By how much the second is better, as a fraction: of all images for accuracy, of the first's rate for speeds (-0.05: its rate is
    /// 5 % lower). `None` without a verdict.
    pub gain: Option<f64>,
    /// 95 % interval of `gain`.
    pub interval: Option<Interval>,
    /// P-value, corrected for the number of comparisons. `None` without a verdict.
    pub p: Option<f64>,
    /// The verdict on the second side.
    pub verdict: Judgement,
}

impl Comparison {
    /// The gain with its interval, as text.
    pub fn change(&self) -> String {
        let text = |gain: f64| match self.quantity {
            Quantity::Accuracy => points(gain),
            _ => format!("{} %", points(gain)),
        };
        or_none(self.gain.zip(self.interval), |(gain, interval)| {
            format!("{} [{}, {}]", text(gain), text(interval.low), text(interval.high))
        })
    }
}

/// The comparisons as a Markdown table.
pub fn comparisons_markdown(pairs: &[(&str, &str)], compared: &[Vec<Comparison>]) -> String {
    use Align::{Left, Right};
    let columns = [
        ("Model", Left),
        ("Quantity", Left),
        ("First", Right),
        ("Second", Right),
        ("Gain [95 %]", Right),
        ("Verdict", Left),
    ];
    let row = |(first, second): (&str, &str), comparison: &Comparison| {
        let name = match first == second {
            true => markdown_name(first),
            false => format!("{} vs {}", markdown_name(second), markdown_name(first)),
        };
        let verdict = match &comparison.verdict {
            Ok(verdict) => verdict.name().to_owned(),
            Err(why) => format!("no verdict: {}", markdown(why)),
        };
        let Comparison { quantity, first, second, .. } = comparison;
        vec![name, quantity.title().to_owned(), first.clone(), second.clone(), comparison.change(), verdict]
    };
    let of_pair = |(pair, comparisons): (&(&str, &str), &Vec<Comparison>)| -> Vec<Vec<String>> {
        comparisons.iter().map(|comparison| row(*pair, comparison)).collect()
    };
    table(&columns, &pairs.iter().zip(compared).flat_map(of_pair).collect::<Vec<_>>())
}

/// One side of a comparison.
struct Side<'a> {
    of: &'a Compared,
    figures: &'a ModelFigures<'a>,
    correct: std::result::Result<CorrectCounts, Incomparable>,
}

impl Side<'_> {
    fn name(&self) -> &str {
        self.figures.runs.model
    }
}

/// Compares pairs of models in every quantity. The first name of a pair is from the first results, the second from the second. A verdict on
/// accuracy needs `min_runs` runs of each. `rerun` has samples of both models side by side, under the names that [`rerun_names`] gives.
///
/// # Errors
/// If predictions cannot be read.
pub fn compare(
    first: &Compared,
    second: &Compared,
    pairs: &[(&str, &str)],
    min_runs: usize,
    rerun: Option<&Stage>,
) -> Result<Vec<Vec<Comparison>>> {
    let (predictions_a, predictions_b) =
        (AllPredictions::read(&first.runs.ended)?, AllPredictions::read(&second.runs.ended)?);
    let (models_a, models_b) =
        (figures::of_models(&first.runs.ended, &first.stage), figures::of_models(&second.runs.ended, &second.stage));
    let mut all: Vec<Vec<(Comparison, Option<Tested>)>> = Vec::new();
    for (a, b) in pairs {
        let (a, b) = (side(first, &models_a, a, &predictions_a), side(second, &models_b, b, &predictions_b));
        let comparison = |quantity: Quantity| comparison(quantity, &a, &b, min_runs, rerun);
        all.push(Quantity::ALL.map(comparison).to_vec());
    }
    judge(&mut all);
    Ok(all.into_iter().map(|of_pair| of_pair.into_iter().map(|(comparison, _)| comparison).collect()).collect())
}

fn side<'a>(
    of: &'a Compared,
    models: &'a [ModelFigures<'a>],
    name: &str,
    predictions: &AllPredictions<'_>,
) -> Side<'a> {
    let figures = models.iter().find(|model| model.runs.model == name).expect("the results have the model");
    Side { of, figures, correct: predictions.correct(&figures.runs) }
}

/// The names under which the models of a pair are timed again, side by side.
pub fn rerun_names(first: &str, second: &str) -> [String; 2] {
    [format!("first: {first}"), format!("second: {second}")]
}

/// Everything but the verdict, which also depends on the number of comparisons.
fn comparison(
    quantity: Quantity,
    first: &Side<'_>,
    second: &Side<'_>,
    min_runs: usize,
    rerun: Option<&Stage>,
) -> (Comparison, Option<Tested>) {
    let found = match quantity {
        Quantity::Accuracy => match (&first.correct, &second.correct) {
            (Ok(first), Ok(second)) => pairs::accuracy(second, first, min_runs),
            (Err(why), _) | (_, Err(why)) => Err(why.clone()),
        },
        speed => log_speed(speed, first, second, rerun),
    };
    let figure = |side: &Side<'_>| {
        let model = side.figures;
        match quantity {
            Quantity::Accuracy => or_none(model.top1.as_ref(), |top1| percent(top1.value)),
            Quantity::Training => rate(model.train_images_per_s.as_ref()),
            Quantity::Inference => rate(model.inference_images_per_s.as_ref()),
            Quantity::Latency => or_none(model.latency_s.as_ref(), |latency| magnitude(1e3 * latency.value)),
        }
    };
    let (first, second) = (figure(first), figure(second));
    let none = Comparison { quantity, first, second, gain: None, interval: None, p: None, verdict: Ok(Verdict::Tie) };
    match found {
        Ok(estimate) => (none, Some(Tested { estimate, p: 1.0, tests: 1.0 })),
        Err(why) => (Comparison { verdict: Err(why.to_string()), ..none }, None),
    }
}

fn rate(estimate: Option<&Figure>) -> String {
    estimate.map_or_else(|| NONE.to_owned(), |estimate| magnitude(estimate.value))
}

/// The logarithm of the second's rate over the first's.
///
/// Where both were timed side by side, in one folder or again, it comes from pairs of samples. Otherwise the two were timed in different
/// hours, and between them lies the machine's A/A variation, which must be known.
fn log_speed(
    quantity: Quantity,
    first: &Side<'_>,
    second: &Side<'_>,
    rerun: Option<&Stage>,
) -> std::result::Result<Estimate, Incomparable> {
    let common = |first: (&Stage, &str), second: (&Stage, &str)| {
        let apart = || Incomparable::Different("they were timed with different batch sizes".to_owned());
        pairs::common(quantity, first, second).ok_or_else(apart)
    };
    if let Some(stage) = rerun {
        let [a, b] = &rerun_names(first.name(), second.name());
        return pairs::log_speed(stage, b, a, common((stage, a), (stage, b))?);
    }
    let (stage_a, stage_b) = (&first.of.stage, &second.of.stage);
    if is_the_same(stage_a, stage_b) {
        let timed = common((stage_a, first.name()), (stage_a, second.name()))?;
        return pairs::log_speed(stage_a, second.name(), first.name(), timed);
    }
    let was_timed = |stage: &Stage, model: &str| stage.largest(model, quantity.mode()).is_some();
    if !was_timed(stage_a, first.name()) || !was_timed(stage_b, second.name()) {
        return Err(Incomparable::NotRecorded(
            "not timed side by side: the speeds are run-wise, and decide nothing (`vitbench time DIR` measures them)",
        ));
    }
    let timed = common((stage_a, first.name()), (stage_b, second.name()))?;
    let machine = same_machine(stage_a, stage_b)?;
    let noise = [&first.of.noise, &second.of.noise].into_iter().flatten().find(|noise| {
        (noise.cpu.as_str(), noise.cpu_cores) == (machine.cpu.as_str(), machine.cpu_cores)
            && noise.device == machine.device
            && noise.threads == machine.threads
            && noise.train_step.degrees > 0
    });
    let noise = noise.ok_or(Incomparable::NotRecorded(
        "timed in different hours, and this machine's A/A variation is not known (`vitbench noise` measures it; `compare --rerun` times both \
         now)",
    ))?;
    let noise = match quantity {
        Quantity::Training => noise.train_step,
        Quantity::Latency => noise.latency,
        Quantity::Inference | Quantity::Accuracy => noise.inference,
    };
    let not_a_number = || Incomparable::NotRecorded("a time is not a number");
    let [a, b] = [(stage_a, first), (stage_b, second)]
        .map(|(stage, side)| Estimate::of_mean(&stage.log_rates(side.name(), timed)));
    let (a, b) = a.zip(b).ok_or_else(not_a_number)?;
    let between = Spread { variance: 2.0 * noise.log_std.powi(2), degrees: noise.degrees as f64 };
    Estimate::new(b.value - a.value, Spread::sum(&[a.spread, b.spread, between])).ok_or_else(not_a_number)
}

/// Whether two folders have the samples of the same processes, as a folder and its copy do.
fn is_the_same(first: &Stage, second: &Stage) -> bool {
    !first.stretches.is_empty() && first.stretches == second.stretches
}

/// The machine on which both were timed.
fn same_machine<'a>(first: &'a Stage, second: &Stage) -> std::result::Result<&'a StretchRecord, Incomparable> {
    type Condition = (&'static str, fn(&StretchRecord) -> String);
    const CONDITIONS: [Condition; 3] = [
        ("device", |stretch| stretch.device.clone()),
        ("number of threads", |stretch| stretch.threads.to_string()),
        ("machine", |stretch| format!("{}, {} CPUs", stretch.cpu, stretch.cpu_cores)),
    ];
    let all = || first.stretches.iter().chain(&second.stretches);
    for (what, of) in CONDITIONS {
        let mut values: Vec<String> = all().map(of).collect();
        values.sort_unstable();
        values.dedup();
        if values.len() > 1 {
            return Err(Incomparable::Different(format!("the {what} differs ({})", values.join("; "))));
        }
    }
    first.stretches.last().ok_or(Incomparable::NotRecorded("`timing.json` is missing"))
}

/// Corrects the p-values for their number and sets the verdicts.
fn judge(all: &mut [Vec<(Comparison, Option<Tested>)>]) {
    let p: Vec<f64> = all.iter().flatten().filter_map(|(_, tested)| Some(tested.as_ref()?.estimate.p())).collect();
    let mut adjusted = holm(&p, LEVEL).into_iter();
    for (comparison, tested) in all.iter_mut().flatten() {
        let Some(tested) = tested else { continue };
        let adjusted = adjusted.next().expect("there is one for each p-value");
        (tested.p, tested.tests) = (adjusted.p, adjusted.tests);
        let gain = |value: f64| if comparison.quantity == Quantity::Accuracy { value } else { value.exp_m1() };
        let interval = tested.interval();
        comparison.gain = Some(gain(tested.estimate.value));
        comparison.interval = Some(Interval { low: gain(interval.low), high: gain(interval.high) });
        comparison.p = Some(tested.p);
        comparison.verdict = Ok(tested.verdict(comparison.quantity));
    }
}
