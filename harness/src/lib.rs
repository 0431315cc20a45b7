//! Compares Vision Transformer architectures: trains and times them on identical images and reports accuracy, throughput and
//! cost. `ARCHITECTURE.md` maps the modules and says which way their imports run.

pub mod allocator;
pub mod architecture;
mod bounded;
mod cache;
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod error;
pub mod lanes;
pub mod measure;
mod noise;
pub mod parity;
pub mod report;
pub mod results;
pub mod run_folder;
pub mod runner;
mod sha256;
pub mod stats;
pub mod train;
pub mod weights;

/// Version of the program, part of every run's identity.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
