//! Estimates with intervals and p-values, and differences of two means.

use super::intervals::{t_critical, two_sided_p};
use super::{Interval, mean, sample_std};

/// A difference with its 95 % interval and p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// First minus second.
    pub value: f64,
    /// 95 % interval.
    pub interval: Interval,
    /// Two-sided p-value for the hypothesis of no difference.
    pub p: f64,
}

/// The variance of an estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Variance of the estimate.
    pub variance: f64,
    /// Degrees of freedom of the variance estimate, infinite if the variance is known.
    pub degrees: f64,
}

impl Spread {
    /// Of the mean of independent samples. `None` with fewer than two.
    pub fn of_mean(samples: &[f64]) -> Option<Self> {
        let std = sample_std(samples)?;
        Some(Self { variance: std * std / samples.len() as f64, degrees: (samples.len() - 1) as f64 })
    }

    /// The sum of independent components, with degrees of freedom by the Welch-Satterthwaite equation.
    pub fn sum(parts: &[Self]) -> Self {
        let variance: f64 = parts.iter().map(|part| part.variance).sum();
        let squares: f64 = parts.iter().map(|part| part.variance.powi(2) / part.degrees).sum();
        Self { variance, degrees: if squares > 0.0 { variance.powi(2) / squares } else { f64::INFINITY } }
    }
}

/// An estimate and its variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value, such as first minus second.
    pub value: f64,
    /// Its variance.
    pub spread: Spread,
}

impl Estimate {
    /// `None` if the value or the variance is not finite.
    pub fn new(value: f64, spread: Spread) -> Option<Self> {
        (value.is_finite() && spread.variance.is_finite()).then_some(Self { value, spread })
    }

    /// The mean of independent samples. `None` with fewer than two, or if one is not finite.
    pub fn of_mean(samples: &[f64]) -> Option<Self> {
        Self::new(mean(samples)?, Spread::of_mean(samples)?)
    }

    /// Two-sided p-value for the hypothesis that the true value is zero.
    pub fn p(self) -> f64 {
        let Spread { variance, degrees } = self.spread;
        if variance > 0.0 {
            two_sided_p(self.value / variance.sqrt(), degrees)
        } else {
            // Without any variance, any difference is certain.
            f64::from(u8::from(self.value == 0.0))
        }
    }

    /// Half the width of the interval that misses the true value with probability `alpha`.
    pub fn half_width(self, alpha: f64) -> f64 {
        t_critical(alpha, self.spread.degrees) * self.spread.variance.sqrt()
    }

    /// The interval that misses the true value with probability `alpha`.
    pub fn interval(self, alpha: f64) -> Interval {
        let half = self.half_width(alpha);
        Interval { low: self.value - half, high: self.value + half }
    }

    /// The value with its 95 % interval and p-value.
    pub fn difference(self) -> Difference {
        Difference { value: self.value, interval: self.interval(0.05), p: self.p() }
    }
}

/// The difference between the mean accuracies of two models over their runs. Seeds are independent; all runs share the same images.
///
/// `image_variance` is the variance of that difference over the choice of test images. Adding it to the variances of the seeds counts
/// their shared part twice and so errs on the safe side (Owen 2007, "The pigeonhole bootstrap").
///
/// The degrees of freedom are those that the seeds alone allow, however many images there are: Welch's (1947, "The generalization of
/// 'Student's' problem when several different population variances are involved"), for spreads that may differ. Where the samples'
/// spreads differ much, Welch's degrees of freedom are themselves a guess from few runs, and those of the smaller sample replace
/// them. `None` with fewer than two runs of a model, or if a number is not finite.
pub fn difference_of_means(first: &[f64], second: &[f64], image_variance: f64) -> Option<Estimate> {
    let (a, b) = (Spread::of_mean(first)?, Spread::of_mean(second)?);
    let seeds = Spread::sum(&[a, b]);
    let smaller = a.degrees.min(b.degrees);
    // Between those of the smaller sample (one spread dominates) and of both samples together (equal spreads).
    let middle = UNEQUAL * (a.degrees + b.degrees) + (1.0 - UNEQUAL) * smaller;
    let degrees = if seeds.degrees < middle { smaller } else { seeds.degrees };
    let variance = seeds.variance + image_variance;
    Estimate::new(mean(first)? - mean(second)?, Spread { variance, degrees: degrees.min(a.degrees + b.degrees) })
}

/// How far Welch's degrees of freedom have to lie above those of the smaller sample, as a fraction of their range, to be used.
const UNEQUAL: f64 = 1.0 / 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [f64; 3] = [0.712, 0.734, 0.721];
    const SECOND: [f64; 3] = [0.741, 0.752, 0.748];

    fn close(difference: Difference, low: f64, high: f64, p: f64) {
        let Difference { interval, p: actual, .. } = difference;
        let off = [interval.low - low, interval.high - high, actual - p].map(f64::abs);
        assert!(off.iter().all(|off| *off < 1e-9), "{difference:?}");
    }

    #[test]
    fn without_images_it_is_welchs_test_of_scipy() {
        // scipy.stats.ttest_ind([0.71, 0.75, 0.72, 0.74], [0.77, 0.74, 0.78, 0.75], equal_var=False)
        let difference = difference_of_means(&[0.71, 0.75, 0.72, 0.74], &[0.77, 0.74, 0.78, 0.75], 0.0).unwrap();
        close(difference.difference(), -0.06158949616374027, 0.0015894961637402186, 0.059141290871560365);
    }

    #[test]
    fn images_widen_the_interval_and_add_no_degrees_of_freedom() {
        let plain = difference_of_means(&FIRST, &SECOND, 0.0).unwrap();
        let with_images = difference_of_means(&FIRST, &SECOND, 0.00003).unwrap();
        assert_eq!(plain.spread.degrees, with_images.spread.degrees);
        assert!(with_images.half_width(0.05) > plain.half_width(0.05) && with_images.p() > plain.p());
    }

    #[test]
    fn very_different_spreads_leave_the_degrees_of_the_smaller_sample() {
        let unequal = difference_of_means(&[0.700, 0.701, 0.702], &[0.70, 0.74, 0.72], 0.0).unwrap();
        assert_eq!(unequal.spread.degrees, 2.0);
        let more = difference_of_means(&[0.700, 0.701, 0.702, 0.703], &[0.70, 0.74, 0.72], 0.0).unwrap();
        assert_eq!(more.spread.degrees, 2.0);
    }

    #[test]
    fn the_mean_of_samples_has_students_interval() {
        // scipy.stats.ttest_1samp([0.02, 0.05, 0.01, 0.04, 0.03], 0)
        let estimate = Estimate::of_mean(&[0.02, 0.05, 0.01, 0.04, 0.03]).unwrap();
        close(estimate.difference(), 0.01036756838522443, 0.04963243161477557, 0.01323559956368269);
    }

    #[test]
    fn what_does_not_vary_is_sure_and_one_run_says_nothing() {
        let sure = difference_of_means(&[0.5, 0.5], &[0.4, 0.4], 0.0).unwrap().difference();
        assert_eq!((sure.p, sure.interval), (0.0, Interval { low: sure.value, high: sure.value }));
        assert_eq!(difference_of_means(&[0.5, 0.5], &[0.5, 0.5], 0.0).unwrap().p(), 1.0);
        assert_eq!(difference_of_means(&[0.5, 0.5], &[0.4], 0.0), None);
        assert_eq!(difference_of_means(&[0.5, f64::NAN], &[0.4, 0.4], 0.0), None);
    }
}
