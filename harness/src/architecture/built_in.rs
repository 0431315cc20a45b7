//! The architectures of the suite.

use conv_vit::ConvVitConfig;
use linformer::LinformerConfig;
use vit::VitConfig;

use super::registration::Registration;

/// In the order of their colours in plots, so a new one goes to the end.
#[rustfmt::skip]
pub(super) const BUILT_IN: &[Registration] = &[
    Registration::of::<VitConfig>(),
    Registration::of::<LinformerConfig>(),
    Registration::of::<ConvVitConfig>(),
];
