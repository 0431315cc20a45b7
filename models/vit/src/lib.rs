//! The standard Vision Transformer (Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words",
//! <https://arxiv.org/abs/2010.11929>) in the layout of Hugging Face transformers' `ViTModel`: pre-norm blocks, a final
//! layer norm, and a classifier on the CLS token, with or without a tanh pooler before it.
//!
//! Differences from that reference: none in function. Patches are cut by a reshape and mapped by a linear layer, which is the
//! reference's convolution of kernel and stride `patch_size`.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use vit::{Config, Model, Vit, VitConfig};
//!
//! // ViT-Base with 1,000 classes, here with one block of its twelve.
//! let config = VitConfig { depth: 1, ..VitConfig::base(1000) };
//! let device = Device::flex();
//! let model: Vit = config.init(&device);
//! let logits = model.forward(Tensor::zeros([2, 3, 224, 224], &device));
//! assert_eq!(logits.dims(), [2, 1000]);
//! ```

mod attention;
mod config;
mod heads;
mod layout;
mod model;

pub use attention::SelfAttention;
pub use config::{Head, VitConfig, VitDropout};
pub use heads::HeadMask;
pub use layers::architecture::{Config, Model};
pub use model::Vit;
