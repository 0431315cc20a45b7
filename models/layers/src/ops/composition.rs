//! The operations as compositions of a backend's own operations. Backends without our kernels use them, and the kernels are tested
//! against them.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::Shape;

/// The factor that keeps the variance of `q · k` independent of the number of its terms.
pub(super) fn score_scale(width: usize) -> f64 {
    (width as f64).powf(-0.5)
}

/// The normal distribution function, `(1 + erf(x / √2)) / 2`.
pub(super) fn normal_cdf<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(x, std::f64::consts::FRAC_1_SQRT_2.into()));
    B::float_mul_scalar(B::float_add_scalar(erf, 1.0.into()), 0.5.into())
}

/// Written out, because on some backends the derivative of Burn's own GELU is that of the tanh approximation.
pub(super) fn gelu<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_mul(x.clone(), normal_cdf::<B>(x))
}

pub(super) fn layer_norm<B: Backend>(
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    epsilon: f64,
) -> FloatTensor<B> {
    B::layer_norm(x, gamma, Some(beta), epsilon)
}

pub(super) fn linear<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    let [d_input, d_output] = weight.shape().dims();
    if x.rank() == 1 {
        // Burn's own linear layer needs a leading axis.
        let y = B::linear(B::float_reshape(x, [1, d_input].into()), weight, bias);
        return B::float_reshape(y, [d_output].into());
    }
    B::linear(x, weight, bias)
}

pub(super) fn linear_residual<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    residual: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_add(residual, linear::<B>(x, weight, bias))
}

pub(super) fn linear_gelu<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    gelu::<B>(linear::<B>(x, weight, bias))
}

/// `[b, c, h, w]` to `[b, (h / size) * (w / size), size * size * c]`.
pub(super) fn patches<B: Backend>(images: FloatTensor<B>, size: usize) -> FloatTensor<B> {
    let [b, c, h, w] = images.shape().dims();
    let (rows, columns) = (h / size, w / size);
    let images = B::float_reshape(images, [b, c, rows, size, columns, size].into());
    let patches = B::float_permute(images, &[0, 2, 4, 3, 5, 1]);
    B::float_reshape(patches, [b, rows * columns, size * size * c].into())
}

/// The inverse of [`patches`], for images of `[c, h, w]`.
pub(super) fn images_of_patches<B: Backend>(
    patches: FloatTensor<B>,
    [c, h, w]: [usize; 3],
    size: usize,
) -> FloatTensor<B> {
    let b = patches.shape()[0];
    let patches = B::float_reshape(patches, [b, h / size, w / size, size, size, c].into());
    B::float_reshape(B::float_permute(patches, &[0, 5, 1, 3, 2, 4]), [b, c, h, w].into())
}

pub(super) fn attention_weights<B: Backend>(q: FloatTensor<B>, k: FloatTensor<B>, heads: usize) -> FloatTensor<B> {
    let [_, _, d] = q.shape().dims();
    let scale = score_scale(d / heads);
    let k = B::float_swap_dims(split_heads::<B>(k, heads), 2, 3);
    let scores = B::float_matmul(split_heads::<B>(q, heads), k);
    B::softmax(B::float_mul_scalar(scores, scale.into()), 3)
}

pub(super) fn attention<B: Backend>(
    q: FloatTensor<B>,
    k: FloatTensor<B>,
    v: FloatTensor<B>,
    heads: usize,
) -> FloatTensor<B> {
    let weights = attention_weights::<B>(q, k, heads);
    merge_heads::<B>(B::float_matmul(weights, split_heads::<B>(v, heads)))
}

pub(super) fn channel_attention_weights<B: Backend>(qkv: FloatTensor<B>, head_dim: usize) -> FloatTensor<B> {
    let q = channel_heads::<B>(third::<B>(qkv.clone(), 0), head_dim);
    let k = channel_heads::<B>(third::<B>(qkv, 1), head_dim);
    let scores = B::float_matmul(q, B::float_swap_dims(k, 2, 3));
    B::softmax(B::float_mul_scalar(scores, score_scale(head_dim).into()), 2)
}

pub(super) fn channel_attention<B: Backend>(qkv: FloatTensor<B>, head_dim: usize) -> FloatTensor<B> {
    let v = channel_heads::<B>(third::<B>(qkv.clone(), 2), head_dim);
    let weights = channel_attention_weights::<B>(qkv, head_dim);
    merge_channel_heads::<B>(B::float_matmul(weights, v))
}

pub(super) fn project_tokens<B: Backend>(weight: FloatTensor<B>, x: FloatTensor<B>) -> FloatTensor<B> {
    let [tokens, k] = weight.shape().dims();
    let weight = B::float_reshape(B::float_swap_dims(weight, 0, 1), [1, k, tokens].into());
    B::float_matmul(weight, x)
}

/// `[batch, n, d]` to `[batch, heads, n, d / heads]`.
pub(super) fn split_heads<B: Backend>(x: FloatTensor<B>, heads: usize) -> FloatTensor<B> {
    let [batch, n, d] = x.shape().dims();
    B::float_swap_dims(B::float_reshape(x, [batch, n, heads, d / heads].into()), 1, 2)
}

/// `[batch, heads, n, width]` to `[batch, n, heads * width]`.
pub(super) fn merge_heads<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, heads, n, width] = x.shape().dims();
    B::float_reshape(B::float_swap_dims(x, 1, 2), [batch, n, heads * width].into())
}

/// The `part`-th third of the last axis.
pub(super) fn third<B: Backend>(qkv: FloatTensor<B>, part: usize) -> FloatTensor<B> {
    let [batch, n, columns] = qkv.shape().dims();
    let channels = columns / 3;
    B::float_slice(qkv, &[(0..batch).into(), (0..n).into(), (part * channels..(part + 1) * channels).into()])
}

/// `[batch, positions, channels]` to `[batch, heads, head_dim, positions]`.
pub(super) fn channel_heads<B: Backend>(x: FloatTensor<B>, head_dim: usize) -> FloatTensor<B> {
    let [batch, n, channels] = x.shape().dims();
    let shape = Shape::from([batch, channels / head_dim, head_dim, n]);
    B::float_reshape(B::float_swap_dims(x, 1, 2), shape)
}

/// `[batch, heads, head_dim, positions]` to `[batch, positions, channels]`.
pub(super) fn merge_channel_heads<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let [batch, heads, head_dim, n] = x.shape().dims();
    B::float_swap_dims(B::float_reshape(x, [batch, heads * head_dim, n].into()), 1, 2)
}
