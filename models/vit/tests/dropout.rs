//! Dropout in training.

use burn::tensor::{Device, Distribution, Tensor};
use layers::SampleKeys;
use layers::architecture::Pass;
use vit::{Config, Model, Vit, VitConfig, VitDropout};

fn model(dropout: VitDropout) -> Vit {
    let config = VitConfig { d_model: 24, heads: 4, d_ff: 40, depth: 2, dropout, ..VitConfig::tiny_cifar(7) };
    config.init_seeded(5, &Device::flex())
}

fn images(samples: usize) -> Tensor<4> {
    Tensor::random([samples, 3, 32, 32], Distribution::Normal(0.0, 1.0), &Device::flex())
}

fn keys(epoch: u64, samples: &[u64]) -> SampleKeys {
    SampleKeys { seed: 1, epoch, samples: samples.to_vec() }
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().unwrap()
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

const EACH: [VitDropout; 3] = [
    VitDropout { embeddings: 0.5, attention: 0.0, hidden: 0.0 },
    VitDropout { embeddings: 0.0, attention: 0.5, hidden: 0.0 },
    VitDropout { embeddings: 0.0, attention: 0.0, hidden: 0.5 },
];

#[test]
fn training_without_dropout_is_inference() {
    let (model, images) = (model(VitDropout::default()), images(2));
    assert_eq!(values(model.forward_training(images.clone(), &keys(0, &[0, 1]))), values(model.forward(images)));
}

#[test]
fn each_kind_changes_training_and_not_inference() {
    let images = images(2);
    let plain = values(model(VitDropout::default()).forward(images.clone()));
    for dropout in EACH {
        let model = model(dropout);
        assert_eq!(values(model.forward(images.clone())), plain, "{dropout:?}");
        let dropped = values(model.forward_training(images.clone(), &keys(0, &[0, 1])));
        assert!(difference(&dropped, &plain) > 1e-4, "{dropout:?}");
        let other_epoch = values(model.forward_training(images.clone(), &keys(1, &[0, 1])));
        assert!(difference(&dropped, &other_epoch) > 1e-4, "{dropout:?}");
    }
}

#[test]
fn a_sample_is_treated_alike_in_any_batch() {
    let images = images(3);
    for dropout in EACH {
        let model = model(dropout);
        let whole = values(model.forward_training(images.clone(), &keys(4, &[10, 11, 12])));
        let alone = values(model.forward_training(images.clone().narrow(0, 1, 1), &keys(4, &[11])));
        assert!(difference(&whole[7..14], &alone) < 1e-5, "{dropout:?}");
    }
}

#[test]
fn the_mean_over_many_draws_is_the_output_without_dropout() {
    // One linear step separates the dropped embeddings from their mean.
    let model = model(EACH[0]);
    let images = images(1);
    let plain = values(model.embed(images.clone(), Pass::Inference));
    let draws = 400;
    let batch = images.clone().repeat_dim(0, draws);
    let dropped = model.embed(batch, Pass::Training(&keys(0, &(0..draws as u64).collect::<Vec<_>>())));
    let means = values(dropped.mean_dim(0));
    let largest = plain.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    // A mean of 400 draws of 0 or 2x is off by x/20 at one standard deviation.
    assert!(difference(&means, &plain) < 6.0 * largest / 20.0);
    let zeros =
        values(model.embed(images, Pass::Training(&keys(0, &[7])))).iter().filter(|value| **value == 0.0).count();
    assert!((0.4..0.6).contains(&(zeros as f64 / plain.len() as f64)), "{zeros} of {}", plain.len());
}

#[test]
fn a_probability_of_one_is_refused() {
    let dropout = VitDropout { hidden: 1.0, ..VitDropout::default() };
    let error = VitConfig { dropout, ..VitConfig::tiny_cifar(10) }.check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "dropout.hidden: must be in [0, 1), got 1; 0 drops nothing, 0.1 a tenth of the values"
    );
}
