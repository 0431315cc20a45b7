//! 95 % confidence intervals.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::{mean, sample_std};

/// The 0.975-quantile of the standard normal distribution.
const Z: f64 = 1.959963984540054;

/// A closed interval, in the unit of the quantity that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// Both ends of an interval of logarithms as plain numbers.
    pub fn exp(&self) -> Self {
        Self { low: self.low.exp(), high: self.high.exp() }
    }

    /// Clamps both ends to the range from `low` to `high`, such as 0 to 1 for a fraction.
    pub fn clamp(&self, low: f64, high: f64) -> Self {
        Self { low: self.low.clamp(low, high), high: self.high.clamp(low, high) }
    }
}

/// Student's t interval for the mean of independent samples, such as the accuracies of several seeds. `None` with fewer than two
/// samples, or if one is not finite.
pub fn mean_interval(samples: &[f64]) -> Option<Interval> {
    let (mean, std) = (mean(samples)?, sample_std(samples)?);
    let half = t_quantile((samples.len() - 1) as f64) * std / (samples.len() as f64).sqrt();
    (mean.is_finite() && half.is_finite()).then_some(Interval { low: mean - half, high: mean + half })
}

/// Wilson's interval for a proportion, from `successes` in `trials`, such as the accuracy of one model on a test set. `None` without
/// trials, or with more successes than trials.
pub fn wilson_interval(successes: u64, trials: u64) -> Option<Interval> {
    if trials == 0 || successes > trials {
        return None;
    }
    let n = trials as f64;
    let proportion = successes as f64 / n;
    let denominator = 1.0 + Z * Z / n;
    let centre = (proportion + Z * Z / (2.0 * n)) / denominator;
    let half = Z / denominator * (proportion * (1.0 - proportion) / n + Z * Z / (4.0 * n * n)).sqrt();
    Some(Interval { low: centre - half, high: centre + half }.clamp(0.0, 1.0))
}

/// The 0.975-quantile of Student's t distribution, for 95 % intervals. For infinite degrees of freedom it is that of the normal
/// distribution.
pub fn t_quantile(degrees: f64) -> f64 {
    t_critical(0.05, degrees)
}

/// The value that Student's t exceeds in either direction with probability `alpha`.
pub fn t_critical(alpha: f64, degrees: f64) -> f64 {
    let below = alpha / 2.0;
    -if degrees > NORMAL { Normal::standard().inverse_cdf(below) } else { student(degrees).inverse_cdf(below) }
}

/// Degrees of freedom above which Student's distribution is taken for the normal one. They differ by less than one part in 10,000, and
/// the quantiles of statrs do not converge for some greater numbers.
const NORMAL: f64 = 1e5;

/// Probability of a value at least as far from zero as `t` in Student's t distribution. For infinite degrees of freedom this is the
/// normal distribution.
pub(super) fn two_sided_p(t: f64, degrees: f64) -> f64 {
    let below = -t.abs();
    2.0 * if degrees > NORMAL { Normal::standard().cdf(below) } else { student(degrees).cdf(below) }
}

fn student(degrees: f64) -> StudentsT {
    StudentsT::new(0.0, 1.0, degrees).expect("degrees of freedom are positive")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(actual: Option<Interval>, low: f64, high: f64, tolerance: f64) {
        let actual = actual.expect("an interval");
        assert!((actual.low - low).abs() < tolerance && (actual.high - high).abs() < tolerance, "{actual:?}");
    }

    #[test]
    fn t_quantiles_agree_with_scipy() {
        // scipy.stats.t.ppf(0.975, df)
        for (degrees, expected) in [
            (1.0, 12.706204736174694),
            (4.0, 2.7764451051977934),
            (30.0, 2.0422724563012378),
            (31.0, 2.039513446396408),
            (60.0, 2.0002978220142604),
            (1000.0, 1.9623390808264083),
            (f64::INFINITY, 1.959963984540054),
        ] {
            let actual = t_quantile(degrees);
            assert!((actual - expected).abs() < 1e-9, "{degrees}: expected {expected}, got {actual}");
        }
        // scipy.stats.t.isf(alpha / 2, degrees)
        for (alpha, degrees, expected) in [
            (0.05 / 18.0, 4.0, 6.56970047759578),
            (0.05 / 135.0, 9.0, 5.520236794627456),
            (0.001, 2.5, 18.277893528130647),
        ] {
            let actual = t_critical(alpha, degrees);
            assert!((actual / expected - 1.0).abs() < 1e-9, "{alpha} {degrees}: expected {expected}, got {actual}");
        }
        // 2 * scipy.stats.t.sf(abs(t), degrees)
        for (t, degrees, expected) in [
            (0.0, 3.0, 1.0),
            (2.5, 1.0, 0.24223788318168682),
            (2.5, 7.3, 0.03965023466560043),
            (-4.1, 30.0, 0.00028988583312918324),
            (12.0, 9.0, 7.699886222985653e-07),
        ] {
            let actual = two_sided_p(t, degrees);
            assert!((actual / expected - 1.0).abs() < 1e-9, "{t} {degrees}: expected {expected}, got {actual}");
        }
    }

    #[test]
    fn quantiles_end_for_any_degrees_of_freedom() {
        for exponent in 0..60 {
            let degrees = 1.5f64.powi(exponent);
            let quantile = t_quantile(degrees);
            assert!((1.95..=13.0).contains(&quantile), "{degrees}: {quantile}");
        }
    }

    #[test]
    fn mean_intervals_agree_with_scipy() {
        // scipy.stats.t.interval(0.95, len(x) - 1, loc=numpy.mean(x), scale=scipy.stats.sem(x))
        close(mean_interval(&[0.712, 0.734, 0.721]), 0.6948576771826299, 0.7498089894840366, 1e-8);
        close(mean_interval(&[0.712, 0.734]), 0.5832317479020782, 0.8627682520979217, 1e-8);
        let samples = [0.31, 0.12, 0.47, 0.25, 0.99, 0.08, 0.63];
        close(mean_interval(&samples), 0.11058041499776244, 0.7037052992879518, 1e-7);
        assert_eq!(mean_interval(&[0.7]), None);
        assert_eq!(mean_interval(&[0.7, f64::NAN]), None);
    }

    #[test]
    fn wilson_agrees_with_statsmodels() {
        // statsmodels.stats.proportion.proportion_confint(k, n, alpha=0.05, method="wilson")
        for (k, n, low, high) in [
            (734, 1000, 0.7057558002431918, 0.7604532767855683),
            (0, 10, 0.0, 0.27753279986288926),
            (10, 10, 0.7224672001371106, 1.0),
            (1, 3, 0.06149194472039626, 0.7923403991979523),
            (9312, 10000, 0.9260716715285763, 0.9359971682765523),
        ] {
            close(wilson_interval(k, n), low, high, 1e-12);
        }
        assert_eq!(wilson_interval(0, 0), None);
        assert_eq!(wilson_interval(2, 1), None);
    }
}
