//! Builds a recipe's optimiser from Burn's, and clips gradients by their global norm.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, LionConfig, ModuleOptimizer, SgdConfig};
use burn::store::RecordError;
use burn::tensor::{Bytes, Tensor};

use super::muon::FusedMuon;
use crate::architecture::{Architecture, ArchitectureConfig};
use crate::config::{Decay, OptimizerConfig};
use crate::lanes::Lanes;
use crate::weights::parameters;

/// An optimiser with its state.
pub struct Optimizer {
    burn: ModuleOptimizer,
    /// Whether its steps multiply matrices, whose sums must not depend on the number of threads.
    on_one_lane: bool,
}

impl Optimizer {
    /// Takes a step.
    pub(super) fn step<M: Module + Send>(&mut self, lanes: &Lanes, lr: f64, model: M, gradients: GradientsParams) -> M {
        match self.on_one_lane {
            true => lanes.on_one(|| self.burn.step(lr, model, gradients)),
            false => self.burn.step(lr, model, gradients),
        }
    }

    /// Its state, by parameter identity, in Burn's format.
    pub(super) fn to_bytes(&self) -> Bytes {
        self.burn.into_bytes().expect("writing to memory cannot fail")
    }

    /// The same optimiser, with the state that [`to_bytes`](Self::to_bytes) returned.
    ///
    /// # Errors
    /// If the bytes are not the state of an optimiser.
    pub(super) fn with_bytes(self, bytes: Vec<u8>) -> Result<Self, RecordError> {
        let burn = self.burn.from_bytes(Bytes::from_bytes_vec(bytes))?;
        Ok(Self { burn, ..self })
    }
}

/// The optimiser that a recipe names, for the parameters of `model`, whose roles `architecture` states.
///
/// Burn's defaults differ from PyTorch's (epsilon 1e-5, dampening 0.1), so every value is set here.
pub fn build(
    config: &OptimizerConfig,
    decay: Decay,
    architecture: &ArchitectureConfig,
    model: &Architecture,
) -> Optimizer {
    let ids = parameters::ids(model);
    let roles = architecture.parameters();
    let decays = |path: &String| match decay {
        Decay::All => true,
        Decay::Matrices => roles[path].0.role.is_matrix(),
    };
    let spared = ParamGroup::from_ids(ids.iter().filter(|(path, _)| !decays(path)).map(|(_, id)| *id).collect());
    let l2 = |penalty: f32| (penalty > 0.0).then(|| WeightDecayConfig::new(penalty));
    let mut on_one_lane = false;
    let burn = match *config {
        OptimizerConfig::Adam { betas: [beta_1, beta_2], eps, weight_decay } => {
            let adam = AdamConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(eps);
            let decaying = adam.clone().with_weight_decay(l2(weight_decay));
            decaying.init().with_group(spared, adam.build(), None)
        }
        OptimizerConfig::Adamw { betas, eps, weight_decay } => {
            adamw(betas, eps, weight_decay).init().with_group(spared, adamw(betas, eps, 0.0).build(), None)
        }
        OptimizerConfig::Sgd { momentum, nesterov, weight_decay } => {
            let momentum = (momentum > 0.0).then_some(MomentumConfig { momentum, dampening: 0.0, nesterov });
            let sgd = SgdConfig::new().with_momentum(momentum);
            sgd.clone().with_weight_decay(l2(weight_decay)).init().with_group(spared, sgd.build(), None)
        }
        OptimizerConfig::Lion { betas: [beta_1, beta_2], weight_decay } => {
            let lion = LionConfig::new().with_beta_1(beta_1).with_beta_2(beta_2);
            let decaying = lion.clone().with_weight_decay(weight_decay);
            decaying.init().with_group(spared, lion.with_weight_decay(0.0).build(), None)
        }
        OptimizerConfig::Muon { momentum, betas, eps, weight_decay } => {
            on_one_lane = true;
            let others = adamw(betas, eps, weight_decay).init();
            let mut burn = others.with_group(spared, adamw(betas, eps, 0.0).build(), None);
            for (matrices, ids) in hidden_matrices(architecture, &ids) {
                let muon = FusedMuon::new(momentum, weight_decay, matrices);
                burn = burn.with_group(ParamGroup::from_ids(ids), muon, None);
            }
            burn
        }
    };
    Optimizer { burn, on_one_lane }
}

/// The matrices inside the stages, by how many of them lie side by side in a parameter.
fn hidden_matrices(
    architecture: &ArchitectureConfig,
    ids: &BTreeMap<String, ParamId>,
) -> BTreeMap<usize, Vec<ParamId>> {
    let mut groups: BTreeMap<usize, Vec<ParamId>> = BTreeMap::new();
    for (path, (parameter, stage)) in architecture.parameters() {
        // Newton and Schulz's iteration is of matrices; the kernels of convolutions have more axes.
        if stage.is_some() && parameter.role.is_matrix() && parameter.shape.len() == 2 {
            groups.entry(parameter.fused).or_default().push(ids[&path]);
        }
    }
    groups
}

fn adamw([beta_1, beta_2]: [f32; 2], eps: f32, weight_decay: f32) -> AdamWConfig {
    AdamWConfig::new().with_beta_1(beta_1).with_beta_2(beta_2).with_epsilon(eps).with_weight_decay(weight_decay)
}

/// The global norm: that of all gradients as one vector. Burn clips each tensor by its own norm, which is not what recipes specify.
pub(super) fn gradient_norm<M: Module>(model: &M, gradients: &GradientsParams) -> f64 {
    struct SumOfSquares<'a> {
        gradients: &'a GradientsParams,
        sum: f64,
    }
    impl ModuleVisitor for SumOfSquares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.get::<D>(param.id) {
                self.sum += f64::from(gradient.square().sum().into_scalar::<f32>());
            }
        }
    }
    let mut visitor = SumOfSquares { gradients, sum: 0.0 };
    model.visit(&mut visitor);
    visitor.sum.sqrt()
}

/// Multiplies all gradients by `factor`.
pub(super) fn scale_gradients<M: Module>(model: &M, gradients: &mut GradientsParams, factor: f64) {
    struct Scale<'a> {
        gradients: &'a mut GradientsParams,
        factor: f64,
    }
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.gradients.remove::<D>(param.id) {
                self.gradients.register(param.id, gradient * self.factor);
            }
        }
    }
    model.visit(&mut Scale { gradients, factor });
}

#[cfg(test)]
mod tests {
    use burn::module::ModuleMapper;
    use burn::tensor::Device;

    use super::*;
    use crate::weights::Values;

    fn architecture() -> ArchitectureConfig {
        let config = "architecture = 'conv_vit'\npatch_size = 4\nd_model = 16\ndepth = 2\nhead_channels = 4\nd_ff = 32";
        toml::from_str::<ArchitectureConfig>(config).unwrap().for_images(16, 5)
    }

    fn model() -> Architecture {
        architecture().init(1, &Device::flex().autodiff())
    }

    /// A gradient for every parameter: small numbers without a pattern, times `scale`.
    fn gradients(model: &Architecture, scale: f64) -> GradientsParams {
        struct Collect(GradientsParams, f64);
        impl ModuleVisitor for Collect {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let values = param.val().inner();
                let wave = (values.ones_like().cumsum(D - 1) * 2.3 + values * 37.0).sin();
                self.0.register(param.id, wave * self.1);
            }
        }
        let mut collect = Collect(GradientsParams::new(), scale);
        model.visit(&mut collect);
        collect.0
    }

    /// How far a step moves each parameter.
    fn moves(config: &str, decay: Decay, scale: f64) -> BTreeMap<String, Vec<f32>> {
        struct Ones;
        impl ModuleMapper for Ones {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|values| values.ones_like().detach().require_grad())
            }
        }
        let config: OptimizerConfig = toml::from_str(config).unwrap();
        // All weights are one, so that decay shows in all of them alike.
        let ones = model().map(&mut Ones);
        let slopes = gradients(&ones, scale);
        let mut optimizer = build(&config, decay, &architecture(), &ones);
        let after = parameters::values(&optimizer.step(&Lanes::new(2), 0.1, ones, slopes));
        let moved = |values: Values| values.data.into_iter().map(|value| value - 1.0).collect();
        after.into_iter().map(|(path, values)| (path, moved(values))).collect()
    }

    #[test]
    fn decay_is_for_all_parameters_or_for_matrices_alone() {
        for kind in ["adamw", "sgd", "lion", "muon"] {
            let config = format!("kind = '{kind}'\nweight_decay = 0.5");
            for (decay, path, decays) in [
                (Decay::All, "blocks.0.mlp_norm.gamma", true),
                (Decay::All, "positions", true),
                (Decay::All, "classifier.weight", true),
                (Decay::Matrices, "blocks.0.mlp_norm.gamma", false),
                (Decay::Matrices, "classifier.bias", false),
                (Decay::Matrices, "positions", false),
                (Decay::Matrices, "classifier.weight", true),
                (Decay::Matrices, "blocks.1.mlp.up.weight", true),
            ] {
                // A gradient of zero moves nothing by itself.
                let moved = &moves(&config, decay, 0.0)[path];
                let expected = if decays { -0.1 * 0.5 } else { 0.0 };
                assert!(moved.iter().all(|by| (by - expected).abs() < 1e-6), "{kind} {decay:?} {path}: {moved:?}");
            }
        }
    }

    #[test]
    fn muon_orthogonalises_the_matrices_of_blocks_and_leaves_the_rest_to_adamw() {
        let moved = moves("kind = 'muon'\nweight_decay = 0.0", Decay::Matrices, 1e-3);
        let rms = |path: &str| {
            let values = &moved[path];
            (values.iter().map(|by| by * by).sum::<f32>() / values.len() as f32).sqrt()
        };
        for path in ["classifier.weight", "patch_embedding.weight", "blocks.0.mlp.up.bias", "positions"] {
            assert!(
                (rms(path) - 0.1).abs() < 2e-3,
                "AdamW's first step is the learning rate, {path} moved {}",
                rms(path)
            );
        }
        // Not all directions of a gradient of low rank are raised to one.
        for path in ["blocks.0.mlp.up.weight", "blocks.1.attention.unify_heads.weight"] {
            assert!(rms(path) < 0.25 * 0.1, "orthogonal steps are a fifth of that at most, {path} moved {}", rms(path));
            assert!(rms(path) > 1e-3, "{path} moved {}", rms(path));
        }
    }
}
