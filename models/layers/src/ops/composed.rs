//! The operations of [`ops`](super) as compositions of Burn's own operations, differentiated by Burn: the reference for tests and
//! benchmarks. Shapes are the same.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use super::composition;

/// [`ops::gelu`](super::gelu).
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_dispatch(composition::gelu::<Dispatch>(x.into_dispatch()))
}

/// [`ops::layer_norm`](super::layer_norm).
pub fn layer_norm<const D: usize>(x: Tensor<D>, gamma: Tensor<1>, beta: Tensor<1>, epsilon: f64) -> Tensor<D> {
    let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
    Tensor::from_dispatch(composition::layer_norm::<Dispatch>(x.into_dispatch(), gamma, beta, epsilon))
}

/// [`ops::linear`](super::linear).
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    let bias = bias.map(Tensor::into_dispatch);
    Tensor::from_dispatch(composition::linear::<Dispatch>(x.into_dispatch(), weight.into_dispatch(), bias))
}

/// [`ops::linear_residual`](super::linear_residual).
pub fn linear_residual<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    residual: Tensor<D>,
) -> Tensor<D> {
    residual + linear(x, weight, bias)
}

/// [`ops::linear_gelu`](super::linear_gelu).
pub fn linear_gelu<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    gelu(linear(x, weight, bias))
}

/// [`ops::project_tokens`](super::project_tokens).
pub fn project_tokens(weight: Tensor<2>, x: Tensor<3>) -> Tensor<3> {
    Tensor::from_dispatch(composition::project_tokens::<Dispatch>(weight.into_dispatch(), x.into_dispatch()))
}

/// [`ops::attention`](super::attention).
pub fn attention(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, heads: usize) -> Tensor<3> {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    Tensor::from_dispatch(composition::attention::<Dispatch>(q, k, v, heads))
}

/// [`ops::channel_attention`](super::channel_attention).
pub fn channel_attention(qkv: Tensor<3>, head_dim: usize) -> Tensor<3> {
    Tensor::from_dispatch(composition::channel_attention::<Dispatch>(qkv.into_dispatch(), head_dim))
}

/// [`ops::patches`](super::patches).
pub fn patches(images: Tensor<4>, patch_size: usize) -> Tensor<3> {
    Tensor::from_dispatch(composition::patches::<Dispatch>(images.into_dispatch(), patch_size))
}
