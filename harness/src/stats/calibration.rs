//! Calibration: whether a classifier is correct as often as its confidence claims.

/// Predictions with similar confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConfidenceBin {
    /// Mean confidence, from 0 to 1.
    pub confidence: f64,
    /// Fraction of correct predictions.
    pub accuracy: f64,
    /// Number of predictions.
    pub count: usize,
}

/// Sorts predictions by confidence into `bins` intervals of equal width between 0 and 1, each open below and closed above. Empty
/// bins are left out.
pub fn confidence_bins(predictions: impl IntoIterator<Item = (f64, bool)>, bins: usize) -> Vec<ConfidenceBin> {
    let mut sums = vec![(0.0, 0_usize, 0_usize); bins];
    for (confidence, is_right) in predictions {
        let index = ((confidence * bins as f64).ceil() as usize).clamp(1, bins) - 1;
        let (confidences, right, count) = &mut sums[index];
        *confidences += confidence;
        *right += usize::from(is_right);
        *count += 1;
    }
    let bin = |(confidences, right, count): (f64, usize, usize)| ConfidenceBin {
        confidence: confidences / count as f64,
        accuracy: right as f64 / count as f64,
        count,
    };
    sums.into_iter().filter(|(_, _, count)| *count > 0).map(bin).collect()
}

/// Expected calibration error: the mean absolute difference between confidence and accuracy, weighted by the number of predictions
/// in each bin (Guo et al. 2017, "On Calibration of Modern Neural Networks"). `None` without predictions.
pub fn calibration_error(bins: &[ConfidenceBin]) -> Option<f64> {
    let count: usize = bins.iter().map(|bin| bin.count).sum();
    let gaps: f64 = bins.iter().map(|bin| bin.count as f64 * (bin.confidence - bin.accuracy).abs()).sum();
    (count > 0).then(|| gaps / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_agree_with_numpy() {
        // Binned by numpy.digitize(confidence, edges, right=True) in `make_literals.py`.
        let predictions: Vec<(f64, bool)> =
            (0..200_u32).map(|i| (0.1 + 0.9 * (f64::from(i * i % 199) / 199.0), i * 7 % 10 < 6)).collect();
        for (bins, expected) in [(15, 0.27678894472361804), (10, 0.2745477386934673)] {
            let error = calibration_error(&confidence_bins(predictions.iter().copied(), bins)).unwrap();
            assert!((error - expected).abs() < 1e-12, "expected {expected}, got {error}");
        }
    }

    #[test]
    fn edges_belong_below_and_nothing_has_no_error() {
        let bins = confidence_bins([(0.5, true), (0.51, false), (1.0, true), (0.0, false)], 2);
        assert_eq!(bins.iter().map(|bin| bin.count).collect::<Vec<_>>(), [2, 2]);
        assert_eq!(bins[0], ConfidenceBin { confidence: 0.25, accuracy: 0.5, count: 2 });
        assert_eq!(calibration_error(&[]), None);
    }
}
