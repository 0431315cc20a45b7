//! Holm's correction for multiple tests.

/// A test among several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adjusted {
    /// P-value, adjusted so that the probability of even one false positive stays below the level at which it is read.
    pub p: f64,
    /// The number of tests that an interval has to be corrected for (its level divided by) so that it agrees with the test at `level`: it
    /// excludes the null hypothesis if and only if the adjusted p-value is below the level.
    pub tests: f64,
}

/// Adjusts the p-values of several tests, which need not be independent (Holm 1979, "A simple sequentially rejective multiple test
/// procedure"). Keeps the order. `level` decides which tests count as rejected.
pub fn holm(p: &[f64], level: f64) -> Vec<Adjusted> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![Adjusted { p: 1.0, tests: 1.0 }; p.len()];
    let mut greatest = 0.0_f64;
    // Where the procedure stops, all remaining hypotheses are kept.
    let mut stopped = None;
    for (rank, index) in order.into_iter().enumerate() {
        let left = (p.len() - rank) as f64;
        greatest = greatest.max(left * p[index]).min(1.0);
        if greatest >= level {
            stopped.get_or_insert(left);
        }
        adjusted[index] = Adjusted { p: greatest, tests: stopped.unwrap_or(left) };
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_statsmodels() {
        // statsmodels.stats.multitest.multipletests(p, method="holm")
        let cases: [(&[f64], &[f64]); 5] = [
            (&[0.01, 0.04, 0.03, 0.005], &[0.03, 0.06, 0.06, 0.02]),
            (&[0.2], &[0.2]),
            (&[0.5, 0.9, 0.6], &[1.0, 1.0, 1.0]),
            (&[0.001, 0.001, 0.2, 0.012, 0.03], &[0.005, 0.005, 0.2, 0.036, 0.06]),
            (&[], &[]),
        ];
        for (p, expected) in cases {
            let adjusted = holm(p, 0.05);
            assert!(adjusted.iter().zip(expected).all(|(a, b)| (a.p - b).abs() < 1e-12), "{p:?}: {adjusted:?}");
            assert_eq!(adjusted.len(), expected.len());
        }
    }

    #[test]
    fn intervals_agree_with_the_tests() {
        let p = [0.001, 0.026, 0.024, 0.004, 0.9];
        for (p, adjusted) in p.iter().zip(holm(&p, 0.05)) {
            assert_eq!(p * adjusted.tests < 0.05, adjusted.p < 0.05, "{p} {adjusted:?}");
        }
    }
}
