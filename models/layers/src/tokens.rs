//! From patches to the sequence that blocks work on, and from there to the one vector that is classified.

use burn::module::Param;
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::architecture::Images;
use crate::{Layer, Part, Role};

/// What the classifier reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// A learned CLS token before the patches (Dosovitskiy et al. 2021, <https://arxiv.org/abs/2010.11929>).
    Cls,
    /// The mean over all patches; there is no CLS token (Beyer et al. 2022, <https://arxiv.org/abs/2205.01580>).
    Mean,
}

impl Pool {
    /// Tokens before those of the patches.
    pub fn class_tokens(self) -> usize {
        match self {
            Self::Cls => 1,
            Self::Mean => 0,
        }
    }

    /// The tokens that the classifier reads, so that nothing is computed of the others.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - output: `[batch, 1, d_model]` with [`Cls`](Self::Cls), else `x`
    pub fn select(self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Cls => x.narrow(1, 0, 1),
            Self::Mean => x,
        }
    }

    /// One vector of the tokens that [`select`](Self::select) gave: the token itself, or the mean.
    ///
    /// # Shapes
    /// - `x`: `[batch, tokens, d_model]`
    /// - output: `[batch, d_model]`
    pub fn reduce(self, x: Tensor<3>) -> Tensor<2> {
        let [batch, _, d_model] = x.dims();
        match self {
            Self::Cls => x.reshape([batch, d_model]),
            Self::Mean => x.mean_dim(1).reshape([batch, d_model]),
        }
    }
}

/// `[cls; patches] + positions`: the CLS token before the patches, if there is one, and learned positions.
///
/// # Shapes
/// - `patches`: `[batch, patches, d_model]`
/// - `class_token`: `[1, 1, d_model]`
/// - `positions`: `[1, tokens, d_model]`
/// - output: `[batch, tokens, d_model]`
///
/// # Panics
/// If there are not as many positions as tokens: the images are not of the size that the model is for.
pub fn token_sequence(
    patches: Tensor<3>,
    class_token: Option<&Param<Tensor<3>>>,
    positions: &Param<Tensor<3>>,
) -> Tensor<3> {
    let [batch, found, d_model] = patches.dims();
    let [_, tokens, _] = positions.val().dims();
    let expected = tokens - class_token.map_or(0, |_| 1);
    assert_eq!(found, expected, "the images have {found} patches, the model {expected}");
    let tokens = match class_token {
        Some(token) => Tensor::cat(vec![token.val().expand([batch, 1, d_model]), patches], 1),
        None => patches,
    };
    tokens + positions.val()
}

/// The layers before the first block: `patch_embedding`, `cls_token` if there is one, and `positions`.
pub fn token_layers(images: Images, patch_size: usize, d_model: usize, pool: Pool) -> Vec<Layer> {
    let (patches, values) = (images.patches(patch_size), images.patch_values(patch_size));
    let tokens = patches + pool.class_tokens();
    let mut layers = vec![Layer::linear("patch_embedding", values, &[patches, d_model], true, Part::PATCHES)];
    if pool == Pool::Cls {
        layers.push(Layer::parameter("cls_token", &[1, 1, d_model], Role::Embedding));
    }
    layers.push(Layer::parameter("positions", &[1, tokens, d_model], Role::Position));
    layers
}

/// The norm of the tokens that the classifier reads.
pub fn pooled_norm_layer(tokens: usize, d_model: usize, pool: Pool) -> Layer {
    match pool {
        Pool::Cls => Layer::layer_norm("norm", &[d_model]),
        Pool::Mean => Layer::layer_norm("norm", &[tokens, d_model]),
    }
}
