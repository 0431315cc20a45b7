//! The layers of models for other programs.

use serde::Serialize;

use super::Model;
use crate::results::ModelSizeRecord;
use crate::train::model_size;

#[derive(Serialize)]
struct ModelRecord<'a> {
    model: &'a str,
    architecture: &'a str,
    image_size: usize,
    classes: usize,
    #[serde(flatten)]
    size: ModelSizeRecord,
    macs: u64,
    layers: Vec<LayerRecord>,
}

#[derive(Serialize)]
struct LayerRecord {
    layer: String,
    kind: &'static str,
    /// For one image.
    output: Vec<usize>,
    params: usize,
    macs: u64,
}

#[derive(Serialize)]
struct LayerRow<'a> {
    model: &'a str,
    layer: &'a str,
    kind: &'static str,
    output: String,
    params: usize,
    macs: u64,
}

fn record(model: &Model) -> ModelRecord<'_> {
    let layers = model.architecture.layers().into_iter().map(|layer| LayerRecord {
        params: layer.params(),
        macs: layer.macs.map_or(0, |(_, macs)| macs),
        layer: layer.name,
        kind: layer.kind,
        output: layer.output,
    });
    let size = model_size(&model.architecture);
    ModelRecord {
        model: &model.name,
        architecture: model.architecture.kind(),
        image_size: model.image_size,
        classes: model.classes,
        macs: size.macs(),
        size,
        layers: layers.collect(),
    }
}

/// An array of models with their layers.
pub(super) fn json(models: &[Model]) -> String {
    let records: Vec<_> = models.iter().map(record).collect();
    serde_json::to_string_pretty(&records).expect("records are JSON")
}

/// A row per layer; shapes as `65x192`.
pub(super) fn csv(models: &[Model]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for model in models.iter().map(record) {
        for layer in &model.layers {
            let sides: Vec<String> = layer.output.iter().map(usize::to_string).collect();
            let row = LayerRow {
                model: model.model,
                layer: &layer.layer,
                kind: layer.kind,
                output: sides.join("x"),
                params: layer.params,
                macs: layer.macs,
            };
            writer.serialize(row).expect("rows are flat, and memory takes every byte");
        }
    }
    String::from_utf8(writer.into_inner().expect("memory takes every byte")).expect("names are UTF-8")
}
