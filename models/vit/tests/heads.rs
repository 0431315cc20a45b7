//! Masked and pruned attention heads.

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use vit::{Config, HeadMask, Model, Vit, VitConfig};

const D_MODEL: usize = 24;
const HEADS: usize = 4;

fn model(device: &Device) -> Vit {
    let config = VitConfig { d_model: D_MODEL, heads: HEADS, d_ff: 40, depth: 3, ..VitConfig::tiny_cifar(7) };
    config.init(device).map(&mut Enlarge)
}

/// Weights of the size of the activations, so that attention is far from uniform and every head matters; biases as well.
struct Enlarge;

impl burn::module::ModuleMapper for Enlarge {
    fn map_float<const D: usize>(&mut self, param: burn::module::Param<Tensor<D>>) -> burn::module::Param<Tensor<D>> {
        param.map(|values| values.random_like(Distribution::Normal(0.0, 0.3)))
    }
}

fn images(device: &Device) -> Tensor<4> {
    Tensor::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), device)
}

fn difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar()
}

#[test]
fn a_mask_of_ones_changes_nothing_and_other_factors_scale_the_weights() {
    let device = Device::flex();
    let (model, images) = (model(&device), images(&device));
    let plain = model.forward_full(images.clone());
    let ones = model.forward_masked(images.clone(), &HeadMask::EveryLayer(vec![1.0; HEADS]));
    assert!(difference(plain.logits.clone(), ones.logits) < 1e-5);
    assert!(difference(plain.logits.clone(), model.forward(images.clone())) == 0.0);

    let factors = [1.0, 0.0, 0.5, 2.0];
    let mask = HeadMask::PerLayer(vec![factors.to_vec(), vec![1.0; HEADS], vec![1.0; HEADS]]);
    let masked = model.forward_masked(images, &mask);
    assert!(difference(plain.logits, masked.logits) > 1e-3);
    let sums: Vec<f32> = masked.attentions[0].clone().sum_dim(3).into_data().try_into_vec().unwrap();
    for (index, sum) in sums.iter().enumerate() {
        let factor = factors[index / 65 % HEADS];
        assert!((sum - factor).abs() < 1e-5, "row {index} sums to {sum}, not {factor}");
    }
}

#[test]
fn pruning_equals_masking_by_zero_and_takes_away_the_heads_parameters() {
    let device = Device::flex();
    let (model, images) = (model(&device), images(&device));
    let mask = HeadMask::PerLayer(vec![vec![1.0, 0.0, 1.0, 0.0], vec![1.0; HEADS], vec![0.0, 0.0, 1.0, 0.0]]);
    let masked = model.forward_masked(images.clone(), &mask);
    let pruned = model.clone().prune_heads(&[(0, &[1, 3]), (2, &[0]), (2, &[1, 3, 3])]).unwrap();
    assert!(difference(masked.logits, pruned.forward(images.clone())) < 1e-5);
    for (masked, pruned) in masked.hidden_states.into_iter().zip(pruned.forward_full(images).hidden_states) {
        assert!(difference(masked, pruned) < 1e-5);
    }
    // A head has 6 channels: columns and biases of query, key and value, and rows of output.
    let head = 3 * 6 * (D_MODEL + 1) + 6 * D_MODEL;
    assert_eq!(model.num_params() - pruned.num_params(), 5 * head);
    let attention = &pruned.blocks[2].attention;
    assert_eq!((attention.heads, attention.query.weight.dims(), attention.output.weight.dims()), (1, [24, 6], [6, 24]));
}

#[test]
fn a_pruned_model_is_trained_as_any() {
    let device = Device::flex().autodiff();
    let pruned = model(&device).prune_heads(&[(1, &[2])]).unwrap();
    let gradients = pruned.forward(images(&device)).square().sum().backward();
    let weight = pruned.blocks[1].attention.query.weight.val();
    assert_eq!(weight.grad(&gradients).expect("it is a leaf").dims(), [24, 18]);
}

#[test]
fn what_cannot_be_pruned_is_named() {
    let device = Device::flex();
    let error = |heads: &[(usize, &[usize])]| model(&device).prune_heads(heads).unwrap_err().to_string();
    assert_eq!(error(&[(3, &[0])]), "heads: there is no layer 3; count from 0 to 2");
    assert_eq!(error(&[(1, &[0, 4])]), "heads: layer 1 has no head 4; count from 0 to 3");
    assert_eq!(
        error(&[(1, &[0, 1]), (1, &[2, 3])]),
        "heads: nothing would be left of the 4 heads of layer 1; keep at least one head of a layer"
    );
}

#[test]
#[should_panic(expected = "the mask's layers for a model of 3")]
fn a_mask_for_another_depth_is_refused() {
    let device = Device::flex();
    model(&device).forward_masked(images(&device), &HeadMask::PerLayer(vec![vec![1.0; HEADS]; 2]));
}

#[test]
#[should_panic(expected = "for layer 0 of 4 heads")]
fn a_mask_for_another_number_of_heads_is_refused() {
    let device = Device::flex();
    model(&device).forward_masked(images(&device), &HeadMask::EveryLayer(vec![1.0; 3]));
}
