//! What a weights file says of the model that it is for: architecture and sizes as JSON, in the header's metadata.

use serde_json::{Map, Value};

use super::WeightsFile;
use crate::architecture::ArchitectureConfig;
use crate::error::{Error, Result};

/// The entry of the metadata.
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

/// The model that a file says it is for.
///
/// # Errors
/// If it says nothing, or nothing that describes a model.
pub fn described(file: &WeightsFile) -> Result<ArchitectureConfig> {
    let place = format!("{}: {KEY}", file.path().display());
    let wrong = |problem: String| {
        Error::input(&place, problem, "the metadata should hold architecture, sizes, image_size and classes as JSON")
    };
    let text = file.metadata(KEY).ok_or_else(|| wrong("the file does not say which model it is for".into()))?;
    let mut table: Map<String, Value> = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    let mut size = |key: &str| {
        let value = table.remove(key).as_ref().and_then(Value::as_u64);
        value.map(|size| size as usize).ok_or_else(|| wrong(format!("{key} is no number of pixels or classes")))
    };
    let (image_size, classes) = (size("image_size")?, size("classes")?);
    let config: ArchitectureConfig =
        serde_json::from_value(Value::Object(table)).map_err(|error| wrong(error.to_string()))?;
    let config = config.for_images(image_size, classes);
    config.check().map_err(|invalid| wrong(invalid.to_string()))?;
    // Everything that is made of a description grows with the depth.
    if config.depth() > file.names().len() {
        return Err(wrong(format!("a depth of {} needs more tensors than the file has", config.depth())));
    }
    Ok(config)
}
