//! Differences of two means, with intervals and p-values from the components of their variance.

use super::intervals::{t_quantile, two_sided_p};
use super::{Interval, mean};

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

/// A component of a difference's variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Variance of the difference of the means.
    pub variance: f64,
    /// Degrees of freedom of the variance estimate, infinite if the variance is known.
    pub degrees: f64,
}

impl Spread {
    /// The variance of the difference between the means of two independent samples, assuming that both have the same variance (as in
    /// Student's two-sample test). `None` with fewer than three values in total, or if a sample is empty.
    pub fn pooled(first: &[f64], second: &[f64]) -> Option<Self> {
        let degrees = (first.len() + second.len()).checked_sub(2).filter(|degrees| *degrees > 0)? as f64;
        let squares = squares(first)? + squares(second)?;
        let variance = squares / degrees * (1.0 / first.len() as f64 + 1.0 / second.len() as f64);
        Some(Self { variance, degrees })
    }

    /// The sum of independent components, with degrees of freedom by the Welch-Satterthwaite equation.
    pub fn sum(parts: &[Self]) -> Self {
        let variance: f64 = parts.iter().map(|part| part.variance).sum();
        let squares: f64 = parts.iter().map(|part| part.variance.powi(2) / part.degrees).sum();
        Self { variance, degrees: if squares > 0.0 { variance.powi(2) / squares } else { f64::INFINITY } }
    }

    /// Half the width of a 95 % interval.
    pub fn half_width(self) -> f64 {
        t_quantile(self.degrees) * self.variance.sqrt()
    }
}

/// A difference and its variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// First minus second.
    pub value: f64,
    /// Variance of the difference.
    pub spread: Spread,
}

impl Estimate {
    /// `None` if the value or the variance is not finite.
    pub fn new(value: f64, spread: Spread) -> Option<Self> {
        (value.is_finite() && spread.variance.is_finite()).then_some(Self { value, spread })
    }

    /// Two-sided p-value for the hypothesis of no difference.
    pub fn p(self) -> f64 {
        let Spread { variance, degrees } = self.spread;
        if variance > 0.0 {
            two_sided_p(self.value / variance.sqrt(), degrees)
        } else {
            // Without any variance, any difference is certain.
            f64::from(u8::from(self.value == 0.0))
        }
    }

    /// The difference with its interval and p-value.
    pub fn difference(self) -> Difference {
        let Self { value, spread } = self;
        let half = spread.half_width();
        Difference { value, interval: Interval { low: value - half, high: value + half }, p: self.p() }
    }
}

/// The difference between the mean results of two models over their runs. Seeds are independent; all runs share the same images.
///
/// `image_variance` is the variance over the images of the difference between the two models' mean numbers of correct predictions,
/// divided by the number of `images`. Adding the variances of seeds and images counts their shared part twice and so errs on the safe
/// side (Owen 2007, "The pigeonhole bootstrap"). `None` with fewer than three runs in total, if a model has no runs, or if a number
/// is not finite.
pub fn difference_of_means(first: &[f64], second: &[f64], image_variance: f64, images: usize) -> Option<Estimate> {
    let seeds = Spread::pooled(first, second)?;
    let of_images = Spread { variance: image_variance, degrees: images.saturating_sub(1).max(1) as f64 };
    Estimate::new(mean(first)? - mean(second)?, Spread::sum(&[seeds, of_images]))
}

fn squares(samples: &[f64]) -> Option<f64> {
    let mean = mean(samples)?;
    Some(samples.iter().map(|x| (x - mean).powi(2)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: [f64; 3] = [0.712, 0.734, 0.721];
    const SECOND: [f64; 2] = [0.741, 0.752];

    fn close(difference: Difference, low: f64, high: f64, p: f64) {
        let Difference { interval, p: actual, .. } = difference;
        let off = [interval.low - low, interval.high - high, actual - p].map(f64::abs);
        assert!(off.iter().all(|off| *off < 1e-9), "{difference:?}");
    }

    #[test]
    fn without_images_it_is_the_two_sample_t_test_of_scipy() {
        // scipy.stats.ttest_ind(FIRST, SECOND)
        let difference = difference_of_means(&FIRST, &SECOND, 0.0, 1000).unwrap().difference();
        close(difference, -0.053467392683056954, 0.0051340593497236145, 0.07867459164880808);
    }

    #[test]
    fn with_images_the_degrees_are_those_of_satterthwaite() {
        // From scipy.stats.t with the formulas in `make_literals.py`.
        let difference = difference_of_means(&FIRST, &SECOND, 0.00003, 1000).unwrap().difference();
        close(difference, -0.05097288185773212, 0.0026395485243987764, 0.06894083143724762);
    }

    #[test]
    fn what_does_not_vary_is_sure_and_two_runs_say_nothing() {
        let sure = difference_of_means(&[0.5, 0.5], &[0.4, 0.4], 0.0, 10).unwrap().difference();
        assert_eq!((sure.p, sure.interval), (0.0, Interval { low: sure.value, high: sure.value }));
        assert_eq!(difference_of_means(&[0.5, 0.5], &[0.5, 0.5], 0.0, 10).unwrap().p(), 1.0);
        assert_eq!(difference_of_means(&[0.5], &[0.4], 0.0, 10), None);
        assert_eq!(difference_of_means(&[0.5, f64::NAN], &[0.4], 0.0, 10), None);
    }
}
