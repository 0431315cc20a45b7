//! The operations on Flex, Burn's CPU backend, in f32.
//!
//! Tensors come as views of any strides; kernels take slices. Every result is independent of the number of threads.

mod attention;
mod channel;
mod gelu;
mod linear;
mod matmul;
mod norm;
mod tensor;

use burn::backend::{Flex, TensorMetadata, flex::FlexTensor};

use super::composition::score_scale;
use super::extension::{FusedGradients, FusedOps, SavedLinear};

impl FusedOps for Flex {
    fn fused_gelu(x: FlexTensor) -> FlexTensor {
        gelu::forward(x)
    }

    fn fused_layer_norm(x: FlexTensor, gamma: FlexTensor, beta: FlexTensor, epsilon: f64) -> FlexTensor {
        norm::forward(x, gamma, beta, epsilon)
    }

    fn fused_linear(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        linear::forward(x, weight)
    }

    fn fused_linear_bias(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        linear::forward_bias(x, weight, bias)
    }

    fn fused_linear_residual(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        residual: FlexTensor,
    ) -> FlexTensor {
        linear::forward_residual(x, weight, bias, residual)
    }

    fn fused_linear_gelu(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        linear::forward_gelu(x, weight, bias)
    }

    fn fused_attention(q: FlexTensor, k: FlexTensor, v: FlexTensor, heads: usize) -> FlexTensor {
        let scale = head_scale(&q, heads);
        attention::forward([q, k, v], heads, scale, false).0
    }

    fn fused_channel_attention(qkv: FlexTensor, head_channels: usize) -> FlexTensor {
        channel::forward(qkv, head_channels, score_scale(head_channels)).0
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
        linear::forward_gelu_with_derivative(x, weight, bias)
    }

    fn linear_backward(saved: SavedLinear<Flex>, dy: FlexTensor, needs_bias: bool) -> [Option<FlexTensor>; 3] {
        linear::backward(saved, dy, needs_bias)
    }

    fn attention_for_training(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        heads: usize,
    ) -> (FlexTensor, FlexTensor) {
        let scale = head_scale(&q, heads);
        let (output, statistics) = attention::forward([q, k, v], heads, scale, true);
        (output, statistics.expect("kept for training"))
    }

    fn attention_backward(
        inputs: [FlexTensor; 3],
        saved: FlexTensor,
        doutput: FlexTensor,
        heads: usize,
        needs: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let scale = head_scale(&inputs[0], heads);
        attention::backward(inputs, saved, doutput, heads, scale, needs)
    }

    fn channel_attention_with_weights(qkv: FlexTensor, head_channels: usize) -> (FlexTensor, FlexTensor) {
        channel::forward(qkv, head_channels, score_scale(head_channels))
    }

    fn channel_attention_backward(
        qkv: FlexTensor,
        weights: FlexTensor,
        doutput: FlexTensor,
        head_channels: usize,
    ) -> FlexTensor {
        channel::backward(qkv, weights, doutput, head_channels, score_scale(head_channels))
    }
}

fn head_scale(q: &FlexTensor, heads: usize) -> f64 {
    let [_, _, d] = q.shape().dims();
    score_scale(d / heads)
}
