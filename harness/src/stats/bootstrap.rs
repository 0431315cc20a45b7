//! Bootstrap of medians, for times: whatever their distribution, and whatever the slow tail.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

use super::paired::RESAMPLES;
use super::{Interval, quantile, sample_std};

/// Below this many samples a bootstrap says little about the median: its interval would be the range of the samples.
const LEAST_SAMPLES: usize = 6;

/// 95 % percentile bootstrap interval for the median of `first` over that of `second`, over resamples of both. `None` below six samples
/// of either, or if one is not a positive number.
pub fn median_ratio_interval(first: &[f64], second: &[f64]) -> Option<Interval> {
    let (first, second) = (Medians::of(first, 1)?, Medians::of(second, 2)?);
    let ratios: Vec<f64> = first.zip(second).take(RESAMPLES).map(|(a, b)| a / b).collect();
    Some(Interval { low: quantile(&ratios, 0.025)?, high: quantile(&ratios, 0.975)? })
}

/// Bootstrap standard error of the natural logarithm of the median. `None` as for [`median_ratio_interval`].
pub fn log_median_std(samples: &[f64]) -> Option<f64> {
    /// Enough for two digits; the figure is asked for often.
    const RESAMPLES: usize = 2000;
    let logs: Vec<f64> = Medians::of(samples, 1)?.take(RESAMPLES).map(f64::ln).collect();
    sample_std(&logs)
}

/// Medians of resamples.
///
/// The index of the k-th smallest of n draws with replacement is that of the k-th smallest of n uniform numbers, which has a beta
/// distribution. One draw (two for an even n) therefore replaces all n, exactly.
struct Medians {
    sorted: Vec<f64>,
    lower: Beta<f64>,
    /// How far beyond the lower of the two middle numbers the upper one lies, as a fraction of what is left; absent for an odd n.
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
        // The ratios take few values, so that a bound may be the next one.
        assert!((interval.low - 1.0638297872340425).abs() < 2e-3, "{interval:?}");
        assert!((interval.high - 1.129032258064516).abs() < 2e-3, "{interval:?}");
        for (samples, expected) in [(&TIMES_A[..], 0.00891198508869443), (&TIMES_B[..], 0.012262932308053425)] {
            let std = log_median_std(samples).unwrap();
            // 2,000 draws of a sample with an outlier: chance of a tenth.
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
