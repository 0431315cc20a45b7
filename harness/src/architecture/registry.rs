//! Which architectures there are: those of the suite, and those that a program adds before it parses its command line.

use std::sync::OnceLock;

use layers::architecture::{Config, Preset};
use toml::Table;

use super::ArchitectureConfig;
use super::built_in::BUILT_IN;
use crate::error::{Error, Result};

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

static REGISTERED: OnceLock<Vec<Registration>> = OnceLock::new();

/// Adds architectures to those of the suite, once and before anything else is done: worker processes and reports must know the same.
///
/// # Errors
/// If two architectures, or two of their presets, have the same name, or if configs were read before.
pub fn register(added: impl IntoIterator<Item = Registration>) -> Result<()> {
    let all: Vec<Registration> = BUILT_IN.iter().copied().chain(added).collect();
    let names = all.iter().map(|registration| registration.name).collect::<Vec<_>>();
    let presets =
        all.iter().flat_map(|registration| (registration.presets)()).map(|(name, _)| name).collect::<Vec<_>>();
    for (what, names) in [("architecture", names), ("preset", presets)] {
        if let Some((at, name)) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            let problem = format!("{what} {} of {} has a name that another has", at + 1, names.len());
            return Err(Error::input(name, problem, "give each a name of its own"));
        }
    }
    let message = "register architectures once, before configs are read";
    REGISTERED.set(all).map_err(|_| Error::input("architectures", "they are already registered", message))
}

pub(super) fn all() -> &'static [Registration] {
    REGISTERED.get_or_init(|| BUILT_IN.to_vec())
}

pub(super) fn find(name: &str) -> Option<&'static Registration> {
    all().iter().find(|registration| registration.name == name)
}

/// The names of all architectures, in the order of their colours in plots.
pub fn names() -> &'static [&'static str] {
    static NAMES: OnceLock<Vec<&str>> = OnceLock::new();
    NAMES.get_or_init(|| all().iter().map(|registration| registration.name).collect())
}

/// The sizes that have this name, with the images that the named model was made for.
pub fn preset(name: &str) -> Option<ArchitectureConfig> {
    let mut presets = all().iter().flat_map(|registration| (registration.presets)());
    presets.find(|(known, _)| *known == name).map(|(_, config)| config)
}

/// The names of all presets.
pub fn preset_names() -> Vec<&'static str> {
    all().iter().flat_map(|registration| (registration.presets)()).map(|(name, _)| name).collect()
}
