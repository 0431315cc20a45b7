//! A fully-convolutional Vision Transformer: patches by a strided convolution, a learned position map, blocks of 1x1
//! convolutions, and attention between the channels of a head ([`MhSelfAttention`]), whose cost is linear in the number of
//! positions. The published model has 59,818 parameters at 32x32 pixels.
//!
//! A 1x1 convolution is a linear map of channels, so the model computes token-major, `[batch, positions, channels]`, which is
//! the same function and faster. Queries, keys and values come from one map of triple width. As published, the softmax of
//! attention runs over the query axis. No deviation in function.

mod attention;
mod config;
mod layout;
mod model;

pub use attention::MhSelfAttention;
pub use config::ConvVitConfig;
pub use layers::architecture::{Config, Model};
pub use model::ConvVit;
