//! Gradient checkpointing (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost",
//! <https://arxiv.org/abs/1604.06174>), with a checkpoint before every stage: a lane holds the inputs of all stages and the
//! graph of one, instead of the graphs of all, and computes every stage twice. The gradients are the same.

use burn::module::Module;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Gradients, Tensor};
use layers::architecture::Pass;

use super::batch::MicroBatch;
use super::gradients::{LaneGradients, cross_entropy_sum, host_values};
use crate::architecture::Architecture;

/// As [`plain_gradients`](super::gradients::plain_gradients), in less memory.
pub(super) fn checkpointed_gradients(model: &Architecture, part: MicroBatch, total: usize) -> LaneGradients {
    let MicroBatch { images, targets, keys, .. } = part;
    let pass = Pass::Training(&keys);
    let (inputs, last) = stage_inputs(model, images.clone(), pass);
    // Each part of the model has gradients of its own parameters only, so accumulation collects them all.
    let mut collected = GradientsAccumulator::new();
    let mut collect = |gradients: Gradients| collected.accumulate(model, GradientsParams::from_grads(gradients, model));

    let last = Tensor::from_inner(last).require_grad();
    let logits = model.classify(last.clone());
    let loss = cross_entropy_sum(logits.clone(), targets);
    let loss_sum = f64::from(loss.clone().into_scalar::<f32>());
    let logits = host_values(logits.inner());
    let mut gradients = (loss / total as f64).backward();
    let mut doutput = take_gradient(&last, &mut gradients);
    collect(gradients);

    for (stage, input) in inputs.into_iter().enumerate().rev() {
        let input = Tensor::from_inner(input).require_grad();
        let mut gradients = backward(model.stage(stage, input.clone(), pass), doutput);
        doutput = take_gradient(&input, &mut gradients);
        collect(gradients);
    }
    collect(backward(model.embed(images, pass), doutput));
    LaneGradients { loss_sum, logits, gradients: collected.grads() }
}

/// The input of every stage and the output of the last, computed without a graph.
fn stage_inputs(model: &Architecture, images: Tensor<4>, pass: Pass<'_>) -> (Vec<Tensor<3>>, Tensor<3>) {
    let model = model.valid();
    let mut x = model.embed(images.inner(), pass);
    let mut inputs = Vec::with_capacity(model.depth());
    for stage in 0..model.depth() {
        inputs.push(x.clone());
        x = model.stage(stage, x, pass);
    }
    (inputs, x)
}

/// The backward pass of a part of the model, whose output has the gradient `doutput`.
fn backward(output: Tensor<3>, doutput: Tensor<3>) -> Gradients {
    (output * Tensor::from_inner(doutput)).sum().backward()
}

fn take_gradient(input: &Tensor<3>, gradients: &mut Gradients) -> Tensor<3> {
    input.grad_remove(gradients).expect("every part of a model depends on its input")
}

#[cfg(test)]
mod tests {
    use super::super::gradients::plain_gradients;
    use super::*;
    use crate::architecture::ArchitectureConfig;
    use crate::weights::parameters;
    use burn::tensor::Device;
    use burn::tensor::activation::softmax;
    use conv_vit::ConvVitConfig;
    use layers::{Init, SampleKeys, Scheme};
    use linformer::LinformerConfig;
    use vit::{Head, VitConfig, VitDropout};

    fn models() -> [ArchitectureConfig; 3] {
        let vit = VitConfig { d_model: 24, depth: 3, heads: 3, d_ff: 40, ..VitConfig::tiny_cifar(7) };
        // Recomputed stages must draw the same random numbers again.
        let dropout = VitDropout { embeddings: 0.2, attention: 0.2, hidden: 0.2 };
        let linformer = LinformerConfig {
            patch_size: 8,
            d_model: 20,
            depth: 2,
            heads: 5,
            d_ff: 36,
            k: 11,
            ..LinformerConfig::published()
        };
        [
            ArchitectureConfig::from(VitConfig { head: Head::Pooler, dropout, ..vit }),
            ArchitectureConfig::from(linformer),
            ArchitectureConfig::from(ConvVitConfig { patch_size: 4, ..ConvVitConfig::published() }),
        ]
        .map(|config| config.for_images(32, 7))
    }

    #[test]
    fn gradients_are_those_of_the_plain_pass() {
        let device = Device::flex().autodiff();
        for config in models() {
            let model = config.init(3, &device);
            // The same values in every run: Burn's generator is shared with all other tests.
            let host = Device::flex();
            let mut values = Init::new(Scheme::PyTorch, 5, &host);
            let images = Tensor::from_data(values.normal([4, 3, 32, 32], 1.0).val().into_data(), &device);
            let targets = softmax(values.normal([4, 7], 1.0).val(), 1);
            let targets = Tensor::from_data(targets.into_data(), &device);
            let keys = SampleKeys { seed: 1, epoch: 2, samples: vec![3, 1, 4, 5] };
            let part = MicroBatch { images, targets, keys, labels: Vec::new(), digests: Vec::new() };
            let plain = plain_gradients(&model, part.clone(), 5);
            let again = checkpointed_gradients(&model, part, 5);
            let close = |a: f64, b: f64| (a - b).abs() <= 1e-6 * a.abs().max(1.0);
            let logits = plain.logits.iter().zip(&again.logits);
            assert!(close(plain.loss_sum, again.loss_sum), "{}", config.kind());
            assert!(logits.clone().all(|(a, b)| close(f64::from(*a), f64::from(*b))), "{}", config.kind());
            assert_eq!(plain.gradients.len(), again.gradients.len(), "{}", config.kind());
            let expected = parameters::gradients(&model, &plain.gradients);
            let found = parameters::gradients(&model, &again.gradients);
            let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
            let norms = expected.values().map(|v| norm(&mut v.data.iter().map(|v| f64::from(*v))));
            let largest = norms.fold(0.0, f64::max);
            for (path, expected) in &expected {
                let pairs = expected.data.iter().zip(&found[path].data);
                let difference = norm(&mut pairs.map(|(a, b)| f64::from(*a) - f64::from(*b)));
                // Some gradients are zero in exact arithmetic, such as the key biases'.
                let scale = norm(&mut expected.data.iter().map(|v| f64::from(*v))).max(1e-3 * largest);
                assert!(difference <= 1e-6 * scale, "{} {path}: {difference} of {scale}", config.kind());
            }
        }
    }
}
