//! What the seeds and test images of a plan can resolve.

use super::format::{counted, grouped};
use super::pairs::{self, CorrectCounts, LEVEL};
use crate::results::ResultsFolder;
use crate::stats::t_critical;

/// How much runs and images vary, as far as a comparison of accuracies needs it. Accuracies are fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Variation {
    /// Variance of a model's accuracy from seed to seed.
    seeds: f64,
    /// Variance of one image's contribution to the difference of two models: the part that more seeds do not reduce.
    image_of_model: f64,
    /// The part that more seeds reduce.
    image_of_run: f64,
    /// Models whose finished runs it comes from; 0 if it is assumed.
    models: usize,
}

impl Variation {
    /// What is assumed of runs that have not been made: seeds that differ by half a point besides the choice of images, and the images of
    /// docs/SIMULATIONS.md, at an accuracy of 80 %.
    pub fn assumed(test_images: usize) -> Self {
        /// For one image, from the bivariate normal distribution with the correlation of that document.
        const OF_RUN: f64 = 0.11285;
        let seeds = 0.005_f64.powi(2) + OF_RUN / test_images.max(1) as f64;
        Self { seeds, image_of_model: 0.0, image_of_run: 2.0 * OF_RUN, models: 0 }
    }

    /// From finished runs; `None` unless two models have at least two each.
    fn measured(correct: &[&CorrectCounts]) -> Option<Self> {
        let known: Vec<&CorrectCounts> = correct.iter().copied().filter(|counts| counts.by_run.len() > 1).collect();
        let mean = |values: Vec<f64>| crate::stats::mean(&values);
        let seeds = mean(known.iter().filter_map(|counts| counts.spread()).map(|spread| spread.powi(2)).collect())?;
        let of_run = 2.0 * mean(known.iter().map(|counts| counts.run_variance()).collect())?;
        let pairs = known.iter().enumerate().flat_map(|(index, a)| known[..index].iter().map(move |b| (*a, *b)));
        let comparable = pairs.filter(|(a, b)| a.has_images_of(b));
        let of_model = comparable.map(|(a, b)| {
            let runs = (a.run_variance() / a.by_run.len() as f64) + (b.run_variance() / b.by_run.len() as f64);
            (pairs::image_variance(a, b) * a.images() as f64 - runs).max(0.0)
        });
        let image_of_model = mean(of_model.collect())?;
        Some(Self { seeds, image_of_model, image_of_run: of_run, models: known.len() })
    }

    /// From the finished runs of a results folder.
    ///
    /// # Errors
    /// If its records cannot be read.
    pub fn of_folder(folder: &ResultsFolder) -> crate::error::Result<Option<Self>> {
        let runs = folder.read_runs(&[])?;
        let predictions = super::evidence::AllPredictions::read(&runs.ended)?;
        let correct: Vec<CorrectCounts> = crate::results::by_model(&runs.ended)
            .into_iter()
            .filter_map(|model| predictions.correct(&model).ok())
            .collect();
        Ok(Self::measured(&correct.iter().collect::<Vec<_>>()))
    }

    /// Standard error of the difference between two models with that many seeds each.
    fn standard_error(&self, seeds: usize, images: usize) -> f64 {
        let n = seeds as f64;
        (2.0 * self.seeds / n + (self.image_of_model + self.image_of_run / n) / images.max(1) as f64).sqrt()
    }

    /// The difference of accuracies that is found in 8 of 10 cases, with the p-values of `pairs` pairs corrected (Bonferroni).
    fn detectable(&self, seeds: usize, images: usize, pairs: usize) -> f64 {
        let degrees = 2.0 * (seeds as f64 - 1.0);
        // Exceeded by t in 2 of 10 cases.
        let power = t_critical(0.4, degrees);
        (t_critical(LEVEL / pairs.max(1) as f64, degrees) + power) * self.standard_error(seeds, images)
    }

    /// Fewest seeds that find a difference in 8 of 10 cases; `None` if even a hundred do not.
    fn seeds_for(&self, difference: f64, images: usize, pairs: usize, min_runs: usize) -> Option<usize> {
        (min_runs.max(2)..=100).find(|seeds| self.detectable(*seeds, images, pairs) <= difference)
    }

    /// What that many seeds and test images can resolve between the models of a plan, as sentences; `None` with one model.
    pub fn sentence(&self, seeds: usize, images: usize, models: usize, min_runs: usize) -> Option<String> {
        if models < 2 {
            return None;
        }
        let pairs = models * (models - 1) / 2;
        let points = |fraction: f64| format!("{:.1}", 100.0 * fraction);
        let and_images = format!("{} test images", grouped(images as i128));
        let point = match self.seeds_for(0.01, images, pairs, min_runs) {
            Some(needed) if needed <= seeds => String::new(),
            Some(needed) => format!("; 1 point needs {needed} seeds"),
            None => "; 1 point needs more than 100 seeds or more test images".to_owned(),
        };
        let first = if seeds < min_runs {
            format!(
                "{} of each model: no verdict on accuracy, which needs at least {min_runs} seeds{point}",
                counted(seeds, "run")
            )
        } else {
            let detectable = points(self.detectable(seeds, images, pairs));
            format!(
                "{} and {and_images} detect differences of {detectable} points or more in 8 of 10 cases{point}",
                counted(seeds, "seed")
            )
        };
        let spread = points(self.seeds.sqrt());
        let source = match self.models {
            0 => format!("an assumed standard deviation of {spread} points from run to run"),
            models => format!("a standard deviation of {spread} points from run to run, that of {models} models here"),
        };
        Some(format!("{first} (from {source})."))
    }
}

/// What the runs of a report can resolve.
pub(super) fn of_report(material: &super::material::Material<'_>) -> Option<String> {
    let known: Vec<&CorrectCounts> =
        material.evidence.correct.iter().filter_map(|correct| correct.as_ref().ok()).collect();
    let seeds = known.iter().map(|counts| counts.by_run.len()).min()?;
    let images = known.first()?.images();
    let variation = Variation::measured(&known).unwrap_or_else(|| Variation::assumed(images));
    variation.sentence(seeds, images, known.len(), material.report.min_runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_seeds_and_more_images_resolve_more() {
        let detectable = |seeds, images| Variation::assumed(images).detectable(seeds, images, 1);
        assert!(detectable(3, 1000) > detectable(5, 1000) && detectable(3, 1000) > detectable(3, 10_000));
        // Simulated (docs/SIMULATIONS.md): 2 points are found in somewhat less than 8 of 10 cases with three seeds and 10,000 images.
        assert!((0.02..0.027).contains(&detectable(3, 10_000)), "{}", detectable(3, 10_000));
        let sentence = |seeds| Variation::assumed(10_000).sentence(seeds, 10_000, 2, 3).unwrap();
        assert!(sentence(3).contains("3 seeds and 10,000 test images detect differences of 2."), "{}", sentence(3));
        assert!(sentence(3).contains("; 1 point needs ") && sentence(3).contains("an assumed standard deviation"));
        assert!(sentence(1).starts_with("1 run of each model: no verdict on accuracy"), "{}", sentence(1));
        assert_eq!(Variation::assumed(100).sentence(3, 100, 1, 3), None);
    }
}
