//! Names and arrangements.

use super::*;
use crate::weights::{TargetLayout, convert, load, parameters, save};

/// transformers' classic name of a tensor that transformers 5 calls `name`.
fn classic(name: &str) -> String {
    [
        ("vit.layers.", "vit.encoder.layer."),
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
    ]
    .iter()
    .fold(name.to_owned(), |name, (fifth, classic)| name.replace(fifth, classic))
}

fn bits(tensors: &BTreeMap<String, Values>) -> Vec<(&String, &Vec<usize>, Vec<u32>)> {
    let bits = |values: &Values| values.data.iter().map(|value| value.to_bits()).collect();
    tensors.iter().map(|(name, values)| (name, &values.shape, bits(values))).collect()
}

#[test]
fn every_layout_covers_every_parameter_once() {
    for name in &fixtures() {
        let (config, _) = pytorch(name);
        let parameters: Vec<_> =
            parameters::values(&model(&config)).into_iter().map(|(path, values)| (path, values.shape)).collect();
        for layout in config.layouts() {
            let mut covered: Vec<_> = layout.entries.into_iter().map(|entry| (entry.ours, entry.shape)).collect();
            covered.sort();
            assert_eq!(covered, parameters, "{name}: {}", layout.name);
        }
    }
}

#[test]
fn a_round_trip_keeps_every_bit() {
    let files = Files::new();
    for name in &fixtures() {
        let (config, mut weights) = pytorch(name);
        // Values that arithmetic would change.
        let odd = [0x8000_0000, 0x0000_0001, 0x7fc0_1234, 0xff80_0000].map(f32::from_bits);
        weights.values_mut().for_each(|values| values.data[..2].copy_from_slice(&odd[..2]));
        let large = weights.values_mut().find(|values| values.data.len() > 4).unwrap();
        large.data[..4].copy_from_slice(&odd);

        let (loaded, notes) = load(&files.put(&weights), &config, model(&config)).unwrap();
        assert_eq!(notes, [""; 0], "{name}");
        let own = files.path("own/model.safetensors");
        save(&own, &config, &loaded).unwrap();
        let exported = files.path("reference.safetensors");
        assert_eq!(convert(&own, TargetLayout::Reference, &exported).unwrap(), weights.len());

        let file = WeightsFile::open(&exported).unwrap();
        let back: BTreeMap<_, _> = file.names().map(|n| (n.to_owned(), file.read(n).unwrap())).collect();
        let vit = name.starts_with("vit");
        let rename = |name: &String| if vit { classic(name.trim_start_matches("model.")) } else { name.clone() };
        let expected: BTreeMap<_, _> = weights.iter().map(|(name, values)| (rename(name), values.clone())).collect();
        assert_eq!(bits(&back), bits(&expected), "{name}");

        let again = files.path("again.safetensors");
        convert(&exported, TargetLayout::Ours, &again).unwrap();
        assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&own).unwrap(), "{name}: file after a round trip");
    }
}

#[test]
fn both_generations_of_transformers_and_any_wrapper_are_read() {
    let files = Files::new();
    for name in ["vit_cls", "vit_pooler"] {
        let (config, weights) = pytorch(name);
        let expected = parameters::values(&load(&files.put(&weights), &config, model(&config)).unwrap().0);
        for generation in [str::to_owned as fn(&str) -> String, classic] {
            for wrapper in ["", "model.", "module.model.", "_orig_mod.vit."] {
                let rename = |name: &String| format!("{wrapper}{}", generation(name.trim_start_matches("model.")));
                let renamed = weights.iter().map(|(name, values)| (rename(name), values.clone())).collect();
                let (loaded, notes) = load(&files.put(&renamed), &config, model(&config)).unwrap();
                assert_eq!(parameters::values(&loaded), expected, "{:?}", renamed.keys().next());
                assert_eq!(notes, [""; 0]);
            }
        }
    }
}

#[test]
fn a_bare_body_is_read_and_the_classifier_left_untrained() {
    let files = Files::new();
    let (config, mut weights) = pytorch("vit_pooler");
    let trained = parameters::values(&load(&files.put(&weights), &config, model(&config)).unwrap().0);
    weights.retain(|name, _| name.starts_with("vit."));
    let renamed =
        weights.iter().map(|(name, values)| (classic(name)["vit.".len()..].to_owned(), values.clone())).collect();
    let (loaded, notes) = load(&files.put(&renamed), &config, model(&config)).unwrap();
    assert_eq!(notes, ["the file has no classifier; the model's starts untrained"]);
    let initial = parameters::values(&model(&config));
    for (path, values) in parameters::values(&loaded) {
        let expected = if path.starts_with("classifier") { &initial[&path] } else { &trained[&path] };
        assert_eq!(values, *expected, "{path}");
    }
}

#[test]
fn a_layout_is_asked_for_by_a_name_that_the_model_has() {
    let files = Files::new();
    for (name, ok) in [("vit_cls", true), ("linformer", false), ("conv_vit", false)] {
        let (config, _) = pytorch(name);
        let own = files.path("model.safetensors");
        save(&own, &config, &model(&config)).unwrap();
        let outcome = convert(&own, TargetLayout::HuggingFace, &files.path("exported.safetensors"));
        assert_eq!(outcome.is_ok(), ok, "{name}: {outcome:?}");
    }
}
