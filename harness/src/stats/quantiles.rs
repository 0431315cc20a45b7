//! Quantiles, mean and standard deviation of a sample.

/// The `q`-quantile of `samples` by linear interpolation between order statistics (type 7 of Hyndman and Fan, the default of
/// numpy). `None` if there are no samples, if one of them is not a number, or if `q` is outside `0..=1`.
pub fn quantile(samples: &[f64], q: f64) -> Option<f64> {
    if samples.is_empty() || !(0.0..=1.0).contains(&q) || samples.iter().any(|x| x.is_nan()) {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = position.ceil() as usize;
    if sorted[below] == sorted[above] {
        // Also covers two infinite values, whose difference would not be a number.
        return Some(sorted[below]);
    }
    Some(sorted[below] + (position - below as f64) * (sorted[above] - sorted[below]))
}

/// The 0.5-quantile. `None` as for [`quantile`].
pub fn median(samples: &[f64]) -> Option<f64> {
    quantile(samples, 0.5)
}

/// Arithmetic mean. `None` without samples.
pub fn mean(samples: &[f64]) -> Option<f64> {
    if samples.is_empty() { None } else { Some(samples.iter().sum::<f64>() / samples.len() as f64) }
}

/// Standard deviation with `n - 1` in the denominator. `None` with fewer than two samples.
pub fn sample_std(samples: &[f64]) -> Option<f64> {
    if samples.len() < 2 {
        return None;
    }
    let mean = mean(samples)?;
    let squares: f64 = samples.iter().map(|x| (x - mean).powi(2)).sum();
    Some((squares / (samples.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLES: [f64; 7] = [0.31, 0.12, 0.47, 0.25, 0.99, 0.08, 0.63];

    fn close(actual: Option<f64>, expected: f64) {
        let actual = actual.expect("a value");
        assert!((actual - expected).abs() < 1e-12, "expected {expected}, got {actual}");
    }

    #[test]
    fn quantiles_agree_with_numpy() {
        // numpy.quantile(SAMPLES, q)
        for (q, expected) in
            [(0.0, 0.08), (0.1, 0.104), (0.25, 0.185), (0.5, 0.31), (0.9, 0.774), (0.99, 0.9684), (1.0, 0.99)]
        {
            close(quantile(&SAMPLES, q), expected);
        }
        close(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
    }

    #[test]
    fn moments_agree_with_numpy() {
        // numpy.mean(SAMPLES), numpy.std(SAMPLES, ddof=1)
        close(mean(&SAMPLES), 0.4071428571428571);
        close(sample_std(&SAMPLES), 0.3206615186201948);
    }

    #[test]
    fn what_does_not_exist_is_none() {
        assert_eq!(median(&[]), None);
        assert_eq!(mean(&[]), None);
        assert_eq!(sample_std(&[1.0]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(quantile(&[1.0], 1.5), None);
        assert_eq!(median(&[f64::INFINITY, f64::INFINITY]), Some(f64::INFINITY));
    }
}
