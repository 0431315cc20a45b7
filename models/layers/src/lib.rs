//! What all compared architectures must share, so that a difference in the table is a difference of architecture: patches,
//! linear layers, norms, feed-forward, initialisers and the operations they are made of.
//!
//! Shapes are token-major, `[batch, tokens, d_model]`. Nothing here knows data, optimiser, files or clock.

mod cost;
mod dropout;
mod feed_forward;
mod init;
mod invalid;
pub mod layout;
mod linear;
mod norm;
pub mod ops;
pub mod random;

pub use cost::{LayerCost, Macs, Part};
pub use dropout::{SampleKeys, dropout};
pub use feed_forward::FeedForward;
pub use init::Init;
pub use invalid::{InvalidConfig, check_depth, check_divides, check_positive};
pub use linear::Linear;
pub use norm::LayerNorm;
