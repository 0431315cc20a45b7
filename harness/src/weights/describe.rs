//! The description of the model in a weights file: architecture and sizes as JSON, in the header's metadata.

use serde_json::{Map, Value};

use super::WeightsFile;
use crate::architecture::ArchitectureConfig;
use crate::error::{Error, Result};

/// The key of the description in the metadata.
pub(super) const KEY: &str = "config";

/// The model's description: its `[[model]]` table with `image_size` and `classes`.
pub(super) fn describe(config: &ArchitectureConfig) -> String {
    let mut table: Map<String, Value> = match serde_json::to_value(config) {
        Ok(Value::Object(table)) => table,
        other => unreachable!("an architecture's sizes are a table, not {other:?}"),
    };
    let (image_size, classes) = config.images();
    table.insert("image_size".into(), image_size.into());
    table.insert("classes".into(), classes.into());
    Value::Object(table).to_string()
}

/// The model that a file describes.
///
/// # Errors
/// If the description is absent, or describes no valid model.
pub fn described(file: &WeightsFile) -> Result<ArchitectureConfig> {
    let place = format!("{}: {KEY}", file.path().display());
    let wrong = |problem: String| {
        Error::input(&place, problem, "the metadata must have architecture, sizes, image_size and classes as JSON")
    };
    let text = file.metadata(KEY).ok_or_else(|| wrong("the file does not describe its model".into()))?;
    let mut table: Map<String, Value> = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let mut size = |key: &str| {
        let value = table.remove(key).as_ref().and_then(Value::as_u64);
        value.map(|size| size as usize).ok_or_else(|| wrong(format!("{key} must be a whole number")))
    };
    let (image_size, classes) = (size("image_size")?, size("classes")?);
    let config: ArchitectureConfig =
        serde_json::from_value(Value::Object(table)).map_err(|error| wrong(error.to_string()))?;
    let config = config.for_images(image_size, classes);
    config.check().map_err(|invalid| wrong(invalid.to_string()))?;
    // What is built from a description grows with the depth, so a hostile depth must be refused first.
    if config.depth() > file.names().len() {
        return Err(wrong(format!("a depth of {} needs more tensors than the file has", config.depth())));
    }
    Ok(config)
}
