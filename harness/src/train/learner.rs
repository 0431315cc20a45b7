//! A model with what training keeps beside it.

use burn::module::Module;
use burn::tensor::Device;

use super::average::WeightAverage;
use super::optimizer::Optimizer;
use super::step::{Batch, Diverged, StepOptions, StepResult, train_step};
use crate::architecture::Architecture;
use crate::lanes::Lanes;

/// A model with its optimiser.
pub struct Learner {
    /// Absent only while a step computes.
    model: Option<Architecture>,
    optimizer: Optimizer,
    average: Option<WeightAverage>,
    /// The device that the model was made on, with autodiff.
    device: Device,
    /// Images that a lane takes at a time.
    micro_batch: usize,
    classes: usize,
}

impl Learner {
    /// `model`, made on `device` with autodiff.
    pub fn new(model: Architecture, optimizer: Optimizer, device: Device, micro_batch: usize, classes: usize) -> Self {
        Self { model: Some(model), optimizer, average: None, device, micro_batch, classes }
    }

    /// The same, with an average of the weights.
    pub fn with_average(self, average: WeightAverage) -> Self {
        Self { average: Some(average), ..self }
    }

    /// The average of the weights, where there is one.
    pub(super) fn average(&self) -> Option<&WeightAverage> {
        self.average.as_ref()
    }

    /// What turns gradients into steps.
    pub(super) fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// The model that training is about, without autodiff: with the average of the weights where there is one, else with those of the
    /// last step.
    pub fn result(&self) -> Architecture {
        self.average.as_ref().map_or_else(|| self.model().valid(), |average| average.model().clone())
    }

    /// Whether [`result`](Self::result) is an average.
    pub fn averages(&self) -> bool {
        self.average.is_some()
    }

    /// The model with the weights of the last step.
    pub fn model(&self) -> &Architecture {
        self.model.as_ref().expect("no step is in work")
    }

    /// The device that the model is on, with autodiff.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Images that a lane takes at a time.
    pub fn micro_batch(&self) -> usize {
        self.micro_batch
    }

    /// One optimiser step.
    pub fn step(&mut self, lanes: &Lanes, batch: &Batch<'_>, options: StepOptions) -> Result<StepResult, Diverged> {
        let model = self.model.take().expect("no step is in work");
        let (model, result) = train_step(model, &mut self.optimizer, lanes, batch, options, &self.device)?;
        if let Some(average) = &mut self.average {
            average.update(&model);
        }
        self.model = Some(model);
        Ok(result)
    }
}
