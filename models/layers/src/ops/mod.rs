//! The operations that the architectures are made of, each as one function.
//!
//! On the CPU (Burn's Flex backend) most of them are our own kernels, vectorised for the machine's instruction set, which make one
//! pass over the data instead of many, forward and backward. On other backends they are compositions of the backend's own
//! operations with the same backward passes. [`composed`] contains the plain compositions for comparison.

mod autodiff;
pub mod composed;
mod composition;
mod extension;
mod flex;
mod precision;
mod record;
mod simd;

use burn::backend::Dispatch;
use burn::tensor::Tensor;

pub use precision::Precision;
pub use record::{Product, record};

use extension::FusedOps;
use record::note;

/// Forgets what was kept of the weights and of the last input for products in bf16. To be called before weights change, which they then can in
/// place.
pub fn forget_packed() {
    flex::forget_packed();
}

/// Whether products in bf16 use the CPU's instruction for them. Otherwise they are emulated, which is slower.
pub fn bf16_is_native() -> bool {
    flex::bf16_is_native()
}

/// GELU in its exact form, `x Φ(x)` with the normal distribution function Φ (Hendrycks, Gimpel 2016,
/// <https://arxiv.org/abs/1606.08415>).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
}

/// Normalises the last axis and applies `gamma` and `beta`.
///
/// # Shapes
/// - `x` and output: `[.., d]`; `gamma`, `beta`: `[d]`
pub fn layer_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let d = x.dims()[D - 1];
    assert_eq!((gamma.dims(), beta.dims()), ([d], [d]), "gamma and beta of a layer norm over {:?}", x.dims());
    let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_layer_norm(x.into_dispatch(), gamma, beta, epsilon))
}

/// `x weight + bias`.
///
/// # Shapes
/// - `x`: `[.., d_input]`; `weight`: `[d_input, d_output]`; `bias`: `[d_output]`; output: `[.., d_output]`
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    check_linear(&x, &weight, bias.as_ref());
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => Dispatch::fused_linear_bias(x, weight, bias.into_dispatch()),
        None => Dispatch::fused_linear(x, weight),
    })
}

/// `residual + x weight + bias`.
///
/// # Shapes
/// As [`linear`]; `residual` has the shape of the output.
pub fn linear_residual<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    residual: Tensor<D>,
) -> Tensor<D> {
    let mut output = x.dims();
    output[D - 1] = weight.dims()[1];
    assert_eq!(residual.dims(), output, "the residual has the shape of the output");
    let Some(bias) = bias else { return residual + linear(x, weight, None) };
    check_linear(&x, &weight, Some(&bias));
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_linear_residual(x, weight, bias, residual.into_dispatch()))
}

/// `gelu(x weight + bias)`.
///
/// # Shapes
/// As [`linear`].
pub fn linear_gelu<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let Some(bias) = bias else { return gelu(linear(x, weight, None)) };
    check_linear(&x, &weight, Some(&bias));
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    Tensor::from_dispatch(Dispatch::fused_linear_gelu(x, weight, bias))
}

/// `weightᵀ x` for every item of the batch: a linear map along the sequence, as Linformer applies to keys and values.
///
/// # Shapes
/// - `weight`: `[tokens, k]`; `x`: `[batch, tokens, d]`; output: `[batch, k, d]`
pub fn project_tokens(weight: Tensor<2>, x: Tensor<3>) -> Tensor<3> {
    let ([tokens, k], [batch, _, d]) = (weight.dims(), x.dims());
    note("project_tokens", batch, [k, tokens, d]);
    Tensor::from_dispatch(Dispatch::fused_project_tokens(weight.into_dispatch(), x.into_dispatch()))
}

/// Multi-head attention without its linear maps: `softmax(q kᵀ / √(d / heads)) v` in every head.
///
/// # Shapes
/// - `q` and output: `[batch, n, d]`; `k`, `v`: `[batch, m, d]`; heads are consecutive slices of `d`
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let ([b, n, d], [_, m, _]) = (q.dims(), k.dims());
    assert_eq!((k.dims(), v.dims()), ([b, m, d], [b, m, d]), "keys and values for queries of {:?}", q.dims());
    assert!(heads > 0 && d.is_multiple_of(heads), "{heads} heads of {d}");
    note("attention scores", b * heads, [n, d / heads, m]);
    note("attention sum", b * heads, [n, m, d / heads]);
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_attention(q, k, v, heads))
}

/// The weights that [`attention`] computes.
///
/// # Shapes
/// - `q`: `[batch, n, d]`; `k`: `[batch, m, d]`; output: `[batch, heads, n, m]`
pub fn attention_weights(q: Tensor<3>, k: Tensor<3>, heads: usize) -> Tensor<4> {
    let [q, k] = [q, k].map(Tensor::into_dispatch);
    Tensor::from_dispatch(composition::attention_weights::<Dispatch>(q, k, heads))
}

/// Cuts images into square patches, row by row, and flattens each in the order (row in patch, column in patch, channel). A linear
/// layer on the result is a convolution of kernel and stride `patch_size`.
///
/// # Shapes
/// - `images`: `[batch, channels, height, width]`
/// - output: `[batch, (height / patch_size) * (width / patch_size), patch_size² * channels]`
///
/// # Panics
/// If `patch_size` does not divide height and width.
pub fn patches(images: Tensor<4>, patch_size: usize) -> Tensor<3> {
    let [_, _, h, w] = images.dims();
    assert!(
        h.is_multiple_of(patch_size) && w.is_multiple_of(patch_size),
        "patches of {patch_size} do not tile images of {h}x{w}"
    );
    Tensor::from_dispatch(Dispatch::fused_patches(images.into_dispatch(), patch_size))
}

/// Attention between the channels of a head, over the positions of the image: `softmax(qᵀ k / √head_dim) vᵀ` with
/// scores of `[head_dim, head_dim]`; the softmax runs over the query axis.
///
/// # Shapes
/// - `qkv`: `[batch, positions, 3 * channels]`, queries, keys and values side by side; output: `[batch, positions, channels]`
pub fn channel_attention(qkv: Tensor<3>, head_dim: usize) -> Tensor<3> {
    let [batch, positions, columns] = qkv.dims();
    assert!(
        head_dim > 0 && columns.is_multiple_of(3 * head_dim),
        "heads of {head_dim} channels in queries, keys and values of {columns} together"
    );
    let heads = batch * columns / (3 * head_dim);
    note("channel attention scores", heads, [head_dim, positions, head_dim]);
    note("channel attention sum", heads, [head_dim, head_dim, positions]);
    Tensor::from_dispatch(Dispatch::fused_channel_attention(qkv.into_dispatch(), head_dim))
}

/// The weights that [`channel_attention`] computes; every column (a fixed key channel) sums to one.
///
/// # Shapes
/// - `qkv`: `[batch, positions, 3 * channels]`; output: `[batch, heads, head_dim (query), head_dim (key)]`
pub fn channel_attention_weights(qkv: Tensor<3>, head_dim: usize) -> Tensor<4> {
    Tensor::from_dispatch(composition::channel_attention_weights::<Dispatch>(qkv.into_dispatch(), head_dim))
}

fn check_linear<const D: usize>(x: &Tensor<D>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) {
    let [d_input, d_output] = weight.dims();
    assert_eq!(x.dims()[D - 1], d_input, "input of {:?} for a weight of {:?}", x.dims(), weight.dims());
    if let Some(bias) = bias {
        assert_eq!(bias.dims(), [d_output], "bias for a weight of {:?}", weight.dims());
    }
    note("linear", 1, [x.dims()[..D - 1].iter().product(), d_input, d_output]);
}
