//! What a process of the timing stage has to do.

use layers::Precision;
use serde::{Deserialize, Serialize};

use crate::config::{ModelConfig, StepConfig, TimedModel, TimingPlan};
use crate::device::DeviceName;

/// The work of one process. The supervisor writes it to the process's standard input, as a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Where to compute.
    pub device: DeviceName,
    /// Data-parallel workers.
    pub threads: usize,
    /// The number of the process, which also seeds the order within its blocks.
    pub process: u32,
    /// How long to time, in seconds.
    pub seconds: f64,
    /// Whether to measure the machine's peak rate first.
    pub measures_peak: bool,
    models: Vec<SizedModel>,
}

/// A model with the sizes that it takes from its images.
#[derive(Debug, Serialize, Deserialize)]
struct SizedModel {
    model: ModelConfig,
    image_size: usize,
    classes: usize,
    precision: Precision,
    step: StepConfig,
    train_batch_sizes: Vec<usize>,
    inference_batch_sizes: Vec<usize>,
}

impl Job {
    /// The work of a process that times the models of `plan`.
    pub(super) fn new(plan: &TimingPlan, threads: usize, process: u32, seconds: f64, measures_peak: bool) -> Self {
        let sized = |timed: &TimedModel| {
            let (image_size, classes) = timed.model.architecture.images();
            SizedModel {
                model: timed.model.clone(),
                image_size,
                classes,
                precision: timed.precision,
                step: timed.step.clone(),
                train_batch_sizes: timed.train_batch_sizes.clone(),
                inference_batch_sizes: timed.inference_batch_sizes.clone(),
            }
        };
        let models = plan.models.iter().map(sized).collect();
        Self { device: plan.device, threads, process, seconds, measures_peak, models }
    }

    /// The names of the models.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.iter().map(|sized| sized.model.name.as_str())
    }

    /// The models.
    pub(super) fn models(&self) -> Vec<TimedModel> {
        let timed = |sized: &SizedModel| {
            let mut model = sized.model.clone();
            model.architecture = model.architecture.for_images(sized.image_size, sized.classes);
            TimedModel {
                model,
                precision: sized.precision,
                step: sized.step.clone(),
                train_batch_sizes: sized.train_batch_sizes.clone(),
                inference_batch_sizes: sized.inference_batch_sizes.clone(),
            }
        };
        self.models.iter().map(timed).collect()
    }
}
