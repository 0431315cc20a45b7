//! The operations on Flex, Burn's CPU backend, in f32.
//!
//! Tensors arrive as views with any strides; kernels take slices. No result depends on the number of threads.

#[expect(unsafe_code, reason = "writes into memory that is not initialised, to save a pass over it")]
mod attention;
#[expect(unsafe_code, reason = "calls instructions for bf16, and reads and writes tiles through pointers")]
mod bf16;
mod channel;
mod gelu;
mod linear;
#[expect(unsafe_code, reason = "the matrix product of `gemm` takes pointers and strides")]
mod matmul;
mod norm;
#[expect(unsafe_code, reason = "writes into memory that is not initialised, to save a pass over it")]
mod patches;
#[expect(unsafe_code, reason = "gives out memory that was not initialised, once it is filled")]
mod tensor;

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::composition::{self, score_scale};
use super::extension::{FusedGradients, FusedOps, SavedAttention, SavedChannelAttention, SavedLinear};
use super::precision::Precision;

/// See [`forget_packed`](super::forget_packed).
pub(super) fn forget_packed() {
    bf16::weights::forget();
    bf16::linear::forget_last_input();
}

/// See [`bf16_is_native`](super::bf16_is_native).
pub(super) fn bf16_is_native() -> bool {
    bf16::is_native()
}

impl FusedOps for Flex {
    fn fused_gelu(x: FlexTensor) -> FlexTensor {
        gelu::forward(x)
    }

    fn fused_layer_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f64) -> FlexTensor {
        norm::forward(x, gamma, beta, epsilon)
    }

    fn fused_linear(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        match Precision::current() {
            Precision::F32 => linear::forward(x, weight),
            Precision::Bf16 => bf16::linear::forward(x, weight),
        }
    }

    fn fused_linear_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        match Precision::current() {
            Precision::F32 => linear::forward_bias(x, weight, bias),
            Precision::Bf16 => bf16::linear::forward_bias(x, weight, bias),
        }
    }

    fn fused_linear_residual(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, residual: FlexTensor) -> FlexTensor {
        match Precision::current() {
            Precision::F32 => linear::forward_residual(x, weight, bias, residual),
            Precision::Bf16 => bf16::linear::forward_residual(x, weight, bias, residual),
        }
    }

    fn fused_linear_gelu(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        match Precision::current() {
            Precision::F32 => linear::forward_gelu(x, weight, bias),
            Precision::Bf16 => bf16::linear::forward_gelu(x, weight, bias),
        }
    }

    fn fused_attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, heads: usize) -> FlexTensor {
        let (width, scale) = (head_width(&q, heads), head_scale(&q, heads));
        match Precision::current() {
            Precision::F32 => attention::forward([q, k, v], heads, scale, false).0,
            Precision::Bf16 => {
                let inputs = [q, k, v].map(|x| bf16::attention::rounded_heads(x, heads));
                bf16::attention::forward(inputs.each_ref(), width, scale, false).0
            }
        }
    }

    fn fused_project_tokens(weight: FlexTensor, x: FlexTensor) -> FlexTensor {
        match Precision::current() {
            Precision::F32 => composition::project_tokens::<Flex>(weight, x),
            Precision::Bf16 => bf16::tokens::forward(weight, x),
        }
    }

    fn fused_patches(images: FlexTensor, patch_size: usize) -> FlexTensor {
        patches::forward(images, patch_size)
    }

    fn fused_channel_attention(qkv: FlexTensor, head_dim: usize) -> FlexTensor {
        channel::forward(qkv, head_dim, score_scale(head_dim), Precision::current()).0
    }
}

impl FusedGradients for Flex {
    fn gelu_with_derivative(x: FlexTensor) -> (FlexTensor, FlexTensor) {
        gelu::forward_with_derivative(x)
    }

    fn layer_norm_backward(
        x: FlexTensor,
        gamma: FlexTensor,
        epsilon: f64,
        dy: FlexTensor,
        needs: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        norm::backward(x, gamma, epsilon, dy, needs)
    }

    fn linear_gelu_with_derivative(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> (FlexTensor, FlexTensor) {
        match Precision::current() {
            Precision::F32 => linear::forward_gelu_with_derivative(x, weight, bias),
            Precision::Bf16 => bf16::linear::forward_gelu_with_derivative(x, weight, bias),
        }
    }

    fn kept_input(x: FlexTensor) -> FlexTensor {
        match Precision::current() {
            Precision::F32 => x,
            Precision::Bf16 => bf16::linear::kept_input(x),
        }
    }

    fn linear_backward(saved: SavedLinear<Flex>, dy: FlexTensor, needs_bias: bool) -> [Option<FlexTensor>; 3] {
        match saved.precision {
            Precision::F32 => linear::backward(saved, dy, needs_bias),
            Precision::Bf16 => bf16::linear::backward(saved, dy, needs_bias),
        }
    }

    fn attention_for_training(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        heads: usize,
    ) -> (FlexTensor, SavedAttention<Flex>) {
        let (width, scale, precision) = (head_width(&q, heads), head_scale(&q, heads), Precision::current());
        let (output, statistics, inputs) = match precision {
            Precision::F32 => {
                let (output, statistics) = attention::forward([q.clone(), k.clone(), v.clone()], heads, scale, true);
                (output, statistics, [q, k, v])
            }
            Precision::Bf16 => {
                let inputs = [q, k, v].map(|x| bf16::attention::rounded_heads(x, heads));
                let (output, statistics) = bf16::attention::forward(inputs.each_ref(), width, scale, true);
                (output, statistics, inputs)
            }
        };
        let weights = statistics.expect("kept for training");
        (output, SavedAttention { inputs, weights, heads, precision })
    }

    fn attention_backward(
        saved: SavedAttention<Flex>,
        doutput: FlexTensor,
        needs: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let SavedAttention { inputs, weights, heads, precision } = saved;
        let (width, scale) = (head_width(&doutput, heads), head_scale(&doutput, heads));
        match precision {
            Precision::F32 => attention::backward(inputs, weights, doutput, heads, scale, needs),
            Precision::Bf16 => bf16::attention::backward(inputs.each_ref(), weights, doutput, width, scale, needs),
        }
    }

    fn project_tokens_backward(
        weight: FlexTensor,
        x: FlexTensor,
        dy: FlexTensor,
        needs: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        bf16::tokens::backward(weight, x, dy, needs)
    }

    fn channel_attention_for_training(qkv: FlexTensor, head_dim: usize) -> (FlexTensor, SavedChannelAttention<Flex>) {
        let precision = Precision::current();
        let (output, qkv, weights) = channel::forward_for_training(qkv, head_dim, score_scale(head_dim), precision);
        (output, SavedChannelAttention { qkv, weights, head_dim, precision })
    }

    fn channel_attention_backward(saved: SavedChannelAttention<Flex>, doutput: FlexTensor) -> FlexTensor {
        let SavedChannelAttention { qkv, weights, head_dim, precision } = saved;
        channel::backward(qkv, weights, doutput, head_dim, score_scale(head_dim), precision)
    }
}

fn head_width(q: &FlexTensor, heads: usize) -> usize {
    let [_, _, d] = q.shape().dims();
    d / heads
}

fn head_scale(q: &FlexTensor, heads: usize) -> f64 {
    score_scale(head_width(q, heads))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::simd::tests::with_every_width;

    /// Values between -2 and 2 that do not repeat.
    fn tensor<const D: usize>(shape: [usize; D]) -> FlexTensor {
        let length = shape.iter().product::<usize>();
        let values = (0..length).map(|i| 4.0 * (i as f32 * 0.618_034).fract() - 2.0).collect();
        tensor::from_values(values, shape)
    }

    fn assert_close(what: &str, actual: FlexTensor, expected: FlexTensor) {
        let (actual, expected) = (tensor::contiguous(actual), tensor::contiguous(expected));
        assert_eq!(actual.shape(), expected.shape(), "{what}");
        for (a, b) in tensor::values(&actual).iter().zip(tensor::values(&expected)) {
            assert!((a - b).abs() <= 2e-5 * b.abs().max(1.0), "{what}: {a} instead of {b}");
        }
    }

    /// The integration tests cover only the widest vectors.
    #[test]
    fn every_vector_width_agrees_with_the_composition() {
        with_every_width(|bits| {
            let close =
                |what: &str, actual, expected| assert_close(&format!("{what} with {bits} bits"), actual, expected);
            let (x, vector) = (tensor([2, 5, 37]), tensor([37]));
            close("gelu", Flex::fused_gelu(x.clone()), composition::gelu::<Flex>(x.clone()));
            close(
                "layer norm",
                Flex::fused_layer_norm(x.clone(), vector.clone(), vector.clone(), 1e-5),
                composition::layer_norm::<Flex>(x.clone(), vector.clone(), vector, 1e-5),
            );
            let (weight, bias) = (tensor([37, 19]), tensor([19]));
            close(
                "linear with GELU",
                Flex::fused_linear_gelu(x.clone(), weight.clone(), bias.clone()),
                composition::linear_gelu::<Flex>(x, weight, Some(bias)),
            );
            let (q, k) = (tensor([2, 7, 12]), tensor([2, 21, 12]));
            close(
                "attention",
                Flex::fused_attention(q.clone(), k.clone(), k.clone(), 2),
                composition::attention::<Flex>(q, k.clone(), k, 2),
            );
            for head_dim in [8, 4, 3] {
                let qkv = tensor([2, 5, 72]);
                close(
                    "channel attention",
                    Flex::fused_channel_attention(qkv.clone(), head_dim),
                    composition::channel_attention::<Flex>(qkv, head_dim),
                );
            }
        });
    }

    /// The outputs and gradients of every operation in training.
    fn outputs_and_gradients() -> Vec<(&'static str, FlexTensor)> {
        let mut all = Vec::new();
        let mut keep = |what, tensors: Vec<FlexTensor>| all.extend(tensors.into_iter().map(|tensor| (what, tensor)));
        let (x, dy, vector) = (tensor([2, 5, 37]), tensor([2, 5, 37]), tensor([37]));
        let (output, derivative) = Flex::gelu_with_derivative(x.clone());
        keep("GELU", vec![output, derivative]);
        let norm = Flex::layer_norm_backward(x.clone(), vector, 1e-5, dy, [true; 3]);
        keep("layer norm", norm.into_iter().flatten().collect());
        let (weight, bias) = (tensor([37, 19]), tensor([19]));
        keep("linear with bias", vec![Flex::fused_linear_bias(x.clone(), weight.clone(), bias.clone())]);
        let residual = tensor([2, 5, 19]);
        let with_residual = Flex::fused_linear_residual(x.clone(), weight.clone(), bias.clone(), residual.clone());
        keep("linear with residual", vec![with_residual]);
        let (output, derivative) = Flex::linear_gelu_with_derivative(x.clone(), weight.clone(), bias);
        let saved = SavedLinear {
            x: Some(x),
            weight: Some(weight),
            derivative: Some(derivative.clone()),
            d_input: 37,
            precision: Precision::F32,
        };
        keep("linear with GELU", vec![output, derivative]);
        keep(
            "gradients of linear with GELU",
            Flex::linear_backward(saved, residual, true).into_iter().flatten().collect(),
        );
        let (q, k, v) = (tensor([2, 7, 12]), tensor([2, 21, 12]), tensor([2, 21, 12]));
        let (output, saved) = Flex::attention_for_training(q, k, v, 2);
        let gradients = Flex::attention_backward(saved, output.clone(), [true; 3]);
        keep("attention", vec![output]);
        keep("gradients of attention", gradients.into_iter().flatten().collect());
        for head_dim in [8, 4, 3] {
            let qkv = tensor([2, 5, 72]);
            let (output, saved) = Flex::channel_attention_for_training(qkv, head_dim);
            let weights = saved.weights.clone();
            let gradient = Flex::channel_attention_backward(saved, output.clone());
            keep("channel attention", vec![output, weights, gradient]);
        }
        all
    }

    /// The integration tests compare the gradients of the widest vectors with those of the composition.
    #[test]
    fn every_vector_width_gives_the_same_gradients() {
        let widest = outputs_and_gradients();
        assert_eq!(widest.len(), 25);
        with_every_width(|bits| {
            for ((what, actual), (_, expected)) in outputs_and_gradients().into_iter().zip(widest.clone()) {
                assert_close(&format!("{what} with {bits} bits"), actual, expected);
            }
        });
    }

    #[test]
    fn gradients_that_are_not_wanted_are_not_computed() {
        let (x, vector) = (tensor([2, 5, 12]), tensor([12]));
        for needs in (0..8).map(|bits| [bits & 1 > 0, bits & 2 > 0, bits & 4 > 0]) {
            let exist = |gradients: [Option<FlexTensor>; 3]| gradients.map(|gradient| gradient.is_some());
            let norm = Flex::layer_norm_backward(x.clone(), vector.clone(), 1e-5, x.clone(), needs);
            assert_eq!(exist(norm), needs);
            let (_, saved) = Flex::attention_for_training(x.clone(), x.clone(), x.clone(), 3);
            assert_eq!(exist(Flex::attention_backward(saved, x.clone(), needs)), needs);
            let saved = SavedLinear {
                x: needs[1].then(|| x.clone()),
                weight: needs[0].then(|| tensor([12, 12])),
                derivative: Some(x.clone()),
                d_input: 12,
                precision: Precision::F32,
            };
            assert_eq!(exist(Flex::linear_backward(saved, x.clone(), needs[2])), needs);
        }
    }
}
