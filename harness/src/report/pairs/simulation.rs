//! Comparisons of simulated runs whose true difference is known: how often chance alone is taken for a difference, and how often a
//! difference is found. METHODOLOGY.md contains the tables.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use super::*;
use crate::stats::{holm, median};

/// Repetitions in METHODOLOGY's tables.
const PUBLISHED: u64 = 400;

/// How often a comparison is simulated: as in METHODOLOGY, unless `VITBENCH_SIMULATIONS` sets another number.
fn repetitions() -> u64 {
    std::env::var("VITBENCH_SIMULATIONS").map_or(PUBLISHED, |number| number.parse().unwrap())
}

/// Fails if METHODOLOGY does not have the table. With another number of repetitions, the table is printed instead.
fn check_table(table: &str) {
    if repetitions() == PUBLISHED {
        assert!(METHODOLOGY.contains(table), "METHODOLOGY.md does not have\n{table}");
    } else {
        println!("{} repetitions:\n{table}", repetitions());
    }
}

/// The document that contains the tables.
const METHODOLOGY: &str = include_str!("../../../../METHODOLOGY.md");

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// The correct predictions of `seeds` runs of a model with that accuracy, whose standard deviation from seed to seed is `seed_std`.
/// Half of the variance is how hard an image is, which is the same for all models; the other half is the run's own.
fn correct(rng: &mut ChaCha8Rng, ease: &[f64], seeds: usize, accuracy: f64, seed_std: f64) -> CorrectCounts {
    let mut by_image = vec![0; ease.len()];
    let mut by_run = Vec::new();
    for _ in 0..seeds {
        let threshold = Normal::standard().inverse_cdf((accuracy + seed_std * normal(rng)).clamp(0.001, 0.999));
        let mut all = 0_usize;
        for (count, ease) in by_image.iter_mut().zip(ease) {
            let is_correct = std::f64::consts::FRAC_1_SQRT_2 * (ease + normal(rng)) < threshold;
            *count += u16::from(is_correct);
            all += usize::from(is_correct);
        }
        by_run.push(all as f64 / ease.len() as f64);
    }
    CorrectCounts { images: blake3::hash(b"the same"), by_image, by_run }
}

/// Fraction of the repetitions, each with random numbers of its own, in which `finds` finds something.
fn fraction(finds: impl Fn(&mut ChaCha8Rng) -> bool + Sync) -> f64 {
    let found = |repetition: u64| usize::from(finds(&mut ChaCha8Rng::seed_from_u64(repetition)));
    let repetitions = repetitions();
    (0..repetitions).into_par_iter().map(found).sum::<usize>() as f64 / repetitions as f64
}

fn images(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| normal(rng)).collect()
}

/// How often a model of 80 % accuracy is told apart from one that is `points` percentage points better.
fn told_apart(count: usize, seeds: usize, seed_std: f64, points: f64) -> f64 {
    fraction(|rng| {
        let ease = images(rng, count);
        let first = correct(rng, &ease, seeds, 0.8, seed_std);
        let second = correct(rng, &ease, seeds, 0.8 + points / 100.0, seed_std);
        paired(&first, &second).unwrap().p() < LEVEL
    })
}

/// How often any two of ten equal models are told apart, with all pairs corrected.
fn any_of_ten(count: usize) -> f64 {
    fraction(|rng| {
        let ease = images(rng, count);
        let models: Vec<CorrectCounts> = (0..10).map(|_| correct(rng, &ease, 1, 0.8, 0.0)).collect();
        let pairs = (0..10).flat_map(|i| (0..i).map(move |j| (i, j)));
        let p: Vec<f64> = pairs.map(|(i, j)| paired(&models[i], &models[j]).unwrap().p()).collect();
        holm(&p).into_iter().any(|p| p < LEVEL)
    })
}

/// The rates of `runs` processes: steps of about 10 ms that vary by 3 %, with a slow tail; processes vary by 2 %.
fn speeds(rng: &mut ChaCha8Rng, runs: usize, factor: f64) -> Speeds {
    let mut speeds = Speeds::NONE;
    for _ in 0..runs {
        let process = 0.02 * normal(rng);
        let step = |rng: &mut ChaCha8Rng| 0.01 / factor * (process + 0.03 * normal(rng).abs()).exp();
        let seconds: Vec<f64> = (0..100).map(|_| step(rng)).collect();
        speeds.logs.push(-median(&seconds).unwrap().ln());
        if runs == 1 {
            speeds.within = log_median_std(&seconds);
        }
    }
    speeds
}

/// How often a model that is `percent` faster is told apart from the other, with the A/A variation of ten processes or without it.
fn speeds_told_apart(runs: usize, noise_is_known: bool, percent: f64) -> f64 {
    fraction(|rng| {
        let logs = speeds(rng, 10, 1.0).logs;
        let noise = Noise { log_std: crate::stats::sample_std(&logs).unwrap(), degrees: 9 };
        let (first, second) = (speeds(rng, runs, 1.0), speeds(rng, runs, 1.0 + percent / 100.0));
        let estimate = match first.log_ratio(&second, noise_is_known.then_some(noise)) {
            Ok(estimate) => estimate,
            Err(why) => {
                // There is no verdict. This is the one that the steps alone would give.
                assert_eq!((why, runs), (UNKNOWN_NOISE, 1));
                let variance = first.within.unwrap().powi(2) + second.within.unwrap().powi(2);
                Estimate::new(first.logs[0] - second.logs[0], Spread { variance, degrees: f64::INFINITY }).unwrap()
            }
        };
        estimate.p() < LEVEL
    })
}

fn percent(fraction: f64) -> String {
    format!("{:.1} %", 100.0 * fraction)
}

#[test]
fn accuracies_are_told_apart_as_the_methodology_says() {
    let mut table = String::new();
    for (count, seeds, seed_std) in
        [(1000, 1, 0.0), (10_000, 1, 0.0), (1000, 3, 0.005), (10_000, 3, 0.005), (10_000, 5, 0.005), (10_000, 1, 0.005)]
    {
        let [alike, one, two] = [0.0, 1.0, 2.0].map(|points| told_apart(count, seeds, seed_std, points));
        let spread = if seed_std > 0.0 { "0.5 points" } else { "none" };
        table +=
            &format!("| {count} | {seeds} | {spread} | {} | {} | {} |\n", percent(alike), percent(one), percent(two));
        // One run says nothing about other seeds, as the last row shows.
        let is_sound = seeds > 1 || seed_std == 0.0;
        assert!(!is_sound || alike <= 0.05, "{table}");
        assert!(count < 10_000 || seed_std > 0.0 || two > 0.95, "{table}");
    }
    let any = any_of_ten(1000);
    assert!(any <= 0.05, "{any}");
    table += &format!(
        "\nOf ten such models (1,000 images, one run each, all 45 pairs), any two were told apart in {} of the reports.\n",
        percent(any)
    );
    check_table(&table);
}

#[test]
fn speeds_are_told_apart_as_the_methodology_says() {
    let mut table = String::new();
    for (runs, noise_is_known) in [(1, false), (1, true), (3, false), (3, true)] {
        let [alike, five, ten] = [0.0, 5.0, 10.0].map(|percent| speeds_told_apart(runs, noise_is_known, percent));
        let known = if noise_is_known { "yes" } else { "no" };
        table += &format!("| {runs} | {known} | {} | {} | {} |\n", percent(alike), percent(five), percent(ten));
        // One process each does not show how much processes differ: the first row is why there is no verdict without the A/A variation.
        assert!(alike <= 0.065 || (runs, noise_is_known) == (1, false), "{table}");
    }
    check_table(&table);
}
