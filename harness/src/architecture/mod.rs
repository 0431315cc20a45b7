//! Models of any registered architecture behind one type. What an architecture states is [`layers::architecture`]; the rest of the
//! suite knows no architecture by name.

mod built_in;
mod config;
mod module;
mod registry;

#[cfg(test)]
mod tests;

pub use config::ArchitectureConfig;
pub use module::Architecture;
pub use registry::{Registration, names, preset, preset_names, register};
