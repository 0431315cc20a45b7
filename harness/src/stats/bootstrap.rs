//! Bootstrap of medians, for times. It makes no assumption about their distribution and tolerates a tail of slow samples.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

use super::paired::RESAMPLES;
use super::{Interval, quantile, sample_std};

/// With fewer samples a bootstrap says little about the median: the interval would be about the range of the samples.
const LEAST_SAMPLES: usize = 6;

/// 95 % percentile bootstrap interval for the median of `first` divided by the median of `second`. Both are resampled. `None` with
/// fewer than six samples of either, or if a sample is not a positive, finite number.
pub fn median_ratio_interval(first: &[f64], second: &[f64]) -> Option<Interval> {
    let (first, second) = (Medians::of(first, 1)?, Medians::of(second, 2)?);
    let ratios: Vec<f64> = first.zip(second).take(RESAMPLES).map(|(a, b)| a / b).collect();
    Some(Interval { low: quantile(&ratios, 0.025)?, high: quantile(&ratios, 0.975)? })
}

/// Bootstrap standard error of the natural logarithm of the median. `None` under the conditions of [`median_ratio_interval`].
pub fn log_median_std(samples: &[f64]) -> Option<f64> {
    /// Enough for about two digits. Fewer than usual, because this function is called often.
    const RESAMPLES: usize = 2000;
    let logs: Vec<f64> = Medians::of(samples, 1)?.take(RESAMPLES).map(f64::ln).collect();
    sample_std(&logs)
}

/// An iterator over the medians of resamples.
///
/// The k-th smallest of n draws with replacement comes from the k-th smallest of n uniform numbers, which has a beta distribution.
/// So one draw (two for an even n) replaces all n draws exactly.
struct Medians {
    sorted: Vec<f64>,
    lower: Beta<f64>,
    /// Gap between the two middle uniform numbers, as a fraction of the range above the lower one. `None` for an odd n.
    gap: Option<Beta<f64>>,
    rng: ChaCha8Rng,
}

impl Medians {
    fn of(samples: &[f64], stream: u64) -> Option<Self> {
        let n = samples.len();
        if n < LEAST_SAMPLES || samples.iter().any(|x| !(x.is_finite() && *x > 0.0)) {
            return None;
        }
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = n.div_ceil(2);
        let lower = Beta::new(middle as f64, (n - middle + 1) as f64).ok()?;
        let gap = if n.is_multiple_of(2) { Some(Beta::new(1.0, (n - middle) as f64).ok()?) } else { None };
        Some(Self { sorted, lower, gap, rng: ChaCha8Rng::seed_from_u64(stream) })
    }

    fn at(&self, uniform: f64) -> f64 {
        let n = self.sorted.len();
        self.sorted[((uniform * n as f64) as usize).min(n - 1)]
    }
}

impl Iterator for Medians {
    type Item = f64;

    fn next(&mut self) -> Option<f64> {
        let lower = self.lower.sample(&mut self.rng);
        Some(match self.gap {
            None => self.at(lower),
            Some(gap) => {
                let upper = lower + (1.0 - lower) * gap.sample(&mut self.rng);
                f64::midpoint(self.at(lower), self.at(upper))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES_A: [f64; 12] = [10.1, 10.4, 9.9, 10.0, 10.2, 12.9, 10.3, 10.1, 9.8, 10.6, 10.2, 10.0];
    const TIMES_B: [f64; 11] = [9.1, 9.3, 9.0, 9.6, 9.2, 9.4, 11.8, 9.2, 9.5, 9.1, 9.0];

    #[test]
    fn ratios_of_medians_agree_with_numpy() {
        // Medians of 1,000,000 resamples by numpy's `Generator.choice`, for an even and an odd number of samples.
        let interval = median_ratio_interval(&TIMES_A, &TIMES_B).unwrap();
        // The ratios take only a few values, so a bound may differ by one of them.
        assert!((interval.low - 1.0638297872340425).abs() < 2e-3, "{interval:?}");
        assert!((interval.high - 1.129032258064516).abs() < 2e-3, "{interval:?}");
        for (samples, expected) in [(&TIMES_A[..], 0.00891198508869443), (&TIMES_B[..], 0.012262932308053425)] {
            let std = log_median_std(samples).unwrap();
            // With 2,000 draws of a sample that has an outlier, the random error is about a tenth.
            assert!((std / expected - 1.0).abs() < 0.15, "{std} is not {expected}");
        }
    }

    #[test]
    fn too_few_samples_and_impossible_times_have_no_interval() {
        assert_eq!(median_ratio_interval(&TIMES_A[..5], &TIMES_B), None);
        assert_eq!(log_median_std(&[1.0, 1.0, 1.0, 1.0, 1.0, 0.0]), None);
        assert_eq!(log_median_std(&[1.0, 1.0, 1.0, 1.0, 1.0, f64::NAN]), None);
        assert!(log_median_std(&[2.0; 6]).is_some_and(|std| std < 1e-12));
    }
}
