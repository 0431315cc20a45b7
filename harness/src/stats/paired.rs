//! Compares two classifiers on the same images, by the images that only one of them classifies correctly.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Binomial, Distribution};
use statrs::distribution::DiscreteCDF;

use super::{Interval, quantile};

/// Number of resamples of a bootstrap.
pub(super) const RESAMPLES: usize = 10_000;

/// Two-sided p-value of McNemar's exact test (McNemar 1947, with the binomial distribution instead of its approximation) for the
/// hypothesis that two classifiers are equally accurate. The arguments are the number of images that only the first or only the
/// second classifies correctly.
pub fn mcnemar_exact(only_first: u64, only_second: u64) -> f64 {
    let trials = only_first + only_second;
    if trials == 0 {
        return 1.0;
    }
    let fair = statrs::distribution::Binomial::new(0.5, trials).expect("a half is a probability");
    (2.0 * fair.cdf(only_first.min(only_second))).min(1.0)
}

/// 95 % percentile bootstrap interval for the first classifier's accuracy minus the second's. The images are resampled. `None`
/// without images, or if `only_first + only_second` exceeds `images`.
///
/// The counts in a resample of the images are multinomial, so two binomial draws replace drawing every image.
pub fn paired_difference_interval(only_first: u64, only_second: u64, images: u64) -> Option<Interval> {
    if images == 0 || only_first + only_second > images {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let first = Binomial::new(images, only_first as f64 / images as f64).ok()?;
    let others = images - only_first;
    let fraction_of_others = if others == 0 { 0.0 } else { only_second as f64 / others as f64 };
    let draws: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = first.sample(&mut rng);
            let second = Binomial::new(images - drawn, fraction_of_others).expect("a probability").sample(&mut rng);
            (drawn as f64 - second as f64) / images as f64
        })
        .collect();
    Some(Interval { low: quantile(&draws, 0.025)?, high: quantile(&draws, 0.975)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_agrees_with_statsmodels() {
        // statsmodels.stats.contingency_tables.mcnemar([[0, b], [c, 0]], exact=True).pvalue
        for (b, c, expected) in [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (5, 5, 1.0),
            (12, 4, 0.076812744140625),
            (0, 9, 0.00390625),
            (130, 90, 0.008405451752681935),
            (512, 430, 0.008277919871296693),
            (3000, 2800, 0.00896943600119357),
        ] {
            let p = mcnemar_exact(b, c);
            assert!((p - expected).abs() < 1e-9, "{b} {c}: expected {expected}, got {p}");
            assert_eq!(p, mcnemar_exact(c, b));
        }
    }

    #[test]
    fn bootstraps_agree_with_scipy() {
        // scipy.stats.bootstrap and numpy's multinomial agree. The bounds are multiples of one image.
        for (b, c, n, low, high) in [
            (130, 90, 1000, 0.011, 0.069),
            (9, 1, 60, 0.03333333333333333, 0.23333333333333334),
            (700, 500, 10_000, 0.0132, 0.0268),
        ] {
            let interval = paired_difference_interval(b, c, n).unwrap();
            let tolerance = 1.01 / n as f64 + 0.0002;
            assert!((interval.low - low).abs() < tolerance && (interval.high - high).abs() < tolerance, "{interval:?}");
            assert_eq!(paired_difference_interval(b, c, n), Some(interval), "the result is deterministic");
        }
        assert_eq!(paired_difference_interval(0, 0, 10), Some(Interval { low: 0.0, high: 0.0 }));
        assert_eq!(paired_difference_interval(10, 0, 10), Some(Interval { low: 1.0, high: 1.0 }));
        assert_eq!(paired_difference_interval(0, 0, 0), None);
        assert_eq!(paired_difference_interval(6, 5, 10), None);
    }
}
