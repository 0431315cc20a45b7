//! Figures that follow from a model's sizes alone.

use layers::{Layer, Part, macs_by_part};

use crate::architecture::ArchitectureConfig;
use crate::config::ModelConfig;
use crate::device::DeviceName;
use crate::results::{ModelSizeRecord, PartMacs};

/// Approximate number of tokens that a lane works on at a time. With fewer, matrix products spend too much time packing the weights.
/// With more, the activations between two layers leave the core's cache, and a batch keeps fewer cores busy.
const LANE_TOKENS: f64 = 512.0;

/// Images that a lane takes at a time, unless the config sets it: a power of two that depends on the model alone, so that results do
/// not depend on the machine.
fn micro_batch(architecture: &ArchitectureConfig) -> usize {
    let images = (LANE_TOKENS / architecture.tokens() as f64).log2().round();
    2.0_f64.powf(images.clamp(0.0, 5.0)) as usize
}

/// Images that a lane takes at a time: as the model's config says, else by its sizes on a CPU. A GPU is kept busy by whole batches;
/// its memory decides about their size.
pub(super) fn micro_batch_on(
    device: DeviceName,
    model: &ModelConfig,
    architecture: &ArchitectureConfig,
    batch_size: usize,
) -> usize {
    // Batch statistics cover all images of a batch, so it must not be divided.
    let divided = device.is_cpu() && !architecture.batch_statistics();
    let usual = if divided { micro_batch(architecture) } else { batch_size };
    model.micro_batch.unwrap_or(usual)
}

/// Parameters and multiply-accumulates of a model.
pub fn model_size(architecture: &ArchitectureConfig) -> ModelSizeRecord {
    let layers = architecture.layers();
    ModelSizeRecord {
        params: layers.iter().map(Layer::params).sum(),
        params_module_wise: layers.iter().filter(|layer| !layer.bare).map(Layer::params).sum(),
        tokens: architecture.tokens(),
        macs_by_part: macs_by_part(&layers)
            .into_iter()
            .map(|(Part(part), macs)| PartMacs { part: part.to_owned(), macs })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::tensor::{Device, Tensor};
    use conv_vit::ConvVitConfig;
    use layers::architecture::Images;
    use layers::ops;
    use linformer::LinformerConfig;
    use vit::{Head, VitConfig};

    /// Models of odd sizes, so that no two factors of a count are equal by chance.
    fn odd_models() -> [ArchitectureConfig; 4] {
        let vit = VitConfig { d_model: 24, depth: 3, heads: 3, d_ff: 40, ..VitConfig::tiny_cifar(7) };
        [
            ArchitectureConfig::from(vit.clone()),
            ArchitectureConfig::from(VitConfig { head: Head::Pooler, ..vit }),
            ArchitectureConfig::from(LinformerConfig {
                images: Images { size: 32, channels: 3, classes: 2 },
                patch_size: 8,
                d_model: 20,
                depth: 2,
                heads: 5,
                d_ff: 36,
                k: 11,
                ..LinformerConfig::published()
            }),
            ArchitectureConfig::from(ConvVitConfig {
                patch_size: 4,
                d_model: 18,
                depth: 3,
                head_channels: 6,
                d_ff: 28,
                ..ConvVitConfig::published()
            }),
        ]
    }

    #[test]
    fn counts_agree_with_the_model_and_with_the_products_of_a_forward_pass() {
        let device = Device::flex();
        for architecture in odd_models() {
            let model = architecture.init(0, &device);
            let size = model_size(&architecture);
            assert_eq!(size.params, model.num_params(), "{architecture:?}");
            let images = Tensor::zeros([3, 3, 32, 32], &device);
            let (_, products) = ops::record(|| model.forward(images));
            let macs: u64 = products.iter().map(ops::Product::macs).sum();
            assert_eq!(3 * size.macs(), macs, "{architecture:?}");
            let attention = products.iter().filter(|product| product.operation.contains("attention"));
            assert_eq!(
                3 * size.macs_of("attention").unwrap(),
                attention.map(ops::Product::macs).sum::<u64>(),
                "{architecture:?}"
            );
        }
    }

    #[test]
    fn published_models() {
        let size = model_size(&ArchitectureConfig::from(LinformerConfig::published()));
        assert_eq!((size.params, size.params_module_wise), (2_851_842, 2_768_514));
        let size = model_size(&ArchitectureConfig::from(ConvVitConfig::published()));
        assert_eq!((size.params, size.params_module_wise), (59_818, 59_818));
        assert_eq!(model_size(&ArchitectureConfig::from(VitConfig::base(2))).params, 86_390_786);
    }

    #[test]
    fn micro_batches_of_the_published_models() {
        for (architecture, images) in [
            (ArchitectureConfig::from(ConvVitConfig::published()), 2),
            (ArchitectureConfig::from(LinformerConfig::published()), 8),
            (ArchitectureConfig::from(VitConfig::tiny_cifar(10)), 8),
            (ArchitectureConfig::from(VitConfig::base(2)), 2),
        ] {
            assert_eq!(micro_batch(&architecture), images, "{}", architecture.kind());
        }
    }
}
