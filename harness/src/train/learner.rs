//! A model together with the state of its training.

use burn::module::Module;
use burn::tensor::Device;

use super::average::WeightAverage;
use super::batch::Batch;
use super::optimizer::Optimizer;
use super::step::{Diverged, StepOptions, StepResult, train_step};
use crate::architecture::Architecture;
use crate::lanes::Lanes;

/// A model with its optimiser and, if the recipe has them, its EMA weights.
pub struct Learner {
    /// Absent only during a step.
    model: Option<Architecture>,
    optimizer: Optimizer,
    average: Option<WeightAverage>,
    /// The device of the model, with autodiff.
    device: Device,
    /// Images that a lane computes at a time.
    micro_batch: usize,
    classes: usize,
}

impl Learner {
    /// A learner for `model`, which is on `device` with autodiff.
    pub fn new(model: Architecture, optimizer: Optimizer, device: Device, micro_batch: usize, classes: usize) -> Self {
        Self { model: Some(model), optimizer, average: None, device, micro_batch, classes }
    }

    /// The same learner, with EMA weights.
    pub fn with_average(self, average: WeightAverage) -> Self {
        Self { average: Some(average), ..self }
    }

    /// The EMA weights, if the recipe has them.
    pub(super) fn average(&self) -> Option<&WeightAverage> {
        self.average.as_ref()
    }

    /// The optimiser.
    pub(super) fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The trained model, without autodiff: with the EMA weights if the recipe has them, else with the weights of the last step.
    pub fn result(&self) -> Architecture {
        self.average.as_ref().map_or_else(|| self.model().valid(), |average| average.model().clone())
    }

    /// Whether [`result`](Self::result) has EMA weights.
    pub fn averages(&self) -> bool {
        self.average.is_some()
    }

    /// The model with the weights of the last step.
    pub fn model(&self) -> &Architecture {
        self.model.as_ref().expect("no step is in progress")
    }

    /// The device that the model is on, with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Images that a lane computes at a time.
    pub fn micro_batch(&self) -> usize {
        self.micro_batch
    }

    /// Takes an optimiser step.
    ///
    /// # Errors
    /// If the loss or the global norm of the gradients is not finite. The learner must not be used afterwards.
    pub fn step(&mut self, lanes: &Lanes, batch: &Batch<'_>, options: StepOptions) -> Result<StepResult, Diverged> {
        let model = self.model.take().expect("no step is in progress");
        let (model, result) = train_step(model, &mut self.optimizer, lanes, batch, options, &self.device)?;
        if let Some(average) = &mut self.average {
            average.update(&model);
        }
        self.model = Some(model);
        Ok(result)
    }
}
