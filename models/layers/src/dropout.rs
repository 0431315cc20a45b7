//! Dropout whose draws belong to a sample, not to the batch or the thread that computes it.

use burn::tensor::{Tensor, TensorData};
use rand::Rng;

use crate::random::dropout_stream;

/// The samples of a (micro-)batch, so that what is drawn for one depends on nothing else.
#[derive(Debug, Clone, Default)]
pub struct SampleKeys {
    /// The run's seed.
    pub seed: u64,
    /// The epoch, from 0.
    pub epoch: u64,
    /// The index of every sample in the training images.
    pub samples: Vec<u64>,
}

/// Dropout (Srivastava et al. 2014, <https://jmlr.org/papers/v15/srivastava14a.html>): a value becomes zero with this
/// probability and is divided by one minus it otherwise, as PyTorch's `nn.Dropout` in training. What happens to a value depends
/// on its sample's key, on `site` (the place in the model, below 65,536) and on its place in the sample alone.
///
/// # Shapes
/// - `x` and output: `[batch, ..]`
///
/// # Panics
/// If there is not one key a sample.
pub fn dropout<const D: usize>(x: Tensor<D>, probability: f64, keys: &SampleKeys, site: u16) -> Tensor<D> {
    if probability == 0.0 {
        return x;
    }
    let dims = x.dims();
    assert_eq!(keys.samples.len(), dims[0], "keys for a batch of {}", dims[0]);
    let kept = (1.0 / (1.0 - probability)) as f32;
    let threshold = (probability * (f64::from(u32::MAX) + 1.0)) as u32;
    let values_per_sample = dims[1..].iter().product();
    let mut factors = Vec::with_capacity(dims.iter().product());
    for sample in &keys.samples {
        let mut draws = dropout_stream(site, [keys.seed, keys.epoch, *sample]);
        let factor = |_| if draws.next_u32() < threshold { 0.0 } else { kept };
        factors.extend((0..values_per_sample).map(factor));
    }
    let factors = Tensor::from_data(TensorData::new(factors, dims), &x.device());
    x * factors
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn dropped(probability: f64, (seed, epoch): (u64, u64), samples: &[u64], site: u16) -> Vec<f32> {
        let keys = SampleKeys { seed, epoch, samples: samples.to_vec() };
        let ones = Tensor::<3>::ones([samples.len(), 50, 40], &Device::flex());
        dropout(ones, probability, &keys, site).into_data().try_into_vec().unwrap()
    }

    #[test]
    fn the_stated_part_is_dropped_and_the_mean_stays() {
        for probability in [0.1, 0.5, 0.9] {
            let values = dropped(probability, (1, 0), &[3, 4, 5, 6, 7, 8, 9, 10], 2);
            let count = values.len() as f64;
            let zeros = values.iter().filter(|value| **value == 0.0).count() as f64;
            // Five standard deviations.
            let tolerance = 5.0 * (probability * (1.0 - probability) / count).sqrt();
            assert!((zeros / count - probability).abs() < tolerance, "{zeros} of {count} at {probability}");
            let kept = (1.0 / (1.0 - probability)) as f32;
            assert!(values.iter().all(|value| *value == 0.0 || *value == kept));
        }
    }

    #[test]
    fn nothing_is_dropped_with_probability_zero() {
        assert_eq!(dropped(0.0, (1, 0), &[1, 2], 0), vec![1.0; 4000]);
    }

    #[test]
    fn a_samples_draws_depend_on_its_key_and_the_site_alone() {
        let whole = dropped(0.5, (1, 2), &[7, 8, 9], 4);
        assert_eq!(whole[2000..4000], dropped(0.5, (1, 2), &[8], 4));
        for other in [
            dropped(0.5, (0, 2), &[7, 8, 9], 4),
            dropped(0.5, (1, 3), &[7, 8, 9], 4),
            dropped(0.5, (1, 2), &[7, 6, 9], 4),
            dropped(0.5, (1, 2), &[7, 8, 9], 5),
        ] {
            assert_ne!(whole, other);
        }
    }

    #[test]
    #[should_panic(expected = "keys for a batch of 2")]
    fn a_sample_without_a_key_is_refused() {
        let keys = SampleKeys { samples: vec![1], ..SampleKeys::default() };
        dropout(Tensor::<2>::ones([2, 3], &Device::flex()), 0.5, &keys, 0);
    }
}
