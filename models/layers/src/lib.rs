//! What all compared architectures must share, so that a difference in the table is a difference of architecture: patches,
//! linear layers, norms, the pre-norm block, initialisers and the operations they are made of. [`architecture`] states what an
//! architecture has to say of itself.
//!
//! Shapes are token-major, `[batch, tokens, d_model]`. Nothing here knows data, optimiser, files or clock.

pub mod architecture;
mod block;
mod dropout;
mod feed_forward;
mod init;
mod invalid;
mod layer;
pub mod layout;
mod linear;
mod norm;
pub mod ops;
pub mod random;
mod tokens;

pub use block::{Attention, Block, block_layers};
pub use dropout::{SampleKeys, dropout};
pub use feed_forward::FeedForward;
pub use init::{Init, Initialisation, Scheme};
pub use invalid::{InvalidConfig, check_depth, check_divides, check_positive};
pub use layer::{Layer, Parameter, Part, Role, macs_by_part};
pub use linear::Linear;
pub use norm::LayerNorm;
pub use ops::Precision;
pub use tokens::{Pool, pooled_norm_layer, token_layers, token_sequence};
