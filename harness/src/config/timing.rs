//! What `vitbench time` measures: models with their image and batch sizes, from a plan or from a config of its own that names no
//! data and no epochs.

use std::collections::HashSet;

use layers::Precision;
use serde::{Deserialize, Serialize};

use super::model::{ModelConfig, take};
use super::plan::{Plan, RunConfig, first_repeated};
use super::{MeasureConfig, OptimizerConfig, SOME_CLASSES};
use crate::device::DeviceName;
use crate::error::{Error, Result};

/// Models to time.
#[derive(Debug, Clone, PartialEq)]
pub struct TimingPlan {
    /// Where to compute; `--device` overrides it.
    pub device: DeviceName,
    /// Warm-up, samples and seconds of a figure.
    pub measure: MeasureConfig,
    /// The models.
    pub models: Vec<TimedModel>,
}

/// A model to time.
#[derive(Debug, Clone, PartialEq)]
pub struct TimedModel {
    /// The model; image size and classes are part of its sizes here.
    pub model: ModelConfig,
    /// The numbers that its matrix products multiply.
    pub precision: Precision,
    /// What a training step does besides the model.
    pub step: StepConfig,
    /// Batch sizes of the training step.
    pub train_batch_sizes: Vec<usize>,
    /// Batch sizes of inference.
    pub inference_batch_sizes: Vec<usize>,
}

/// The part of a recipe that changes how long a step takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Greatest norm of all gradients together.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    /// Whether blocks are computed again for the backward pass.
    #[serde(default)]
    pub gradient_checkpointing: bool,
}

/// A config without data: what `configs/speed.toml` is.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SizesFile {
    #[serde(default)]
    device: DeviceName,
    #[serde(default)]
    precision: Precision,
    train: StepConfig,
    #[serde(default)]
    measure: MeasureConfig,
    model: Vec<SizedModel>,
}

/// Its `[[model]]` table, with sizes that a plan takes from its data and recipe.
#[derive(Deserialize)]
#[serde(try_from = "toml::Table")]
struct SizedModel {
    model: ModelConfig,
    batch_size: usize,
}

impl TryFrom<toml::Table> for SizedModel {
    type Error = String;

    fn try_from(mut table: toml::Table) -> Result<Self, String> {
        let mut size = |key: &str, what: &str| match take::<usize>(&mut table, key)? {
            Some(0) => Err(format!("{key}: must be at least 1, got 0")),
            Some(size) => Ok(size),
            None => Err(format!("{key}: missing ({what}); without a `[data]` table, each model needs its own")),
        };
        let image_size = size("image_size", "height and width of the images in pixels")?;
        let classes = size("classes", "number of classes")?;
        let batch_size = size("batch_size", "images of a step")?;
        let mut model = ModelConfig::try_from(table)?;
        model.architecture = model.architecture.for_images(image_size, classes);
        Ok(Self { model, batch_size })
    }
}

impl TimedModel {
    /// The model of a run, on its images. `classes` are those of an image folder; if nobody has read it, two stand in for them.
    pub fn of_run(run: &RunConfig, classes: Option<usize>) -> Self {
        let classes = run.data.dataset.classes().or(classes).unwrap_or(SOME_CLASSES);
        let mut model = run.model.clone();
        model.architecture = model.architecture.for_images(run.data.image_size, classes);
        let recipe_batch = || vec![run.train.batch_size];
        Self {
            model,
            precision: run.precision,
            step: StepConfig {
                optimizer: run.train.optimizer.clone(),
                clip_norm: run.train.clip_norm,
                gradient_checkpointing: run.train.gradient_checkpointing,
            },
            train_batch_sizes: run.measure.train_batch_sizes.clone().unwrap_or_else(recipe_batch),
            inference_batch_sizes: run.measure.inference_batch_sizes.clone().unwrap_or_else(recipe_batch),
        }
    }
}

impl TimingPlan {
    /// Checks that the device computes in every model's precision.
    ///
    /// # Errors
    /// If it does not.
    pub fn check_precision(&self) -> Result<()> {
        self.models.iter().try_for_each(|timed| self.device.check_precision(timed.precision))
    }

    /// The models of a plan's runs.
    pub(super) fn of_runs(plan: &Plan, runs: &[RunConfig]) -> Self {
        let mut seen = HashSet::new();
        let models = runs
            .iter()
            .filter(|run| seen.insert(&run.model.name))
            .map(|run| TimedModel::of_run(run, plan.classes))
            .collect();
        Self { device: plan.device, measure: plan.measure.clone(), models }
    }

    /// From a config without data.
    pub(super) fn parse(text: &str, place: &str) -> Result<Self> {
        let SizesFile { device, precision, train: step, measure, model: models } = super::from_toml(text, place)?;
        let wrong =
            |key: &str, problem: String, help: &str| Err(Error::input(format!("{place}: {key}"), problem, help));
        measure.check(place)?;
        if models.is_empty() {
            return wrong("model", "there is no model to time".into(), "add a `[[model]]` table");
        }
        let names: Vec<&str> = models.iter().map(|model| model.model.name.as_str()).collect();
        if let Some(name) = first_repeated(&names) {
            return wrong("model", format!("two models are named `{name}`"), "give each a `name` of its own");
        }
        if measure.train_batch_sizes.is_some() || measure.inference_batch_sizes.is_some() {
            let problem = "sets batch sizes for all models, but each model has its own `batch_size`".into();
            return wrong("measure", problem, "remove them");
        }
        for (index, SizedModel { model, .. }) in models.iter().enumerate() {
            model.check(place, index, step.gradient_checkpointing)?;
        }
        let timed = |SizedModel { model, batch_size }| TimedModel {
            model,
            precision,
            step: step.clone(),
            train_batch_sizes: vec![batch_size],
            inference_batch_sizes: vec![batch_size],
        };
        Ok(Self { device, measure, models: models.into_iter().map(timed).collect() })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::parse_timing;

    const SIZES: &str = "train.optimizer.kind = 'adamw'\n[[model]]\narchitecture = 'conv_vit'\npatch_size = 4\n\
                         d_model = 16\ndepth = 1\nhead_channels = 8\nd_ff = 32\n";

    fn error(extra: &str) -> String {
        parse_timing(&format!("{SIZES}{extra}"), "speed.toml", &[]).unwrap_err().to_string()
    }

    #[test]
    fn models_state_their_own_sizes() {
        let plan = format!("{SIZES}image_size = 24\nclasses = 3\nbatch_size = 5\n");
        let plan = parse_timing(&plan, "speed.toml", &["model.0.batch_size=7".into()]).unwrap();
        let [timed] = &plan.models[..] else { panic!("one model") };
        assert_eq!(timed.model.architecture.images(), (24, 3));
        assert_eq!((&timed.train_batch_sizes, &timed.inference_batch_sizes), (&vec![7], &vec![7]));
    }

    #[test]
    fn a_plans_models_take_them_from_data_and_recipe() {
        let plan = format!(
            "seeds = [0]\n{SIZES}[data]\ndataset = 'cifar100'\nimage_size = 16\n[train]\nepochs = 1\nbatch_size = 9\n\
             lr = 0.1\noptimizer.kind = 'sgd'\n[measure]\ninference_batch_sizes = [4, 2]\n"
        );
        let plan = plan.replace("train.optimizer.kind = 'adamw'\n", "");
        let plan = parse_timing(&plan, "plan.toml", &[]).unwrap();
        assert_eq!(plan.models[0].model.architecture.images(), (16, 100));
        assert_eq!((&plan.models[0].train_batch_sizes, &plan.models[0].inference_batch_sizes), (&vec![9], &vec![4, 2]));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        assert!(error("").contains("image_size: missing"), "{}", error(""));
        assert!(error("image_size = 24\nclasses = 0\n").contains("classes: must be at least 1, got 0"));
        let odd = error("image_size = 26\nclasses = 3\nbatch_size = 5\n");
        assert!(odd.contains("patch_size: 4 does not divide image_size = 26"), "{odd}");
        let sizes = "image_size = 24\nclasses = 3\nbatch_size = 5\n";
        assert!(error(&format!("{sizes}[measure]\ntrain_batch_sizes = [1]\n")).contains("measure: sets batch sizes"));
        assert!(error(&format!("{sizes}seeds = [1]\n")).contains("unknown field `seeds`"));
    }
}
