//! Which architectures there are: those of the suite, and those that a program adds before it parses its command line.

use std::sync::OnceLock;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::built_in::BUILT_IN;
use super::config::{ARCHITECTURE, ArchitectureConfig};
use super::registration::Registration;
use crate::error::{Error, Result};

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

fn all() -> &'static [Registration] {
    REGISTERED.get_or_init(|| BUILT_IN.to_vec())
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

impl<'de> Deserialize<'de> for ArchitectureConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Table::deserialize(deserializer)?;
        let name = match table.remove(ARCHITECTURE) {
            Some(Value::String(name)) => name,
            Some(other) => return Err(D::Error::custom(format!("{ARCHITECTURE}: must be a name, got {other}"))),
            None => return Err(D::Error::missing_field(ARCHITECTURE)),
        };
        let registration = all().iter().find(|registration| registration.name == name);
        let registration = registration.ok_or_else(|| D::Error::unknown_variant(&name, names()))?;
        (registration.parse)(table).map_err(|error| D::Error::custom(error.message()))
    }
}
