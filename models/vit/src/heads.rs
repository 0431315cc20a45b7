//! What can be done to single attention heads: masking (for a look) and pruning (for good).

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Param;
use burn::tensor::{Device, Int, Tensor, TensorData};
use layers::{InvalidConfig, Linear};

use crate::{SelfAttention, Vit};

/// Factors of the attention weights, head by head: 1 keeps a head, 0 silences it. They act after the softmax, as in Hugging
/// Face transformers.
#[derive(Debug, Clone, PartialEq)]
pub enum HeadMask {
    /// `[heads]`, for every layer.
    EveryLayer(Vec<f32>),
    /// `[layers, heads]`.
    PerLayer(Vec<Vec<f32>>),
}

impl HeadMask {
    /// The factors of one layer.
    ///
    /// # Panics
    /// If the layer is not in the mask, or the layer has another number of heads.
    pub(crate) fn layer(&self, layer: usize, heads: usize) -> &[f32] {
        let factors = match self {
            Self::EveryLayer(factors) => factors,
            Self::PerLayer(layers) => &layers[layer],
        };
        assert_eq!(factors.len(), heads, "the mask's factors for layer {layer} of {heads} heads");
        factors
    }

    /// # Panics
    /// If the mask is for another number of layers.
    pub(crate) fn check_layers(&self, layers: usize) {
        if let Self::PerLayer(factors) = self {
            assert_eq!(factors.len(), layers, "the mask's layers for a model of {layers}");
        }
    }
}

impl Vit {
    /// The model without the given heads, as `(layer, heads of it)`, both counted from 0: their columns of query, key and
    /// value and their rows of output are gone. It computes what the model computes with these heads masked by 0. A head that
    /// is named twice is removed once; the heads that are left are counted from 0 again.
    ///
    /// The parameters of the layers that were cut are new ones, so an optimiser starts afresh with them. No
    /// [`VitConfig`](crate::VitConfig) describes such a model.
    ///
    /// # Errors
    /// If there is no such layer or head, or no head of a layer would be left.
    pub fn prune_heads(mut self, heads: &[(usize, &[usize])]) -> Result<Self, InvalidConfig> {
        let mut removed: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (layer, heads) in heads {
            removed.entry(*layer).or_default().extend(*heads);
        }
        for (layer, removed) in &removed {
            let layers = self.blocks.len();
            let Some(block) = self.blocks.get(*layer) else {
                return Err(invalid(format!("there is no layer {layer}"), layers));
            };
            if let Some(head) = removed.iter().find(|head| **head >= block.attention.heads) {
                return Err(invalid(format!("layer {layer} has no head {head}"), block.attention.heads));
            }
            if removed.len() == block.attention.heads {
                return Err(InvalidConfig {
                    key: "heads",
                    problem: format!("nothing would be left of the {} heads of layer {layer}", removed.len()),
                    remedy: "keep at least one head of a layer".into(),
                });
            }
        }
        for (layer, removed) in removed.iter().filter(|(_, removed)| !removed.is_empty()) {
            self.blocks[*layer].attention.remove(removed);
        }
        Ok(self)
    }
}

fn invalid(problem: String, count: usize) -> InvalidConfig {
    InvalidConfig { key: "heads", problem, remedy: format!("count from 0 to {}", count - 1) }
}

impl SelfAttention {
    /// Removes the columns or rows of some heads from all four maps.
    fn remove(&mut self, removed: &BTreeSet<usize>) {
        let [_, inner] = self.query.weight.val().dims();
        let width = inner / self.heads;
        let kept: Vec<usize> = (0..self.heads).filter(|head| !removed.contains(head)).collect();
        let channels: Vec<i32> =
            kept.iter().flat_map(|head| head * width..(head + 1) * width).map(|channel| channel as i32).collect();
        for map in [&mut self.query, &mut self.key, &mut self.value] {
            keep_outputs(map, &channels);
        }
        self.output.weight = select(&self.output.weight, 0, &channels);
        self.heads = kept.len();
    }
}

fn keep_outputs(map: &mut Linear, channels: &[i32]) {
    map.weight = select(&map.weight, 1, channels);
    map.bias = map.bias.as_ref().map(|bias| select(bias, 0, channels));
}

/// A parameter of the given indices along an axis. It is a leaf of its own, which no graph ties to the whole one.
fn select<const D: usize>(param: &Param<Tensor<D>>, axis: usize, indices: &[i32]) -> Param<Tensor<D>> {
    let whole = param.val().detach();
    let device: Device = whole.device();
    let indices = Tensor::<1, Int>::from_data(TensorData::from(indices), &device);
    Param::from_tensor(whole.select(axis, indices).detach())
}
