//! Comparisons of simulated runs and timings whose true difference is known: how often chance alone is taken for a difference, and how
//! often a difference is found. `docs/SIMULATIONS.md` contains the tables.

use std::path::Path;

use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use super::*;
use crate::results::ResultsFolder;
use crate::stats::{Adjusted, holm, median};

/// Repetitions of a cell in the published tables.
const PUBLISHED: u64 = 40_000;

/// Repetitions of a cell: few, unless `VITBENCH_SIMULATIONS` sets another number.
fn repetitions() -> u64 {
    std::env::var("VITBENCH_SIMULATIONS").map_or(2000, |number| number.parse().unwrap())
}

/// Fails if the document does not have the table, made with as many repetitions as there; prints it with another number.
fn check_table(table: &str) {
    println!("{} repetitions:\n{table}", repetitions());
    if repetitions() == PUBLISHED {
        let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/SIMULATIONS.md");
        let document = std::fs::read_to_string(document).unwrap();
        assert!(document.contains(table), "docs/SIMULATIONS.md does not have the table above");
    }
}

/// The greatest rate of false positives at the 5 % level, with room for the error of the simulation itself (four standard errors).
fn bound() -> f64 {
    0.055 + if repetitions() == PUBLISHED { 0.0 } else { 4.0 * (0.05 * 0.95 / repetitions() as f64).sqrt() }
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Fraction of the repetitions, each with random numbers of its own, in which `finds` finds something.
fn fraction(repetitions: u64, finds: impl Fn(&mut ChaCha8Rng) -> bool + Sync) -> f64 {
    let found = |repetition: u64| usize::from(finds(&mut ChaCha8Rng::seed_from_u64(repetition)));
    (0..repetitions).into_par_iter().map(found).sum::<usize>() as f64 / repetitions as f64
}

/// A comparison of models whose runs are simulated.
#[derive(Clone, Copy)]
struct Cell {
    seeds: usize,
    /// Standard deviations from seed to seed, as fractions, which the models have in turn.
    spreads: [f64; 2],
    images: usize,
    models: usize,
    /// By how much the last model is more accurate than the others, as a fraction.
    gain: f64,
}

/// Accuracy of the other models.
const ACCURACY: f64 = 0.8;

/// Part of the variance of how well an image suits a run that is the image's own, the same for all models; the rest is the run's.
const OF_IMAGE: f64 = 0.5;

/// The probability that two runs of the same accuracy are both correct on an image, if their suitabilities have this correlation.
fn both_correct(accuracy: f64, correlation: f64) -> f64 {
    // P(both) = integral over x < t of phi(x) Phi((t - r x) / sqrt(1 - r^2)), by Simpson's rule.
    let standard = Normal::standard();
    let threshold = standard.inverse_cdf(accuracy);
    let density = |x: f64| (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let inner =
        |x: f64| density(x) * standard.cdf((threshold - correlation * x) / (1.0 - correlation * correlation).sqrt());
    let (steps, low) = (2000, -9.0);
    let width = (threshold - low) / steps as f64;
    let term = |index: usize| {
        let weight = if index == 0 || index == steps { 1.0 } else { [2.0, 4.0][index % 2] };
        weight * inner(low + width * index as f64)
    };
    (0..=steps).map(term).sum::<f64>() * width / 3.0
}

impl Cell {
    /// Variance of an accuracy over the choice of images, without what all runs share.
    fn image_variance(&self) -> f64 {
        let shared = both_correct(ACCURACY, OF_IMAGE) - ACCURACY * ACCURACY;
        (ACCURACY * (1.0 - ACCURACY) - shared) / self.images as f64
    }

    fn spread(&self, model: usize) -> f64 {
        self.spreads[model % 2]
    }

    fn mean(&self, model: usize) -> f64 {
        if model + 1 == self.models { ACCURACY + self.gain } else { ACCURACY }
    }

    /// Whether any two models are told apart, with accuracies that are drawn from the covariance of their images.
    fn finds(&self, of_run: f64, rng: &mut ChaCha8Rng) -> bool {
        let accuracies: Vec<Vec<f64>> = (0..self.models)
            .map(|model| {
                let mut run = || self.mean(model) + self.spread(model) * normal(rng) + of_run.sqrt() * normal(rng);
                (0..self.seeds).map(|_| run()).collect()
            })
            .collect();
        // What the test computes from the images, as expected: the variance of the difference between two models' means.
        let image_variance = 2.0 * of_run / self.seeds as f64;
        self.any(|i, j| difference_of_means(&accuracies[i], &accuracies[j], image_variance).unwrap().p())
    }

    /// The same, with every image simulated.
    fn finds_by_image(&self, rng: &mut ChaCha8Rng) -> bool {
        let ease: Vec<f64> = (0..self.images).map(|_| normal(rng)).collect();
        let counts: Vec<CorrectCounts> = (0..self.models).map(|model| self.correct(rng, &ease, model)).collect();
        self.any(|i, j| accuracy(&counts[i], &counts[j], 2).unwrap().p())
    }

    fn correct(&self, rng: &mut ChaCha8Rng, ease: &[f64], model: usize) -> CorrectCounts {
        let (of_image, of_run) = (OF_IMAGE.sqrt(), (1.0 - OF_IMAGE).sqrt());
        let mut by_image = vec![0; ease.len()];
        let mut by_run = Vec::new();
        for _ in 0..self.seeds {
            let mean = (self.mean(model) + self.spread(model) * normal(rng)).clamp(0.001, 0.999);
            let threshold = Normal::standard().inverse_cdf(mean);
            let mut all = 0_usize;
            for (count, ease) in by_image.iter_mut().zip(ease) {
                let is_correct = of_image * ease + of_run * normal(rng) < threshold;
                *count += u16::from(is_correct);
                all += usize::from(is_correct);
            }
            by_run.push(all as f64 / ease.len() as f64);
        }
        CorrectCounts { images: blake3::hash(b"the same"), by_image, by_run }
    }

    /// Whether any p-value of the pairs, corrected for their number, is below the level.
    fn any(&self, p: impl Fn(usize, usize) -> f64) -> bool {
        let pairs = (0..self.models).flat_map(|i| (0..i).map(move |j| (i, j)));
        let p: Vec<f64> = pairs.map(|(i, j)| p(i, j)).collect();
        holm(&p, LEVEL).into_iter().any(|Adjusted { p, .. }| p < LEVEL)
    }

    fn rate(&self, repetitions: u64) -> f64 {
        let of_run = self.image_variance();
        fraction(repetitions, |rng| self.finds(of_run, rng))
    }
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

const POINT: f64 = 0.01;

#[test]
fn equal_accuracies_are_rarely_told_apart() {
    let spreads = [(0.3, 0.3), (1.0, 1.0), (2.0, 2.0), (0.3, 1.0), (0.3, 2.0), (1.0, 2.0)];
    let cell = |seeds, (a, b): (f64, f64), images, models| Cell {
        seeds,
        spreads: [a * POINT, b * POINT],
        images,
        models,
        gain: 0.0,
    };
    if repetitions() < PUBLISHED {
        for cell in [
            cell(3, (0.3, 2.0), 10_000, 2),
            cell(3, (0.3, 1.0), 10_000, 10),
            cell(5, (1.0, 1.0), 1000, 3),
            cell(10, (2.0, 2.0), 10_000, 2),
        ] {
            let rate = cell.rate(repetitions());
            assert!(rate <= bound(), "{rate}");
        }
        return;
    }
    let mut table = String::new();
    let mut greatest = 0.0_f64;
    for (seeds, images) in [3, 5, 10].into_iter().flat_map(|seeds| [1000, 10_000].map(|images| (seeds, images))) {
        for (a, b) in spreads {
            let rates = [2, 3, 10].map(|models| cell(seeds, (a, b), images, models).rate(repetitions()));
            greatest = rates.into_iter().fold(greatest, f64::max);
            let [two, three, ten] = rates.map(percent);
            table += &format!("| {seeds} | {images} | {a} and {b} | {two} | {three} | {ten} |\n");
        }
    }
    check_table(&table);
    assert!(greatest <= bound(), "{greatest}");
}

#[test]
fn simulated_images_agree_with_their_covariance() {
    for (seeds, spreads, images, gain) in [
        (3, [0.3, 2.0], 1000, 0.0),
        (3, [0.5, 0.5], 1000, 0.04),
        (5, [1.0, 1.0], 1000, 0.02),
        (3, [0.5, 0.5], 10_000, 0.02),
    ] {
        let cell = Cell { seeds, spreads: spreads.map(|spread| spread * POINT), images, models: 2, gain };
        let repetitions = repetitions().min(4000);
        let (drawn, by_image) = (cell.rate(repetitions), fraction(repetitions, |rng| cell.finds_by_image(rng)));
        let error = ((drawn * (1.0 - drawn)).max(0.01) * 2.0 / repetitions as f64).sqrt();
        println!(
            "{seeds} seeds, {images} images, gain {gain}: {} drawn, {} by image",
            percent(drawn),
            percent(by_image)
        );
        assert!((drawn - by_image).abs() < 4.0 * error + 0.01, "{drawn} drawn, {by_image} by image");
    }
}

#[test]
fn different_accuracies_are_told_apart() {
    let mut table = String::new();
    for (seeds, images) in [(3, 1000), (3, 10_000), (5, 1000), (5, 10_000), (10, 1000), (10, 10_000)] {
        let gains = [1.0, 2.0, 4.0];
        let cell = |gain| Cell { seeds, spreads: [0.5 * POINT; 2], images, models: 2, gain: gain * POINT };
        let [one, two, four] = gains.map(|gain| cell(gain).rate(repetitions()));
        table += &format!("| {seeds} | {images} | {} | {} | {} |\n", percent(one), percent(two), percent(four));
        let floor = match (seeds, images) {
            (3, 10_000) => 0.6,
            (5 | 10, 10_000) => 0.9,
            _ => 0.0,
        };
        assert!(two >= floor, "{seeds} seeds, {images} images: {two}");
    }
    check_table(&table);
}

/// A plan of the timing stage whose times are simulated.
#[derive(Clone, Copy)]
struct Timings {
    models: usize,
    timings: usize,
    /// Standard deviation of the logarithm of a model's time from process to process.
    process: f64,
    /// Standard deviation from block to block.
    block: f64,
    /// Blocks of a process.
    blocks: usize,
    /// Fraction of the samples during which something else makes a step take half as long again.
    disturbed: f64,
    /// By how much the last model is slower.
    slower: f64,
    /// Whether processes are added until the precision is reached.
    stops: bool,
}

/// As many as a timing stage of three minutes has.
const MOST_PROCESSES: usize = 30;

impl Timings {
    /// The medians of log ratios, by timing, pair and process.
    fn process(&self, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let mut ratios = Vec::new();
        for _ in 0..self.timings {
            let logs: Vec<Vec<f64>> = (0..self.models)
                .map(|model| {
                    let slower = if model + 1 == self.models { self.slower.ln_1p() } else { 0.0 };
                    let process = slower + self.process * normal(rng);
                    let mut block = || {
                        let is_disturbed = rand::RngExt::random_bool(rng, self.disturbed);
                        process + self.block * normal(rng) + if is_disturbed { 1.5_f64.ln() } else { 0.0 }
                    };
                    (0..self.blocks).map(|_| block()).collect()
                })
                .collect();
            for i in 0..self.models {
                for j in 0..i {
                    let pairs: Vec<f64> = logs[j].iter().zip(&logs[i]).map(|(a, b)| a - b).collect();
                    ratios.push(median(&pairs).unwrap());
                }
            }
        }
        ratios
    }

    /// The verdict on every pair in every timing.
    fn verdicts(&self, rng: &mut ChaCha8Rng) -> Vec<Verdict> {
        let mut processes: Vec<Vec<f64>> = Vec::new();
        let estimates = loop {
            processes.push(self.process(rng));
            if processes.len() < MIN_PROCESSES {
                continue;
            }
            let of = |ratio: usize| processes.iter().map(|ratios| ratios[ratio]).collect::<Vec<_>>();
            let estimates: Vec<Estimate> =
                (0..processes[0].len()).map(|ratio| Estimate::of_mean(&of(ratio)).unwrap()).collect();
            let widest = estimates.iter().map(|estimate| estimate.half_width(0.05).exp_m1()).fold(0.0, f64::max);
            if !self.stops || widest <= 0.02 || processes.len() == MOST_PROCESSES {
                break estimates;
            }
        };
        let p: Vec<f64> = estimates.iter().map(|estimate| estimate.p()).collect();
        let verdict = |(estimate, Adjusted { p, tests }): (Estimate, Adjusted)| {
            Comparison { estimate, p, tests }.verdict(Quantity::Training)
        };
        estimates.into_iter().zip(holm(&p, LEVEL)).map(verdict).collect()
    }
}

/// Half as many as the other tables: each repetition is a whole plan.
fn plans() -> u64 {
    repetitions() / 2
}

const QUIET: Timings =
    Timings { models: 4, timings: 3, process: 0.01, block: 0.08, blocks: 25, disturbed: 0.0, slower: 0.0, stops: true };

#[test]
fn equal_speeds_are_rarely_told_apart() {
    let mut table = String::new();
    for (what, timings) in [
        ("quiet", QUIET),
        ("processes differ much", Timings { process: 0.03, ..QUIET }),
        ("processes do not differ", Timings { process: 0.0, block: 0.05, ..QUIET }),
        ("disturbed", Timings { disturbed: 0.2, ..QUIET }),
        ("two models", Timings { models: 2, ..QUIET }),
    ] {
        let differs = |verdicts: Vec<Verdict>| {
            verdicts.into_iter().any(|verdict| matches!(verdict, Verdict::Better | Verdict::Worse))
        };
        let rate = fraction(plans(), |rng| differs(timings.verdicts(rng)));
        let slower = Timings { slower: 0.05, ..timings };
        // The last model is slower than all others, in all timings.
        let found = fraction(plans() / 4, |rng| {
            let verdicts = slower.verdicts(rng);
            let first_of_last = (slower.models - 1) * (slower.models - 2) / 2;
            verdicts[first_of_last] == Verdict::Worse
        });
        table += &format!("| {what} | {} | {} |\n", percent(rate), percent(found));
        assert!(rate <= bound(), "{what}: {rate}");
    }
    check_table(&table);
}

/// The interval is Student's over the medians of five processes: it must have the coverage that it states.
#[test]
fn intervals_over_five_processes_cover_the_truth() {
    let mut table = String::new();
    for (what, timings) in [
        ("quiet", QUIET),
        ("processes differ much", Timings { process: 0.03, ..QUIET }),
        ("disturbed", Timings { disturbed: 0.2, ..QUIET }),
        ("three blocks", Timings { blocks: 3, ..QUIET }),
    ] {
        let timings = Timings { models: 2, timings: 1, stops: false, ..timings };
        let covered = fraction(repetitions(), |rng| {
            let logs: Vec<f64> = (0..MIN_PROCESSES).map(|_| timings.process(rng)[0]).collect();
            let interval = Estimate::of_mean(&logs).unwrap().interval(0.05);
            interval.low <= 0.0 && 0.0 <= interval.high
        });
        table += &format!("| {what} | {} |\n", percent(covered));
        let error = if repetitions() == PUBLISHED { 0.0 } else { 0.02 };
        assert!((0.94 - error..=0.96 + error).contains(&covered), "{what}: {covered}");
    }
    check_table(&table);
}

/// Real runs of one model: random groups of three seeds each are rarely told apart.
#[test]
#[ignore = "needs a results folder with many runs of one model, named by VITBENCH_SEEDS: bash .ci/slow aa"]
fn runs_of_one_model_are_rarely_told_apart() {
    let folder = ResultsFolder::open(std::env::var("VITBENCH_SEEDS").unwrap()).unwrap();
    let runs: Vec<Predictions> =
        folder.run_folders().unwrap().iter().map(|run| run.read_compact_predictions().unwrap().unwrap()).collect();
    assert!(runs.len() >= 40, "{} runs", runs.len());
    let differ = fraction(2000, |rng| {
        let chosen: Vec<Option<&Predictions>> = runs.sample(rng, 6).map(Some).collect();
        let of = |runs| CorrectCounts::of(runs).unwrap();
        accuracy(&of(&chosen[..3]), &of(&chosen[3..]), 3).unwrap().p() < LEVEL
    });
    println!("{} of 2,000 random groups of three runs differ from three others, of {}", percent(differ), runs.len());
    assert!(differ <= 0.07, "{differ}");
}
