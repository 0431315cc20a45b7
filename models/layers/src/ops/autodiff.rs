//! The backward passes of the operations, for `Autodiff` over any backend.
//!
//! A node keeps only what its backward pass needs, and nothing for gradients that are not requested.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;

use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, TensorMetadata, tensor::FloatTensor};

use super::composition::{self, images_of_patches};
use super::extension::{FusedGradients, FusedOps, SavedAttention, SavedChannelAttention, SavedLinear};
use super::precision::Precision;

impl<B: FusedGradients, C: CheckpointStrategy> FusedOps for Autodiff<B, C> {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        match GeluBackward.prepare::<C>([x_node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let (y, derivative) = B::gelu_with_derivative(x);
                node.finish(derivative, y)
            }
            OpsKind::UnTracked(node) => node.finish(B::fused_gelu(x)),
        }
    }

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (gamma, gamma_node), (beta, beta_node)) =
            (x.into_parts(), gamma.into_parts(), beta.into_parts());
        match LayerNormBackward.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let y = B::fused_layer_norm(x.clone(), gamma.clone(), beta, epsilon);
                node.finish((x, gamma, epsilon), y)
            }
            OpsKind::UnTracked(node) => node.finish(B::fused_layer_norm(x, gamma, beta, epsilon)),
        }
    }

    fn fused_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        let saved = SavedLinear::of::<C>(&x, &weight);
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        match LinearBackward.prepare::<C>([x_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => node.finish(saved, B::fused_linear(x, weight)),
            OpsKind::UnTracked(node) => node.finish(B::fused_linear(x, weight)),
        }
    }

    fn fused_linear_bias(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let saved = SavedLinear::of::<C>(&x, &weight);
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        match LinearBackward.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => node.finish(saved, B::fused_linear_bias(x, weight, bias)),
            OpsKind::UnTracked(node) => node.finish(B::fused_linear_bias(x, weight, bias)),
        }
    }

    fn fused_linear_residual(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let saved = SavedLinear::of::<C>(&x, &weight);
        let ((x, x_node), (weight, weight_node)) = (x.into_parts(), weight.into_parts());
        let ((bias, bias_node), (residual, residual_node)) = (bias.into_parts(), residual.into_parts());
        let nodes = [x_node, weight_node, bias_node, residual_node];
        match LinearBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(node) => node.finish(saved, B::fused_linear_residual(x, weight, bias, residual)),
            OpsKind::UnTracked(node) => node.finish(B::fused_linear_residual(x, weight, bias, residual)),
        }
    }

    fn fused_linear_gelu(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let saved = SavedLinear::of::<C>(&x, &weight);
        let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
            (x.into_parts(), weight.into_parts(), bias.into_parts());
        match LinearBackward.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let (y, derivative) = B::linear_gelu_with_derivative(x, weight, bias);
                node.finish(SavedLinear { derivative: Some(derivative), ..saved }, y)
            }
            OpsKind::UnTracked(node) => node.finish(B::fused_linear_gelu(x, weight, bias)),
        }
    }

    fn fused_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let ((q, q_node), (k, k_node), (v, v_node)) = (q.into_parts(), k.into_parts(), v.into_parts());
        match AttentionBackward.prepare::<C>([q_node, k_node, v_node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let (output, saved) = B::attention_for_training(q, k, v, heads);
                node.finish(saved, output)
            }
            OpsKind::UnTracked(node) => node.finish(B::fused_attention(q, k, v, heads)),
        }
    }

    fn fused_patches(images: FloatTensor<Self>, patch_size: usize) -> FloatTensor<Self> {
        let (images, node) = images.into_parts();
        match PatchesBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let [_, c, h, w] = images.shape().dims();
                node.finish(([c, h, w], patch_size), B::fused_patches(images, patch_size))
            }
            OpsKind::UnTracked(node) => node.finish(B::fused_patches(images, patch_size)),
        }
    }

    fn fused_project_tokens(weight: FloatTensor<Self>, x: FloatTensor<Self>) -> FloatTensor<Self> {
        if Precision::current() == Precision::F32 {
            return composition::project_tokens::<Self>(weight, x);
        }
        let ((weight, weight_node), (x, x_node)) = (weight.into_parts(), x.into_parts());
        match ProjectTokensBackward.prepare::<C>([weight_node, x_node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => node.finish((weight.clone(), x.clone()), B::fused_project_tokens(weight, x)),
            OpsKind::UnTracked(node) => node.finish(B::fused_project_tokens(weight, x)),
        }
    }

    fn fused_channel_attention(qkv: FloatTensor<Self>, head_dim: usize) -> FloatTensor<Self> {
        let (qkv, qkv_node) = qkv.into_parts();
        match ChannelAttentionBackward.prepare::<C>([qkv_node]).compute_bound().stateful() {
            OpsKind::Tracked(node) => {
                let (output, saved) = B::channel_attention_for_training(qkv, head_dim);
                node.finish(saved, output)
            }
            OpsKind::UnTracked(node) => node.finish(B::fused_channel_attention(qkv, head_dim)),
        }
    }
}

impl<B: FusedGradients> SavedLinear<B> {
    fn of<C: CheckpointStrategy>(x: &FloatTensor<Autodiff<B, C>>, weight: &FloatTensor<Autodiff<B, C>>) -> Self {
        Self {
            x: weight.is_tracked().then(|| B::kept_input(x.primitive().clone())),
            weight: x.is_tracked().then(|| weight.primitive().clone()),
            derivative: None,
            d_input: x.primitive().shape().last().copied().expect("the tensor has an axis"),
            precision: Precision::current(),
        }
    }
}

/// Adds the gradients to those of the parents that need one.
fn register<B: Backend>(
    grads: &mut Gradients,
    parents: impl IntoIterator<Item = Option<NodeId>>,
    gradients: impl IntoIterator<Item = Option<FloatTensor<B>>>,
) {
    for (parent, gradient) in parents.into_iter().zip(gradients) {
        if let (Some(parent), Some(gradient)) = (parent, gradient) {
            grads.register::<B>(parent, gradient);
        }
    }
}

#[derive(Debug)]
struct GeluBackward;

impl<B: FusedGradients> Backward<B, 1> for GeluBackward {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| Some(parent?.id));
        register::<B>(grads, parents, [Some(B::float_mul(dy, ops.state))]);
    }
}

#[derive(Debug)]
struct LayerNormBackward;

impl<B: FusedGradients> Backward<B, 3> for LayerNormBackward {
    /// `x`, `gamma`, `epsilon`.
    type State = (FloatTensor<B>, FloatTensor<B>, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (x, gamma, epsilon) = ops.state;
        let parents = ops.parents.map(|parent| Some(parent?.id));
        let needs = parents.map(|parent| parent.is_some());
        register::<B>(grads, parents, B::layer_norm_backward(x, gamma, epsilon, dy, needs));
    }
}

/// The parents are `x` and `weight`, and `bias` and `residual` if the layer has them.
#[derive(Debug)]
struct LinearBackward;

impl<B: FusedGradients, const N: usize> Backward<B, N> for LinearBackward {
    type State = SavedLinear<B>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let mut parents = ops.parents.into_iter().map(|parent| Some(parent?.id));
        let [x, weight, bias, residual] = std::array::from_fn(|_| parents.next().flatten());
        if let Some(residual) = residual {
            grads.register::<B>(residual, dy.clone());
        }
        register::<B>(grads, [x, weight, bias], B::linear_backward(ops.state, dy, bias.is_some()));
    }
}

#[derive(Debug)]
struct AttentionBackward;

impl<B: FusedGradients> Backward<B, 3> for AttentionBackward {
    type State = SavedAttention<B>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let doutput = grads.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| Some(parent?.id));
        let needs = parents.map(|parent| parent.is_some());
        register::<B>(grads, parents, B::attention_backward(ops.state, doutput, needs));
    }
}

#[derive(Debug)]
struct PatchesBackward;

impl<B: FusedGradients> Backward<B, 1> for PatchesBackward {
    /// Channels, height and width of the images, and the size of a patch.
    type State = ([usize; 3], usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dpatches = grads.consume::<B>(&ops.node);
        let (image, patch_size) = ops.state;
        let parents = ops.parents.map(|parent| Some(parent?.id));
        register::<B>(grads, parents, [Some(images_of_patches::<B>(dpatches, image, patch_size))]);
    }
}

#[derive(Debug)]
struct ProjectTokensBackward;

impl<B: FusedGradients> Backward<B, 2> for ProjectTokensBackward {
    /// `weight` and `x`.
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let (weight, x) = ops.state;
        let parents = ops.parents.map(|parent| Some(parent?.id));
        let needs = parents.map(|parent| parent.is_some());
        register::<B>(grads, parents, B::project_tokens_backward(weight, x, dy, needs));
    }
}

#[derive(Debug)]
struct ChannelAttentionBackward;

impl<B: FusedGradients> Backward<B, 1> for ChannelAttentionBackward {
    type State = SavedChannelAttention<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let doutput = grads.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| Some(parent?.id));
        let dqkv = B::channel_attention_backward(ops.state, doutput);
        register::<B>(grads, parents, [Some(dqkv)]);
    }
}
