//! Hidden states and attention maps.

use burn::tensor::{Device, Distribution, Tensor};
use conv_vit::{Config, ConvVitConfig, Model};
use layers::Attention;

#[test]
fn states_and_maps_belong_to_the_logits_of_the_plain_pass() {
    let device = Device::flex();
    let config = ConvVitConfig {
        patch_size: 8,
        d_model: 18,
        depth: 3,
        head_channels: 6,
        d_ff: 28,
        ..ConvVitConfig::published()
    };
    let model = config.init(&device);
    let images = Tensor::<4>::random([2, 3, 32, 32], Distribution::Normal(0.0, 1.0), &device);
    let full = model.forward_full(images.clone());
    full.logits.into_data().assert_eq(&model.forward(images).into_data(), true);
    assert_eq!(full.hidden_states.len(), 4);
    assert_eq!(full.attentions.len(), 3);
    for (block, attention) in full.attentions.into_iter().enumerate() {
        let (input, output) = (full.hidden_states[block].clone(), full.hidden_states[block + 1].clone());
        assert_eq!(output.dims(), [2, 16, 18]);
        model.blocks[block].forward(input.clone()).into_data().assert_eq(&output.into_data(), true);
        assert_eq!(attention.dims(), [2, 3, 6, 6]);
        // Over the query channels: columns, not rows.
        let off: f32 = (attention.clone().sum_dim(2) - 1.0).abs().max().into_scalar();
        assert!(off < 1e-5, "a column sums to one, but for {off}");

        // The maps mix the values' channels into what the block's attention gives.
        let module = &model.blocks[block].attention;
        let x = model.blocks[block].attention_norm.forward(input.clone());
        let values = module.qkv.forward(x.clone()).slice([0..2, 0..16, 36..54]);
        let values = values.swap_dims(1, 2).reshape([2, 3, 6, 16]);
        let mixed = attention.matmul(values).reshape([2, 18, 16]).swap_dims(1, 2);
        let expected = module.forward_residual(x, input.clone());
        let off: f32 = (module.unify_heads.forward(mixed) + input - expected).abs().max().into_scalar();
        assert!(off < 1e-5, "the map explains the block's attention, but for {off}");
    }
}
