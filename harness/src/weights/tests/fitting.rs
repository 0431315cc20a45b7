//! Files of models with other classes, other images, other heads, other types; and files that do not fit.

use burn::tensor::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;
use crate::error::{Error, Result};
use crate::weights::{check, load, parameters};

/// Place, problem and help of the error that a file must give.
fn refused(outcome: Result<Vec<String>>) -> [String; 3] {
    match outcome {
        Err(Error::Input { place, problem, help }) => [place, problem, help],
        other => panic!("not refused as input: {other:?}"),
    }
}

/// A fixture's model with some sizes changed.
fn with(config: &ArchitectureConfig, sizes: &str) -> ArchitectureConfig {
    let (image_size, classes) = config.images();
    let mut table = toml::Table::try_from(config).unwrap();
    table.extend(sizes.parse::<toml::Table>().unwrap());
    table.try_into::<ArchitectureConfig>().unwrap().for_images(image_size, classes)
}

#[test]
fn a_classifier_of_other_classes_is_left_untrained() {
    let files = Files::new();
    for (name, classes) in [("vit_cls", 5), ("linformer", 5), ("conv_vit", 10)] {
        let (config, weights) = pytorch(name);
        let path = files.put(&weights);
        let trained = parameters::values(&load(&path, &config, model(&config)).unwrap().0);
        let (image_size, _) = config.images();
        let config = config.for_images(image_size, 9);
        let (loaded, notes) = load(&path, &config, model(&config)).unwrap();
        let note = format!("the file's classifier is for {classes} classes; the model's, for 9, starts untrained");
        assert_eq!(notes, [note]);
        let initial = parameters::values(&model(&config));
        for (path, values) in parameters::values(&loaded) {
            let expected = if path.starts_with("classifier") { &initial[&path] } else { &trained[&path] };
            assert_eq!(values, *expected, "{name}: {path}");
        }
    }
}

#[test]
fn a_pooler_too_many_is_passed_over_and_one_too_few_left_untrained() {
    let files = Files::new();
    let (config, weights) = pytorch("vit_pooler");
    let without = with(&config, "head = 'cls'");
    let notes = check(&files.put(&weights), &without).unwrap();
    assert_eq!(notes, ["not used by this model: vit.pooler.dense.bias, vit.pooler.dense.weight"]);
    let bare = weights.into_iter().filter(|(name, _)| !name.contains("pooler")).collect();
    assert_eq!(check(&files.put(&bare), &config).unwrap(), ["the file has no pooler; the model's starts untrained"]);
}

#[test]
fn positions_are_interpolated_for_other_images() {
    let files = Files::new();
    for (name, from, to, note) in [
        (
            "vit_cls",
            16,
            24,
            "vit.embeddings.position_embeddings: positions of 4x4 are interpolated to 6x6, bicubically",
        ),
        ("conv_vit", 8, 4, "position: positions of 4x4 are interpolated to 2x2, bicubically"),
    ] {
        let (config, mut weights) = pytorch(name);
        assert_eq!(config.images().0, from);
        weights = weights.into_iter().map(|(n, v)| (n.trim_start_matches("model.").to_owned(), v)).collect();
        let config = config.for_images(to, config.images().1);
        let (loaded, notes) = load(&files.put(&weights), &config, model(&config)).unwrap();
        assert_eq!(notes, [note]);
        let positions = &parameters::values(&loaded)["positions"];
        assert_eq!(positions.shape[1], config.tokens());
        assert_ne!(*positions, parameters::values(&model(&config))["positions"]);
    }
}

#[test]
fn linformers_projections_tie_it_to_its_number_of_tokens() {
    let files = Files::new();
    let (config, weights) = pytorch("linformer");
    let [place, problem, help] = refused(check(&files.put(&weights), &config.for_images(24, 5)));
    assert!(place.ends_with("weights.safetensors: transformer.net.layers.0.0.fn.proj_k"), "{place}");
    assert_eq!(problem, "its shape is [17, 8] where the model has [37, 8]");
    assert!(help.contains("must have the file's sizes"), "{help}");
}

#[test]
fn other_types_of_floats_are_converted() {
    let files = Files::new();
    let (config, weights) = pytorch("conv_vit");
    let tensors: Vec<(&String, Dtype, &Values, Vec<u8>)> = weights
        .iter()
        .enumerate()
        .map(|(index, (name, values))| {
            let data = values.data.iter();
            let (dtype, bytes) = match index {
                0 => (Dtype::F16, data.flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect()),
                1 => (Dtype::BF16, data.flat_map(|v| bf16::from_f32(*v).to_le_bytes()).collect()),
                2 => (Dtype::F64, data.flat_map(|v| f64::from(*v).to_le_bytes()).collect()),
                _ => (Dtype::F32, data.flat_map(|v| v.to_le_bytes()).collect()),
            };
            (name, dtype, values, bytes)
        })
        .collect();
    let views = tensors.iter().map(|(name, dtype, values, bytes)| {
        (name.as_str(), TensorView::new(*dtype, values.shape.clone(), bytes).unwrap())
    });
    let path = files.put_bytes(&safetensors::serialize(views, None).unwrap());
    let notes = check(&path, &config).unwrap();
    let note = |kind| format!("converted from {kind} to F32: 1 tensors");
    assert_eq!(notes, ["F16", "BF16", "F64"].map(note));
    let file = WeightsFile::open(&path).unwrap();
    for ((name, values), tolerance) in weights.iter().zip([1e-3, 1e-2, 0.0, 0.0]) {
        for (read, written) in file.read(name).unwrap().data.iter().zip(&values.data) {
            assert!((read - written).abs() <= tolerance * written.abs(), "{name}: {read} for {written}");
        }
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let files = Files::new();
    let (config, weights) = pytorch("conv_vit");
    let edited = |edit: &dyn Fn(&mut BTreeMap<String, Values>)| {
        let mut weights = weights.clone();
        edit(&mut weights);
        refused(check(&files.put(&weights), &config))
    };
    let tensor = |shape: &[usize]| Values::new(shape, vec![0.0; shape.iter().product()]);

    let [place, problem, _] = edited(&|weights| drop(weights.remove("blocks.1.attn.q.bias")));
    assert!(place.ends_with("weights.safetensors: blocks.1.attn.q.bias"), "{place}");
    assert_eq!(problem, "the file has no such tensor");

    let [place, problem, help] = edited(&|weights| drop(weights.insert("blocks.2.fc1.bias".into(), tensor(&[64]))));
    assert!(place.ends_with(": blocks.2.fc1.bias"), "{place}");
    assert_eq!(problem, "the model has no place for this tensor");
    assert!(help.contains("layout `pytorch`"), "{help}");

    for (name, shape, expected) in [
        ("blocks.0.fc1.weight", &[16, 64, 1, 1][..], "[64, 16, 1, 1]"),
        ("blocks.0.fc1.weight", &[64, 16], "[64, 16, 1, 1]"),
        ("patch.weight", &[16, 12, 1, 1], "[16, 3, 2, 2]"),
        ("position", &[1, 16, 4, 3], "[1, 16, 4, 4]"),
        ("position", &[1, 16, 0, 0], "[1, 16, 4, 4]"),
        // Weight and bias that disagree about the classes are no classifier of other classes.
        ("head.bias", &[9], "[10]"),
    ] {
        let [place, problem, _] = edited(&|weights| drop(weights.insert(name.into(), tensor(shape))));
        assert!(place.ends_with(name), "{place}");
        assert_eq!(problem, format!("its shape is {shape:?} where the model has {expected}"));
    }

    let [_, problem, help] = edited(&|weights| *weights = [("resnet.conv1.weight".into(), tensor(&[1]))].into());
    assert!(problem.contains("named in no known layout (such as `resnet.conv1.weight`)"), "{problem}");
    assert!(help.starts_with("`pytorch` comes nearest"), "{help}");
}

#[test]
fn values_that_are_no_floats_are_refused() {
    let files = Files::new();
    let (config, weights) = pytorch("linformer_k_above_n");
    let zeros = vec![0; 16 * 192 * 8];
    let views = weights.iter().map(|(name, values)| {
        let dtype = if name == "norm.bias" { Dtype::I32 } else { Dtype::F32 };
        let bytes = &zeros[..values.data.len() * 4];
        (name.as_str(), TensorView::new(dtype, values.shape.clone(), bytes).unwrap())
    });
    let path = files.put_bytes(&safetensors::serialize(views, None).unwrap());
    let [place, problem, help] = refused(check(&path, &config));
    assert!(place.ends_with("weights.safetensors: norm.bias"), "{place}");
    assert_eq!((problem.as_str(), help.as_str()), ("its values are I32", "store weights as F32, F16, BF16 or F64"));
}

#[test]
fn another_depth_is_named() {
    let files = Files::new();
    let (config, weights) = pytorch("vit_pooler");
    let path = files.put(&weights);
    let [place, problem, _] = refused(check(&path, &with(&config, "depth = 5")));
    assert!(place.ends_with("vit.layers.3.attention.q_proj.weight"), "{place}");
    assert_eq!(problem, "the file has no such tensor, nor 31 others");
    let [place, problem, _] = refused(check(&path, &with(&config, "depth = 2")));
    assert!(place.contains("vit.layers.2."), "{place}");
    assert_eq!(problem, "the model has no place for this tensor, nor 15 others");
}
