//! Agreement with PyTorch on every CPU device, and proof that a disagreement is seen.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use tempfile::TempDir;
use vitbench::device::DeviceName;
use vitbench::parity::{Comparison, Verdict, compare};

/// All fixtures.
fn fixtures() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "safetensors")).collect()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{name}.safetensors"))
}

fn comparisons(path: &Path, device: DeviceName) -> Vec<Comparison> {
    compare(path, &device.open().unwrap()).unwrap()
}

fn out(comparisons: &[Comparison]) -> Vec<&str> {
    comparisons.iter().filter(|row| row.verdict() == Verdict::Disagrees).map(|row| row.tensor.as_str()).collect()
}

fn every_fixture_agrees(device: DeviceName) {
    for path in fixtures() {
        let comparisons = comparisons(&path, device);
        let rows = comparisons.iter().filter(|row| row.verdict() != Verdict::Agrees);
        let name = path.display();
        assert_eq!(rows.map(|row| &row.tensor).collect::<Vec<_>>(), [""; 0], "{name} on {}", device.as_str());

        // Logits by both forward passes, the loss, Adam's losses; every gradient, hidden state and map of attention.
        let bytes = std::fs::read(&path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let compared = |name: &&str| ["grad.", "hidden.", "attention."].iter().any(|prefix| name.starts_with(prefix));
        assert_eq!(comparisons.len(), 4 + tensors.names().into_iter().filter(compared).count(), "{name}");
        assert!(tensors.names().iter().any(|name| name.starts_with("hidden.")), "{name}");
    }
}

#[test]
fn every_fixture_agrees_on_flex() {
    every_fixture_agrees(DeviceName::Flex);
}

#[test]
#[cfg(feature = "ndarray")]
fn every_fixture_agrees_on_ndarray() {
    every_fixture_agrees(DeviceName::Ndarray);
}

/// A copy of a fixture with names and values changed.
fn altered(
    name: &str,
    folder: &TempDir,
    rename: impl Fn(&str) -> String,
    change: impl Fn(&str, &mut [f32]),
) -> PathBuf {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let edited: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, view)| {
            let mut data = view.data().to_vec();
            if view.dtype() == Dtype::F32 {
                let mut values: Vec<f32> = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
                change(name, &mut values);
                data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            }
            (rename(name), view.dtype(), view.shape().to_vec(), data)
        })
        .collect();
    let views = edited
        .iter()
        .map(|(name, dtype, shape, data)| (name.as_str(), TensorView::new(*dtype, shape.clone(), data).unwrap()));
    let path = folder.path().join("altered.safetensors");
    std::fs::write(&path, safetensors::serialize(views, header.metadata().clone()).unwrap()).unwrap();
    path
}

/// Exchanges two parts of names.
fn swap<'a>(a: &'a str, b: &'a str) -> impl Fn(&str) -> String + 'a {
    move |name| name.replace(a, "\0").replace(b, a).replace('\0', b)
}

#[test]
fn exchanged_weights_are_seen() {
    let folder = TempDir::new().unwrap();
    for (name, a, b) in [
        (
            "vit_cls",
            "weight.model.vit.layers.0.attention.q_proj.weight",
            "weight.model.vit.layers.0.attention.k_proj.weight",
        ),
        ("vit_pooler", "weight.vit.layers.2.layernorm_before", "weight.vit.layers.2.layernorm_after"),
        ("linformer", "weight.transformer.net.layers.1.0.fn.proj_k", "weight.transformer.net.layers.1.0.fn.proj_v"),
        ("conv_vit", "weight.blocks.0.attn.q.", "weight.blocks.0.attn.k."),
    ] {
        let path = altered(name, &folder, swap(a, b), |_, _| {});
        let comparisons = comparisons(&path, DeviceName::Flex);
        let out = out(&comparisons);
        for tensor in ["logits", "loss", "adam_losses"] {
            assert!(out.contains(&tensor), "{name}: {tensor} is not among {out:?}");
        }
        assert!(out.iter().filter(|tensor| tensor.starts_with("grad.")).count() > 10, "{name}: {out:?}");
    }
}

#[test]
fn a_small_error_in_one_tensor_is_seen_there_and_nowhere_else() {
    let folder = TempDir::new().unwrap();
    for (name, tensor, factor) in [
        ("vit_cls", "hidden.1", 1.0005),
        ("vit_cls", "attention.1", 1.0005),
        ("vit_cls", "adam_losses", 1.002),
        ("vit_pooler", "grad.vit.layers.0.attention.q_proj.bias", 1.002),
        ("conv_vit", "grad.blocks.1.attn.k.weight", 0.998),
        ("conv_vit", "attention.0", 1.0005),
        ("linformer", "hidden.2", 1.0005),
        ("linformer_k_above_n", "grad.transformer.net.layers.2.0.fn.proj_k", f32::NAN),
    ] {
        let change = |found: &str, values: &mut [f32]| {
            if found == tensor {
                values.iter_mut().for_each(|value| *value *= factor);
            }
        };
        let path = altered(name, &folder, str::to_owned, change);
        assert_eq!(out(&comparisons(&path, DeviceName::Flex)), [tensor], "{name} times {factor}");
    }
}

fn vitbench(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vitbench")).arg("parity").args(arguments).output().unwrap()
}

#[test]
fn the_command_says_how_it_went_by_its_exit_code() {
    let folder = TempDir::new().unwrap();
    let good = vitbench(&[&fixture("conv_vit"), &fixture("linformer")]);
    let text = String::from_utf8_lossy(&good.stdout);
    assert_eq!(good.status.code(), Some(0), "{text}");
    assert!(text.contains("48 of 48 agree") && text.contains("47 of 47 agree"), "{text}");

    let path = altered("conv_vit", &folder, swap("weight.blocks.0.fc1", "weight.blocks.1.fc1"), |_, _| {});
    let bad = vitbench(&[&fixture("linformer"), &path]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&bad.stdout).contains("DISAGREES"));
    assert!(String::from_utf8_lossy(&bad.stderr).contains("of 95 tensors disagree with PyTorch"));

    for (from, to, problem) in [
        ("grad.norm.bias", "grad.norm.bais", "altered.safetensors: grad.norm.bias: "),
        ("weight.norm.bias", "weight.norm.bais", "weight.norm.bais: the model has no place for this tensor"),
        ("logits", "logit", "altered.safetensors: logits: the file has no such tensor"),
        ("images", "logits", "altered.safetensors: images: its shape is [3, 10]"),
    ] {
        let path = altered("conv_vit", &folder, swap(from, to), |_, _| {});
        let unusable = vitbench(&[&path]);
        let text = String::from_utf8_lossy(&unusable.stderr);
        assert_eq!(unusable.status.code(), Some(2), "{text}");
        assert!(text.starts_with("error: ") && text.contains(problem) && text.contains("help: "), "{problem}: {text}");
    }
}
