//! Muon for parameters that hold several matrices side by side.

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::{Momentum, MomentumConfig};
use burn::optim::{AdjustLrFn, LearningRate, Muon, MuonConfig, MuonState, Optimizer};
use burn::tensor::Tensor;

/// Muon (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon>), whose steps are scaled to AdamW's size (Liu et al. 2025,
/// <https://arxiv.org/abs/2502.16982>). A parameter that is several matrices side by side, such as those of queries, keys and values, is
/// orthogonalised matrix by matrix, as if each were a parameter of its own.
#[derive(Clone)]
pub(super) struct FusedMuon {
    momentum: Momentum,
    /// Without momentum, which is the same for every matrix of a parameter.
    muon: Muon,
    matrices: usize,
}

impl FusedMuon {
    /// For parameters of `matrices` matrices each. A `weight_decay` of 0 is none.
    pub(super) fn new(momentum: f64, weight_decay: f32, matrices: usize) -> Self {
        let muon = MuonConfig::new()
            .with_momentum(MomentumConfig { momentum: 0.0, dampening: 0.0, nesterov: false })
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
            .with_weight_decay((weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay)));
        let momentum = Momentum::new(&MomentumConfig { momentum, dampening: 0.0, nesterov: true });
        Self { momentum, muon: muon.build(), matrices }
    }
}

impl Optimizer for FusedMuon {
    type State<const D: usize> = MuonState<D>;

    /// # Panics
    /// If the tensor is no matrix, or `matrices` do not divide its last axis.
    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<MuonState<D>>,
    ) -> (Tensor<D>, Option<MuonState<D>>) {
        let (update, momentum) = self.momentum.transform(grad, state.map(|state| state.momentum));
        let step = |tensor, update| self.muon.step(lr, tensor, update, None).0;
        let state = Some(MuonState::new(momentum));
        if self.matrices == 1 {
            return (step(tensor, update), state);
        }
        let matrices = tensor.chunk(self.matrices, D - 1).into_iter().zip(update.chunk(self.matrices, D - 1));
        (Tensor::cat(matrices.map(|(tensor, update)| step(tensor, update)).collect(), D - 1), state)
    }

    fn to_device<const D: usize>(state: MuonState<D>, device: &burn::tensor::Device) -> MuonState<D> {
        Muon::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Distribution};

    use super::*;

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().try_into_vec().unwrap()
    }

    fn random(shape: [usize; 2]) -> Tensor<2> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    #[test]
    fn one_matrix_is_burns_own_muon() {
        let ours = FusedMuon::new(0.9, 0.1, 1);
        let burns = MuonConfig::new()
            .with_momentum(MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: true })
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW)
            .with_weight_decay(Some(WeightDecayConfig::new(0.1)))
            .build();
        let (mut tensor, mut expected) = (random([8, 12]), None);
        let mut reference = tensor.clone();
        let mut state = None;
        for _ in 0..3 {
            let gradient = random([8, 12]);
            (tensor, state) = ours.step(0.01, tensor, gradient.clone(), state);
            (reference, expected) = burns.step(0.01, reference, gradient, expected);
            assert_eq!(values(tensor.clone()), values(reference.clone()));
        }
    }

    #[test]
    fn several_matrices_are_stepped_one_by_one() {
        let (fused, single) = (FusedMuon::new(0.9, 0.1, 3), FusedMuon::new(0.9, 0.1, 1));
        let mut matrices: Vec<_> = (0..3).map(|_| random([8, 4])).collect();
        let mut states = vec![None; 3];
        let (mut tensor, mut state) = (Tensor::cat(matrices.clone(), 1), None);
        for _ in 0..3 {
            let gradients: Vec<_> = (0..3).map(|_| random([8, 4])).collect();
            (tensor, state) = fused.step(0.01, tensor, Tensor::cat(gradients.clone(), 1), state);
            for (index, gradient) in gradients.into_iter().enumerate() {
                (matrices[index], states[index]) =
                    single.step(0.01, matrices[index].clone(), gradient, states[index].take());
            }
            assert_eq!(values(tensor.clone()), values(Tensor::cat(matrices.clone(), 1)));
        }
    }
}
