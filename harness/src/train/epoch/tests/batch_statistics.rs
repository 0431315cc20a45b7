//! A model with batch normalisation: its statistics are of whole batches, are kept with the weights, and are used in evaluation.

use burn::module::Module;
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::Tensor;
use layers::architecture::{Config, Images as ModelImages, Model, Pass, Preset, StageShape};
use layers::{Init, InvalidConfig, Layer, Linear, Part, Pool, Role, Scheme, ops};
use serde::{Deserialize, Serialize};

use super::*;
use crate::config;
use crate::device::DeviceName;
use crate::train::size::{micro_batch_on, model_size};
use crate::weights::{self, Values};

const CHANNELS: usize = 6;
const PATCH: usize = 4;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NormedConfig {
    #[serde(skip)]
    images: ModelImages,
}

#[derive(Module, Debug)]
struct Normed {
    patch_embedding: Linear,
    norm: BatchNorm,
    classifier: Linear,
}

impl Model for Normed {
    fn embed(&self, images: Tensor<4>, _: Pass<'_>) -> Tensor<3> {
        self.patch_embedding.forward(ops::patches(images, PATCH))
    }

    fn depth(&self) -> usize {
        1
    }

    fn stage(&self, _: usize, x: Tensor<3>, _: Pass<'_>) -> Tensor<3> {
        ops::gelu(self.norm.forward(x.swap_dims(1, 2)).swap_dims(1, 2))
    }

    fn classify(&self, x: Tensor<3>) -> Tensor<2> {
        self.classifier.forward(Pool::Mean.reduce(x))
    }
}

impl Config for NormedConfig {
    type Model = Normed;
    const NAME: &'static str = "normed";

    fn images(&self) -> ModelImages {
        self.images
    }

    fn images_mut(&mut self) -> &mut ModelImages {
        &mut self.images
    }

    fn check(&self) -> Result<(), InvalidConfig> {
        Ok(())
    }

    fn presets() -> Vec<Preset<Self>> {
        Vec::new()
    }

    fn stages(&self) -> Vec<StageShape> {
        vec![StageShape::square(self.images.size / PATCH, 0, CHANNELS); 2]
    }

    fn layers(&self) -> Vec<Layer> {
        let rows = [self.images.patches(PATCH), CHANNELS];
        let norm = Layer::new("norm", "BatchNorm", &rows).in_stage(0);
        let norm = norm.with("gamma", &[CHANNELS], Role::Norm).with("beta", &[CHANNELS], Role::Norm);
        let norm = norm.with("running_mean", &[CHANNELS], Role::Statistic);
        vec![
            Layer::linear("patch_embedding", self.images.patch_values(PATCH), &rows, true, Part::PATCHES),
            norm.with("running_var", &[CHANNELS], Role::Statistic),
            Layer::linear("classifier", CHANNELS, &[self.images.classes], true, Part::HEAD),
        ]
    }

    fn init_seeded(&self, seed: u64, device: &Device) -> Normed {
        let mut init = Init::new(Scheme::PyTorch, seed, device);
        Normed {
            patch_embedding: init.linear(self.images.patch_values(PATCH), CHANNELS, true),
            norm: BatchNormConfig::new(CHANNELS).init(device),
            classifier: init.linear(CHANNELS, self.images.classes, true),
        }
    }

    fn batch_statistics(&self) -> bool {
        true
    }
}

const BATCH: usize = 16;

fn architecture() -> ArchitectureConfig {
    ArchitectureConfig::from(NormedConfig { images: ModelImages::default() }).for_images(16, CLASSES)
}

/// A learner after an epoch, whose batches are divided as the model's statistics allow.
fn trained(threads: usize) -> (Learner, f64) {
    let recipe = "epochs = 1\nbatch_size = 16\noptimizer = { kind = 'adamw' }\nlr = 0.01\nema = { decay = 0.9 }";
    let recipe: TrainConfig = toml::from_str(recipe).unwrap();
    let (images, data) = (images(), toml::from_str("dataset = 'shapes'").unwrap());
    let device = Device::flex().autodiff();
    let model = architecture().init(3, &device);
    let optimizer = optimizer::build(&recipe.optimizer, recipe.decay, &architecture(), &model);
    let micro_batch = micro_batch_on(DeviceName::Flex, &model_table(), &architecture(), BATCH);
    let average = WeightAverage::new(recipe.ema.unwrap(), &model);
    let mut learner = Learner::new(model, optimizer, device, micro_batch, CLASSES).with_average(average);
    let start = EpochStart { seed: 9, epoch: 0, made: EpochStats::default() };
    let go_on = |_: &Learner, _: &EpochStats, _: &[Digest]| Ok(());
    let reader = BatchReader::training(&images, &data, 9);
    train_epoch(&mut learner, &Lanes::new(threads), &reader, &images, &recipe, start, go_on).unwrap();
    let reader = BatchReader::evaluation(&images, &data);
    let (lanes, sizes) = (Lanes::new(threads), (4, CLASSES));
    let evaluated = evaluate(&learner.result(), &lanes, &reader, &images, sizes, &Device::flex(), &GO_ON);
    let loss = evaluated.unwrap().0.loss();
    (learner, loss)
}

fn model_table() -> config::ModelConfig {
    config::ModelConfig { name: "normed".into(), micro_batch: None, init: None, architecture: architecture() }
}

fn statistics(model: &crate::architecture::Architecture) -> [Values; 2] {
    let mut values = parameters::values(model);
    ["norm.running_mean", "norm.running_var"].map(|path| values.remove(path).unwrap())
}

#[test]
fn statistics_are_of_whole_batches_whatever_the_threads() {
    assert_eq!(micro_batch_on(DeviceName::Flex, &model_table(), &architecture(), BATCH), BATCH);
    let (one, loss) = trained(1);
    let (three, other_loss) = trained(3);
    assert_eq!(loss.to_bits(), other_loss.to_bits());
    assert_eq!(parameters::values(&one.result()), parameters::values(&three.result()));

    // They have moved from where they start, in the weights of the last step and in their average.
    for model in [one.model().valid(), one.result()] {
        let [mean, variance] = statistics(&model);
        assert!(mean.data.iter().any(|value| value.abs() > 1e-3), "{mean:?}");
        assert!(variance.data.iter().any(|value| (value - 1.0).abs() > 1e-3), "{variance:?}");
    }
}

#[test]
fn statistics_are_saved_and_neither_counted_nor_trained() {
    let size = model_size(&architecture());
    let linear = |inputs: usize, outputs: usize| (inputs + 1) * outputs;
    assert_eq!(size.params, linear(3 * PATCH * PATCH, CHANNELS) + 2 * CHANNELS + linear(CHANNELS, CLASSES));

    let (learner, _) = trained(1);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    weights::save(&path, &architecture(), learner.model()).unwrap();
    let fresh = architecture().init(8, &Device::flex().autodiff());
    let (loaded, notes) = weights::load(&path, &architecture(), fresh).unwrap();
    assert_eq!(notes, [""; 0]);
    assert_eq!(statistics(&loaded), statistics(&learner.model().valid()));
    assert_eq!(parameters::values(&loaded.valid()), parameters::values(&learner.model().valid()));
}

#[test]
fn what_would_change_the_statistics_is_refused() {
    let plan = "[data]\ndataset = 'shapes'\n[train]\nepochs = 1\nbatch_size = 8\nlr = 0.1\noptimizer.kind = 'sgd'\n[[model]]\n\
                preset = 'conv_vit_published'\n";
    let mut plan = config::parse(plan, "plan.toml", &[]).unwrap();
    plan.models = vec![model_table()];
    plan.check_models("plan.toml", CLASSES).unwrap();
    plan.models[0].micro_batch = Some(4);
    let error = plan.check_models("plan.toml", CLASSES).unwrap_err().to_string();
    assert!(error.contains("model.0 (`normed`): micro_batch: `normed` has statistics of whole batches"), "{error}");
    plan.models[0].micro_batch = None;
    plan.train.gradient_checkpointing = true;
    let error = plan.check_models("plan.toml", CLASSES).unwrap_err().to_string();
    assert!(error.contains("set `train.gradient_checkpointing = false`"), "{error}");
}
