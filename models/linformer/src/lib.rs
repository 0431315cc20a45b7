//! A Vision Transformer whose attention is Linformer's (Wang et al. 2020, "Linformer: Self-Attention with Linear Complexity",
//! <https://arxiv.org/abs/2006.04768>): keys and values are projected along the sequence, from `tokens` to `k`,
//! so that the cost of attention grows linearly with the number of tokens.
//!
//! The reference is the `linformer` package's encoder inside the plain ViT wrapper of the Cats vs Dogs example. As there: q, k
//! and v have no bias; every block has projections of its own for keys and for values; CLS token and positions start as
//! N(0, 1); no norm after the last block, but one in the head, on the CLS token. No deviation in function.
//!
//! Attention costs less than the full kind only above `2 * k` tokens.

mod attention;
mod config;
mod layout;
mod model;

pub use attention::LinformerAttention;
pub use config::LinformerConfig;
pub use layers::architecture::{Config, Model};
pub use model::Linformer;
