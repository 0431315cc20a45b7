//! One architecture, as the registry lists it.

use layers::architecture::{Config, Preset};
use toml::Table;

use super::config::ArchitectureConfig;

/// An architecture that configs can name.
#[derive(Debug, Clone, Copy)]
pub struct Registration {
    pub(super) name: &'static str,
    pub(super) parse: fn(Table) -> Result<ArchitectureConfig, toml::de::Error>,
    pub(super) presets: fn() -> Vec<(&'static str, ArchitectureConfig)>,
}

impl Registration {
    /// The architecture whose sizes are a `C`.
    pub const fn of<C: Config>() -> Self {
        Self {
            name: C::NAME,
            parse: |table| Ok(ArchitectureConfig::from(table.try_into::<C>()?)),
            presets: || {
                let erased = |Preset { name, config }| (name, ArchitectureConfig::from(config));
                C::presets().into_iter().map(erased).collect()
            },
        }
    }
}
