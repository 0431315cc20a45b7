//! Holm's correction for multiple tests.

/// Adjusts the p-values of several tests so that the probability of even one false positive stays below the significance level (Holm
/// 1979, "A simple sequentially rejective multiple test procedure"). Keeps the order. The tests need not be independent.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]));
    let mut adjusted = vec![1.0; p.len()];
    let mut greatest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        greatest = greatest.max((p.len() - rank) as f64 * p[index]).min(1.0);
        adjusted[index] = greatest;
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
            let adjusted = holm(p);
            assert!(adjusted.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{p:?}: {adjusted:?}");
            assert_eq!(adjusted.len(), expected.len());
        }
    }
}
