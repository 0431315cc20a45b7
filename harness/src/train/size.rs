//! What follows from a model's sizes alone.

use burn::module::Module;
use burn::tensor::Device;

use crate::architecture::ArchitectureConfig;
use crate::results::ModelSizeRecord;

/// Values of one layer's activations, `[micro-batch, tokens, d_model]`, that a lane works on at a time, about: they stay in a
/// core's cache, and the products of matrices are large enough.
const LANE_VALUES: usize = 1 << 17;

/// Images that a lane takes at a time, unless the config says otherwise: a power of two that depends on the model alone, so
/// that results do not depend on the machine.
pub fn micro_batch(architecture: &ArchitectureConfig) -> usize {
    let images = LANE_VALUES / (architecture.tokens() * architecture.d_model());
    (images + 1).next_power_of_two().div_euclid(2).clamp(1, 32)
}

/// Parameters and multiply-accumulates of a model. The parameters are counted in the model itself, not computed.
pub fn model_size(architecture: &ArchitectureConfig) -> ModelSizeRecord {
    let params = architecture.init(0, &Device::flex()).num_params();
    let macs = architecture.macs();
    ModelSizeRecord {
        params,
        params_module_wise: params - architecture.bare_params(),
        tokens: architecture.tokens(),
        macs_patches: macs.patches,
        macs_projections: macs.projections,
        macs_attention: macs.attention,
        macs_mlp: macs.mlp,
        macs_head: macs.head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conv_vit::ConvVitConfig;
    use linformer::LinformerConfig;
    use vit::VitConfig;

    #[test]
    fn micro_batches_of_the_published_models() {
        for (architecture, images) in [
            (ArchitectureConfig::ConvVit(ConvVitConfig::published()), 16),
            (ArchitectureConfig::Linformer(LinformerConfig::published()), 16),
            (ArchitectureConfig::Vit(VitConfig::tiny_cifar(10)), 8),
            (ArchitectureConfig::Vit(VitConfig::base(2)), 1),
        ] {
            assert_eq!(micro_batch(&architecture), images, "{}", architecture.kind());
        }
    }
}
