//! Computes everything that a fixture records, and compares it with PyTorch's values.

use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};

use super::comparison::{Comparison, Measure, norm};
use super::fixture::{ADAM_STEPS, Fixture};
use crate::architecture::Architecture;
use crate::config::{Decay, OptimizerConfig};
use crate::error::Result;
use crate::lanes::Lanes;
use crate::train::{Batch, MicroBatch, StepOptions, cross_entropy_sum, optimizer, train_step};
use crate::weights::{Matching, Values, parameters};

/// Largest error of logits, loss, hidden states and attention maps, relative to the norm of the expected tensor.
const FORWARD_BOUND: f64 = 1e-4;
/// The same for gradients, and for the losses of the optimiser's steps.
const BACKWARD_BOUND: f64 = 1e-3;
/// A gradient's error is relative to at least this fraction of the largest gradient's norm. Some gradients are zero in exact
/// arithmetic (the bias of the keys does not change a softmax), and what PyTorch records of them is rounding.
const GRADIENT_FLOOR: f64 = 1e-3;

/// The recipe of a fixture's optimiser steps: Adam with PyTorch's defaults.
const ADAM: OptimizerConfig = OptimizerConfig::Adam { betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0 };
const ADAM_LR: f64 = 3e-3;

/// Compares everything that the fixture records.
pub(super) fn all(fixture: &Fixture, model: &Architecture, device: &Device) -> Result<Vec<Comparison>> {
    let device = device.clone().autodiff();
    let mut rows = outputs(fixture, model, &device);
    rows.extend(gradients(fixture, model, &device)?);
    rows.push(optimizer_steps(fixture, model, &device));
    Ok(rows)
}

fn batch(fixture: &Fixture, device: &Device) -> MicroBatch {
    let (size, classes) = fixture.config.images();
    MicroBatch::new(fixture.images.data.clone(), fixture.labels.clone(), size, classes, device)
}

fn loss(batch: &MicroBatch, logits: Tensor<2>) -> Tensor<1> {
    cross_entropy_sum(logits, batch.targets.clone()) / batch.labels.len() as f64
}

/// Logits, loss, hidden states and attention weights.
fn outputs(fixture: &Fixture, model: &Architecture, device: &Device) -> Vec<Comparison> {
    let batch = batch(fixture, device);
    let logits = model.forward(batch.images.clone());
    let loss = loss(&batch, logits.clone());
    let row = |name: &str, found: Values, expected: &Values| {
        Comparison::new(name, found, expected, Measure::Norm(norm(expected)), FORWARD_BOUND)
    };
    let mut rows = vec![
        row("logits", parameters::host(logits), &fixture.logits),
        row("loss", parameters::host(loss), &fixture.loss),
    ];
    let full = model.forward_full(batch.images);
    rows.push(row("logits, with all states", parameters::host(full.logits), &fixture.logits));
    let hidden = full.hidden_states.into_iter().map(parameters::host).zip(&fixture.hidden_states).enumerate();
    rows.extend(hidden.map(|(index, (found, expected))| row(&format!("hidden.{index}"), found, expected)));
    let attentions = full.attentions.into_iter().map(parameters::host).zip(&fixture.attentions).enumerate();
    rows.extend(attentions.map(|(index, (found, expected))| row(&format!("attention.{index}"), found, expected)));
    rows
}

/// Every gradient, in the fixture's layout.
fn gradients(fixture: &Fixture, model: &Architecture, device: &Device) -> Result<Vec<Comparison>> {
    let batch = batch(fixture, device);
    let loss = loss(&batch, model.forward(batch.images.clone()));
    let mut found = parameters::gradients(model, &GradientsParams::from_grads(loss.backward(), model));
    let Matching { assignments, .. } = &fixture.matching;
    let mut pairs = Vec::new();
    for assignment in assignments {
        let values = found.remove(&assignment.entry.ours).expect("every parameter was visited");
        for (name, found) in assignment.names.iter().zip(values.into_parts(&assignment.entry)) {
            pairs.push((format!("grad.{name}"), found, fixture.gradients.read(name)?));
        }
    }
    let largest = pairs.iter().map(|(_, _, expected)| norm(expected)).fold(0.0, f64::max);
    let row = |(name, found, expected): (String, Values, Values)| {
        let scale = norm(&expected).max(GRADIENT_FLOOR * largest);
        Comparison::new(&name, found, &expected, Measure::Norm(scale), BACKWARD_BOUND)
    };
    Ok(pairs.into_iter().map(row).collect())
}

/// The losses of some steps of Adam, each compared relative to its own size. The steps are those of training.
fn optimizer_steps(fixture: &Fixture, model: &Architecture, device: &Device) -> Comparison {
    let micro_batch = batch(fixture, device);
    let fetch = |_| micro_batch.clone();
    let batch = Batch { images: fixture.labels.len(), micro_batches: 1, fetch: &fetch };
    let options = StepOptions { lr: ADAM_LR, clip_norm: None, gradient_checkpointing: false };
    let mut optimizer = optimizer::build(&ADAM, Decay::All, &fixture.config, model);
    let mut model = model.clone();
    let mut losses = Vec::new();
    while losses.len() < ADAM_STEPS {
        match train_step(model, &mut optimizer, &Lanes::caller(), &batch, options, device) {
            Ok((stepped, result)) => {
                model = stepped;
                losses.push((result.loss_sum / batch.images as f64) as f32);
            }
            // The remaining losses are NaN, and so is their error.
            Err(_) => {
                losses.resize(ADAM_STEPS, f32::NAN);
                break;
            }
        }
    }
    let losses = Values::new([ADAM_STEPS], losses);
    Comparison::new("adam_losses", losses, &fixture.adam_losses, Measure::Largest, BACKWARD_BOUND)
}
