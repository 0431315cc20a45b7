//! Models of any registered architecture behind one type. What an architecture states is [`layers::architecture`]; the rest of the
//! suite knows no architecture by name.

mod built_in;
mod config;
mod module;
mod registration;
mod registry;

#[cfg(test)]
mod tests;

pub use config::ArchitectureConfig;
pub use module::Architecture;
pub use registration::Registration;
pub use registry::{names, preset, preset_names, register};
