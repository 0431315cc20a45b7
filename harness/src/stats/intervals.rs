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
    /// Whether the two intervals have a point in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low <= other.high && other.low <= self.high
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

/// Distribution-free interval for the median, between two order statistics: the narrowest symmetric one whose binomial coverage is
/// at least 95 %. `None` with fewer than six samples, where no such interval exists, or if a sample is not a number.
pub fn median_interval(samples: &[f64]) -> Option<Interval> {
    if samples.iter().any(|x| x.is_nan()) {
        return None;
    }
    let skipped = order_statistics_below(samples.len())?;
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(Interval { low: sorted[skipped], high: sorted[sorted.len() - 1 - skipped] })
}

/// Number of samples out of `n` to leave out at each end: the greatest `k` with P(Binomial(n, 1/2) <= k) <= 2.5 %.
fn order_statistics_below(n: usize) -> Option<usize> {
    // In logarithms, because 2^-n underflows an f64 beyond about a thousand samples.
    let mut ln_mass = -(n as f64) * std::f64::consts::LN_2;
    let mut cumulative = 0.0;
    let mut found = None;
    for k in 0..n {
        cumulative += ln_mass.exp();
        if cumulative > 0.025 {
            break;
        }
        found = Some(k);
        ln_mass += ((n - k) as f64 / (k + 1) as f64).ln();
    }
    found
}

/// The 0.975-quantile of Student's t distribution, for 95 % intervals. For infinite degrees of freedom it is that of the normal
/// distribution.
pub fn t_quantile(degrees: f64) -> f64 {
    if degrees.is_infinite() { Z } else { student(degrees).inverse_cdf(0.975) }
}

/// Probability of a value at least as far from zero as `t` in Student's t distribution. For infinite degrees of freedom this is the
/// normal distribution.
pub(super) fn two_sided_p(t: f64, degrees: f64) -> f64 {
    let below = -t.abs();
    2.0 * if degrees.is_infinite() { Normal::standard().cdf(below) } else { student(degrees).cdf(below) }
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

    #[test]
    fn median_intervals_agree_with_scipy() {
        // scipy.stats.quantile_test(range(1, n + 1), p=0.5).confidence_interval(0.95)
        for (n, low, high) in
            [(6, 1.0, 6.0), (9, 2.0, 8.0), (10, 2.0, 9.0), (30, 10.0, 21.0), (100, 40.0, 61.0), (101, 41.0, 61.0)]
        {
            let samples: Vec<f64> = (1..=n).rev().map(f64::from).collect();
            close(median_interval(&samples), low, high, 1e-12);
        }
        assert_eq!(median_interval(&[1.0, 2.0, 3.0, 4.0, 5.0]), None);
        let many: Vec<f64> = (0..5000).map(f64::from).collect();
        assert!(median_interval(&many).is_some_and(|interval| interval.low > 2400.0 && interval.high < 2600.0));
    }

    #[test]
    fn touching_intervals_overlap() {
        let (a, b) = (Interval { low: 0.1, high: 0.2 }, Interval { low: 0.2, high: 0.3 });
        assert!(a.overlaps(&b) && b.overlaps(&a));
        assert!(!a.overlaps(&Interval { low: 0.21, high: 0.3 }));
    }
}
