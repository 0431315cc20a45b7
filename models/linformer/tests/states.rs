//! Hidden states and attention maps.

use burn::tensor::{Device, Distribution, Tensor};
use layers::Attention;
use layers::architecture::Images;
use linformer::{Config, LinformerConfig, Model};

#[test]
fn states_and_maps_belong_to_the_logits_of_the_plain_pass() {
    let device = Device::flex();
    let config = LinformerConfig {
        images: Images { size: 32, channels: 3, classes: 2 },
        patch_size: 8,
        d_model: 24,
        depth: 3,
        heads: 4,
        d_ff: 40,
        k: 11,
        ..LinformerConfig::published()
    };
    let model = config.init(&device);
    let images = Tensor::<4>::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let full = model.forward_full(images.clone());
    full.logits.into_data().assert_eq(&model.forward(images).into_data(), true);
    assert_eq!(full.hidden_states.len(), 4);
    assert_eq!(full.attentions.len(), 3);
    for (block, attention) in full.attentions.into_iter().enumerate() {
        let (input, output) = (full.hidden_states[block].clone(), full.hidden_states[block + 1].clone());
        assert_eq!(output.dims(), [2, 17, 24]);
        model.blocks[block].forward(input.clone()).into_data().assert_eq(&output.into_data(), true);
        assert_eq!(attention.dims(), [2, 4, 17, 11]);
        let off: f32 = (attention.clone().sum_dim(3) - 1.0).abs().max().into_scalar();
        assert!(off < 1e-5, "a row sums to one, but for {off}");

        // The maps mix the projected values into what the block's attention gives.
        let module = &model.blocks[block].attention;
        let x = model.blocks[block].attention_norm.forward(input.clone());
        let values = module.value_projection.val().transpose().unsqueeze::<3>().matmul(module.value.forward(x.clone()));
        let values = values.reshape([2, 11, 4, 6]).swap_dims(1, 2);
        let mixed = attention.matmul(values).swap_dims(1, 2).reshape([2, 17, 24]);
        let expected = module.forward_residual(x, input.clone());
        let off: f32 = (module.output.forward(mixed) + input - expected).abs().max().into_scalar();
        assert!(off < 1e-5, "the map explains the block's attention, but for {off}");
    }
}
