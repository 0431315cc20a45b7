//! What every architecture must state. A built-in one that lacks something fails here.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Distribution, Tensor};
use layers::architecture::Pass;
use layers::{Initialisation, Role, SampleKeys, ops};

use super::built_in::BUILT_IN;
use super::*;
use crate::weights::{WeightsFile, described};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

/// The models of the parity fixtures, which are small, by architecture.
fn small_models() -> BTreeMap<&'static str, Vec<ArchitectureConfig>> {
    let mut models: BTreeMap<&str, Vec<ArchitectureConfig>> = BTreeMap::new();
    for path in files(&repository().join("harness/tests/fixtures"), "safetensors") {
        let config = described(&WeightsFile::open(&path).unwrap()).unwrap();
        models.entry(config.kind()).or_default().push(config);
    }
    models
}

/// The same model with other keys; none if its architecture does not have them.
fn with(config: &ArchitectureConfig, keys: &str) -> Option<ArchitectureConfig> {
    let (image_size, classes) = config.images();
    let mut table = config.table();
    table.extend(keys.parse::<toml::Table>().unwrap());
    Some(table.try_into::<ArchitectureConfig>().ok()?.for_images(image_size, classes))
}

fn images(config: &ArchitectureConfig, count: usize, device: &Device) -> Tensor<4> {
    let (size, _) = config.images();
    Tensor::random([count, 3, size, size], Distribution::Normal(0.0, 1.0), device)
}

#[test]
fn every_architecture_has_a_fixture_a_layout_a_preset_and_a_config() {
    let models = small_models();
    let configs: Vec<String> = ["configs", "configs/published"]
        .iter()
        .flat_map(|folder| files(&repository().join(folder), "toml"))
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    for registration in BUILT_IN {
        let name = registration.name;
        let models = models.get(name).unwrap_or_else(|| panic!("{name} has no parity fixture"));
        for model in models {
            let layouts = model.layouts();
            assert!(layouts[0].name != "ours", "{name} has no layout of a reference implementation");
            assert!(model.widths().is_some(), "{name} cannot be matched in size");
        }
        let presets = (registration.presets)();
        assert!(!presets.is_empty(), "{name} has no preset");
        for (preset, config) in presets {
            config.check().unwrap_or_else(|error| panic!("{preset}: {error}"));
            assert_eq!(config.kind(), name, "{preset}");
        }
        let named = format!("architecture = \"{name}\"");
        assert!(configs.iter().any(|config| config.contains(&named)), "no config names {name}");
    }
    let known: HashSet<&str> = BUILT_IN.iter().map(|registration| registration.name).collect();
    assert!(models.keys().all(|name| known.contains(name)), "a fixture is of an architecture that is not registered");
}

#[test]
fn names_and_colours_are_of_one_architecture_each() {
    let names = names();
    assert_eq!(names.len(), names.iter().collect::<HashSet<_>>().len(), "{names:?}");
    let presets = preset_names();
    assert_eq!(presets.len(), presets.iter().collect::<HashSet<_>>().len(), "{presets:?}");
    assert!(names.len() <= crate::report::COLORS, "there are not enough colours for {names:?}");
}

#[test]
fn what_is_stated_is_what_the_module_has_and_does() {
    let device = Device::flex();
    for config in small_models().into_values().flatten() {
        // An architecture without positions, such as a mixer, has no CLS token to choose.
        let pools = ["pool = 'mean'", "pool = 'cls'"].map(|pool| with(&config, pool));
        let has_positions = config.parameters().values().any(|(parameter, _)| parameter.role == Role::Position);
        assert!(!has_positions || pools.iter().all(Option::is_some), "{config:?}");
        for config in [Some(config), pools[0].clone(), pools[1].clone()].into_iter().flatten() {
            let name = format!("{config:?}");
            // Making the model compares its parameters with `layers()`, path by path.
            let model = config.init(0, &device);
            let params: usize = config.layers().iter().map(layers::Layer::params).sum();
            let statistics =
                config.parameters().into_values().filter(|(parameter, _)| parameter.role == Role::Statistic);
            let statistics: usize = statistics.map(|(parameter, _)| parameter.shape.iter().product::<usize>()).sum();
            assert_eq!(params + statistics, model.num_params(), "{name}");

            let (outputs, products) = ops::record(|| model.forward(images(&config, 2, &device)));
            assert_eq!(outputs.dims(), [2, config.images().1], "{name}");
            let macs: u64 = layers::macs_by_part(&config.layers()).iter().map(|(_, macs)| macs).sum();
            assert_eq!(2 * macs, products.iter().map(ops::Product::macs).sum::<u64>(), "{name}: multiply-accumulates");

            let full = model.forward_full(images(&config, 2, &device));
            let stages = config.stages();
            assert_eq!((full.hidden_states.len(), model.depth() + 1), (stages.len(), stages.len()), "{name}");
            for (state, stage) in full.hidden_states.iter().zip(&stages) {
                assert_eq!(state.dims(), [2, stage.positions(), stage.channels], "{name}");
            }
            let layers = config.layers();
            let with_attention: BTreeSet<usize> =
                layers.iter().filter(|layer| layer.kind == "Attention").filter_map(|layer| layer.stage).collect();
            assert_eq!(full.attentions.len(), with_attention.len(), "{name}");
            assert!(layers.iter().filter_map(|layer| layer.stage).all(|stage| stage < model.depth()), "{name}");
        }
    }
}

#[test]
fn a_pass_is_the_same_whole_and_in_stages() {
    let device = Device::flex();
    let keys = SampleKeys { seed: 3, epoch: 1, samples: vec![5, 8] };
    for config in small_models().into_values().flatten() {
        let (model, images) = (config.init(0, &device), images(&config, 2, &device));
        for pass in [Pass::Inference, Pass::Training(&keys)] {
            let whole = match pass {
                Pass::Inference => model.forward(images.clone()),
                Pass::Training(keys) => model.forward_training(images.clone(), keys),
            };
            let mut x = model.embed(images.clone(), pass);
            for index in 0..model.depth() {
                x = model.stage(index, x, pass);
            }
            model.classify(x).into_data().assert_eq(&whole.into_data(), true);
        }
        let full = model.forward_full(images.clone());
        full.logits.into_data().assert_eq(&model.forward(images).into_data(), true);
    }
}

#[test]
fn every_initialisation_is_available_and_own_is_the_default() {
    let device = Device::flex();
    for config in small_models().into_values().flatten() {
        let values = |config: &ArchitectureConfig| crate::weights::parameters::values(&config.init(0, &device));
        let own = values(&config);
        let initialisations = ["own", "vit", "conv_vit"];
        let with_key = |name| with(&config, &format!("initialisation = '{name}'"));
        let all = initialisations.map(|name| values(&with_key(name).expect("every architecture has the key")));
        assert_eq!(all[0], own, "{config:?}");
        assert_ne!(all[1], all[2], "{config:?}");
        let positions = |values: &BTreeMap<String, crate::weights::Values>| {
            values.get("positions").map(|positions| positions.data.iter().all(|value| *value == 0.0))
        };
        if let (Some(vit), Some(conv_vit)) = (positions(&all[1]), positions(&all[2])) {
            assert!(vit && !conv_vit, "{config:?}");
        }
    }
    assert!(Initialisation::Own.is_own());
}

#[test]
fn a_table_says_everything_of_a_config() {
    for config in small_models().into_values().flatten() {
        let (image_size, classes) = config.images();
        let again: ArchitectureConfig = config.table().try_into().unwrap();
        assert_eq!(again.for_images(image_size, classes), config);
        assert!(
            !config.table().contains_key("pool"),
            "defaults that came later are not written: runs keep their names"
        );
    }
    let unknown = toml::from_str::<ArchitectureConfig>("architecture = 'resnet'").unwrap_err();
    assert!(unknown.message().starts_with("unknown variant `resnet`, expected one of `vit`"), "{unknown}");
    let missing = toml::from_str::<ArchitectureConfig>("depth = 3").unwrap_err();
    assert!(missing.message().contains("missing field `architecture`"), "{missing}");
}

#[test]
#[should_panic(expected = "`layers()` states None for parameter `classifier.bias`, the module has Some([10])")]
fn a_parameter_without_a_role_is_refused() {
    /// An architecture whose layers leave out a bias.
    #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Forgetful(conv_vit::ConvVitConfig);

    impl layers::architecture::Config for Forgetful {
        type Model = conv_vit::ConvVit;
        const NAME: &'static str = "forgetful";

        fn images(&self) -> layers::architecture::Images {
            self.0.images
        }
        fn images_mut(&mut self) -> &mut layers::architecture::Images {
            &mut self.0.images
        }
        fn check(&self) -> Result<(), layers::InvalidConfig> {
            layers::architecture::Config::check(&self.0)
        }
        fn presets() -> Vec<layers::architecture::Preset<Self>> {
            Vec::new()
        }
        fn stages(&self) -> Vec<layers::architecture::StageShape> {
            layers::architecture::Config::stages(&self.0)
        }
        fn layers(&self) -> Vec<layers::Layer> {
            let mut layers = layers::architecture::Config::layers(&self.0);
            layers.last_mut().unwrap().parameters.pop();
            layers
        }
        fn init_seeded(&self, seed: u64, device: &Device) -> conv_vit::ConvVit {
            layers::architecture::Config::init_seeded(&self.0, seed, device)
        }
    }

    ArchitectureConfig::from(Forgetful(conv_vit::ConvVitConfig::published())).init(0, &Device::flex());
}
