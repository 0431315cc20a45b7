//! The interface between the operations and a backend. Flex implements it with our kernels (`flex/`), every other backend with the
//! default bodies, and `Autodiff` over any of them with the backward passes of `autodiff.rs`.
#![cfg_attr(
    feature = "ndarray",
    expect(deprecated, reason = "Burn discourages NdArray; the suite compares it all the same")
)]

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata, backend_extension};
use burn::tensor::Shape;

use super::composition::{self, score_scale};
use super::precision::Precision;

/// The operations that models call, routed to the backend that holds the tensors. Shapes are those of [`ops`](super). Matrix products in
/// bf16 are Flex's alone: the default bodies panic if they are asked for.
///
/// An operation with an optional bias is two methods, because the routing does not support optional tensors.
#[backend_extension(
    Flex,
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(feature = "cube"),
    Autodiff
)]
pub(super) trait FusedOps: Backend {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        composition::gelu::<Self>(x)
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        composition::layer_norm::<Self>(x, gamma, beta, epsilon)
    }

    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        only_f32();
        composition::linear::<Self>(x, weight, None)
    }

    fn fused_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        only_f32();
        composition::linear::<Self>(x, weight, Some(bias))
    }

    fn fused_linear_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        only_f32();
        composition::linear_residual::<Self>(x, weight, Some(bias), residual)
    }

    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        only_f32();
        composition::linear_gelu::<Self>(x, weight, Some(bias))
    }

    fn fused_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        only_f32();
        composition::attention::<Self>(q, k, v, heads)
    }

    fn fused_project_tokens(weight: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        only_f32();
        composition::project_tokens::<Self>(weight, x)
    }

    fn fused_patches(images: FloatTensor<Self>, patch_size: usize) -> FloatTensor<Self> {
        composition::patches::<Self>(images, patch_size)
    }

    fn fused_channel_attention(qkv: FloatTensor<Self>, head_dim: usize) -> FloatTensor<Self> {
        only_f32();
        composition::channel_attention::<Self>(qkv, head_dim)
    }
}

/// What the backward passes of the operations require of the backend below `Autodiff`.
///
/// `needs` says which gradients are needed, in the order of the operation's tensors.
pub(super) trait FusedGradients: FusedOps {
    /// `gelu(x)` and its derivative there.
    fn gelu_with_derivative(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let cdf = composition::normal_cdf::<Self>(x.clone());
        // φ(x) = exp(-x² / 2) / √(2π)
        let exponent = Self::float_mul_scalar(Self::float_mul(x.clone(), x.clone()), (-0.5).into());
        let density = Self::float_mul_scalar(Self::float_exp(exponent), std::f64::consts::TAU.powf(-0.5).into());
        let derivative = Self::float_add(cdf.clone(), Self::float_mul(x.clone(), density));
        (Self::float_mul(x, cdf), derivative)
    }

    /// The gradients of `x`, `gamma` and `beta`.
    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        epsilon: f64,
        dy: FloatTensor<Self>,
        needs: [bool; 3],
    ) -> [Option<FloatTensor<Self>>; 3] {
        let last = x.rank() - 1;
        let centred = Self::float_sub(x.clone(), Self::float_mean_dim(x, last));
        let variance = Self::float_mean_dim(Self::float_mul(centred.clone(), centred.clone()), last);
        let scale = Self::float_recip(Self::float_sqrt(Self::float_add_scalar(variance, epsilon.into())));
        let normalised = Self::float_mul(centred, scale.clone());
        let [needs_x, needs_gamma, needs_beta] = needs;
        let dgamma = needs_gamma.then(|| sum_of_rows::<Self>(Self::float_mul(dy.clone(), normalised.clone())));
        let dbeta = needs_beta.then(|| sum_of_rows::<Self>(dy.clone()));
        let dx = needs_x.then(|| {
            let mut shape = vec![1; last];
            shape.extend(gamma.shape().iter());
            let q = Self::float_mul(dy, Self::float_reshape(gamma, Shape::from(shape)));
            let q_mean = Self::float_mean_dim(q.clone(), last);
            let qh_mean = Self::float_mean_dim(Self::float_mul(q.clone(), normalised.clone()), last);
            let inner = Self::float_sub(Self::float_sub(q, q_mean), Self::float_mul(normalised, qh_mean));
            Self::float_mul(scale, inner)
        });
        [dx, dgamma, dbeta]
    }

    /// `gelu(x weight + bias)` and the derivative of GELU there.
    fn linear_gelu_with_derivative(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        Self::gelu_with_derivative(Self::fused_linear_bias(x, weight, bias))
    }

    /// The input of a linear layer as [`Self::linear_backward`] needs it.
    fn kept_input(x: FloatTensor<Self>) -> FloatTensor<Self> {
        x
    }

    /// The gradients of `x`, `weight` and `bias`.
    fn linear_backward(
        saved: SavedLinear<Self>,
        dy: FloatTensor<Self>,
        needs_bias: bool,
    ) -> [Option<FloatTensor<Self>>; 3] {
        let dz = match saved.derivative {
            Some(derivative) => Self::float_mul(dy, derivative),
            None => dy,
        };
        let dbias = needs_bias.then(|| sum_of_rows::<Self>(dz.clone()));
        let dweight = saved.x.map(|x| Self::linear_weight_backward(rows::<Self>(x), rows::<Self>(dz.clone())));
        let dx = saved.weight.map(|weight| {
            let mut shape = dz.shape();
            let last = shape.num_dims() - 1;
            shape[last] = weight.shape()[0];
            Self::float_reshape(Self::linear_x_backward(weight, rows::<Self>(dz)), shape)
        });
        [dx, dweight, dbias]
    }

    /// The result of the attention, and what [`Self::attention_backward`] needs.
    fn attention_for_training(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        heads: usize,
    ) -> (FloatTensor<Self>, SavedAttention<Self>) {
        let weights = composition::attention_weights::<Self>(q.clone(), k.clone(), heads);
        let output = Self::float_matmul(weights.clone(), composition::split_heads::<Self>(v.clone(), heads));
        let saved = SavedAttention { inputs: [q, k, v], weights, heads, precision: Precision::current() };
        (composition::merge_heads::<Self>(output), saved)
    }

    /// The gradients of `q`, `k` and `v`.
    fn attention_backward(
        saved: SavedAttention<Self>,
        doutput: FloatTensor<Self>,
        needs: [bool; 3],
    ) -> [Option<FloatTensor<Self>>; 3] {
        let SavedAttention { inputs: [q, k, v], weights, heads, .. } = saved;
        let [_, _, d] = q.shape().dims();
        let scale = score_scale(d / heads);
        let [q, k, v, doutput] = [q, k, v, doutput].map(|x| composition::split_heads::<Self>(x, heads));
        let transposed = |x| Self::float_swap_dims(x, 2, 3);
        let [needs_q, needs_k, needs_v] = needs;
        let dv = needs_v.then(|| Self::float_matmul(transposed(weights.clone()), doutput.clone()));
        let dscores = (needs_q || needs_k).then(|| {
            let dweights = Self::float_matmul(doutput, transposed(v));
            Self::float_mul_scalar(softmax_backward::<Self>(weights, dweights, 3), scale.into())
        });
        let dq = needs_q.then(|| Self::float_matmul(dscores.clone().expect("computed above"), k));
        let dk = needs_k.then(|| Self::float_matmul(transposed(dscores.expect("computed above")), q));
        [dq, dk, dv].map(|gradient| gradient.map(composition::merge_heads::<Self>))
    }

    /// The gradients of `weight` and `x` of [`FusedOps::fused_project_tokens`] in bf16.
    fn project_tokens_backward(
        _weight: FloatTensor<Self>,
        _x: FloatTensor<Self>,
        _dy: FloatTensor<Self>,
        _needs: [bool; 2],
    ) -> [Option<FloatTensor<Self>>; 2] {
        unreachable!("the forward pass in bf16 panicked on this backend")
    }

    /// The result of the channel attention, and what [`Self::channel_attention_backward`] needs.
    fn channel_attention_for_training(
        qkv: FloatTensor<Self>,
        head_dim: usize,
    ) -> (FloatTensor<Self>, SavedChannelAttention<Self>) {
        let v = composition::channel_heads::<Self>(composition::third::<Self>(qkv.clone(), 2), head_dim);
        let weights = composition::channel_attention_weights::<Self>(qkv.clone(), head_dim);
        let output = composition::merge_channel_heads::<Self>(Self::float_matmul(weights.clone(), v));
        (output, SavedChannelAttention { qkv, weights, head_dim, precision: Precision::current() })
    }

    /// The gradient of `qkv`.
    fn channel_attention_backward(saved: SavedChannelAttention<Self>, doutput: FloatTensor<Self>) -> FloatTensor<Self> {
        let SavedChannelAttention { qkv, weights, head_dim, .. } = saved;
        let heads = |x| composition::channel_heads::<Self>(x, head_dim);
        let [q, k, v] = [0, 1, 2].map(|part| heads(composition::third::<Self>(qkv.clone(), part)));
        let doutput = heads(doutput);
        let transposed = |x| Self::float_swap_dims(x, 2, 3);
        let dv = Self::float_matmul(transposed(weights.clone()), doutput.clone());
        let dweights = Self::float_matmul(doutput, transposed(v));
        let dscores = softmax_backward::<Self>(weights, dweights, 2);
        let dscores = Self::float_mul_scalar(dscores, score_scale(head_dim).into());
        let dq = Self::float_matmul(dscores.clone(), k);
        let dk = Self::float_matmul(transposed(dscores), q);
        Self::float_cat([dq, dk, dv].map(composition::merge_channel_heads::<Self>).into(), 2)
    }
}

/// What a linear layer keeps for its backward pass.
#[derive(Clone, Debug)]
pub(super) struct SavedLinear<B: Backend> {
    /// The input, if the gradient of the weight is needed.
    pub(super) x: Option<FloatTensor<B>>,
    /// The weight, if the gradient of the input is needed.
    pub(super) weight: Option<FloatTensor<B>>,
    /// The derivative of the activation function that follows, if one does.
    pub(super) derivative: Option<FloatTensor<B>>,
    /// Length of the input's last axis.
    pub(super) d_input: usize,
    /// That of the products.
    pub(super) precision: Precision,
}

/// What the attention keeps for its backward pass.
#[derive(Clone, Debug)]
pub(super) struct SavedAttention<B: Backend> {
    /// Queries, keys and values, in the backend's own form.
    pub(super) inputs: [FloatTensor<B>; 3],
    /// The weights, or what the backend computes them from.
    pub(super) weights: FloatTensor<B>,
    /// Number of heads.
    pub(super) heads: usize,
    /// That of the products.
    pub(super) precision: Precision,
}

/// What the channel attention keeps for its backward pass.
#[derive(Clone, Debug)]
pub(super) struct SavedChannelAttention<B: Backend> {
    /// Queries, keys and values, in the backend's own form.
    pub(super) qkv: FloatTensor<B>,
    /// The weights.
    pub(super) weights: FloatTensor<B>,
    /// Channels of a head.
    pub(super) head_dim: usize,
    /// That of the products.
    pub(super) precision: Precision,
}

/// # Panics
/// If products are to be computed in another precision.
fn only_f32() {
    let precision = Precision::current();
    assert_eq!(precision, Precision::F32, "on this backend, matrix products are computed in f32, not in {precision}");
}

/// `[.., d]` to `[rows, d]`.
fn rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let shape = x.shape();
    let d = shape[shape.num_dims() - 1];
    B::float_reshape(x, [shape.num_elements() / d, d].into())
}

/// `[.., d]` to `[d]`.
fn sum_of_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let sums = B::float_sum_dim(rows::<B>(x), 0);
    let d = sums.shape()[1];
    B::float_reshape(sums, [d].into())
}

/// The gradient of the softmax's input along `axis`, where `weights` is its result.
fn softmax_backward<B: Backend>(weights: FloatTensor<B>, dweights: FloatTensor<B>, axis: usize) -> FloatTensor<B> {
    let weighted = B::float_mul(weights.clone(), dweights);
    let mean = B::float_sum_dim(weighted.clone(), axis);
    B::float_sub(weighted, B::float_mul(weights, mean))
}

#[cfg(feature = "ndarray")]
mod ndarray {
    use burn::backend::NdArray;

    use super::{FusedGradients, FusedOps};

    impl FusedOps for NdArray {}
    impl FusedGradients for NdArray {}
}

/// All runtimes of CubeCL (CUDA, Vulkan, Metal, WebGPU), with and without fusion.
#[cfg(feature = "cube")]
mod cube {
    use burn::backend::Cube;

    use super::{FusedGradients, FusedOps};

    impl FusedOps for Cube {}
    impl FusedGradients for Cube {}
}
