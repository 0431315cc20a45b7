//! Reads what PyTorch computed from a file.

use std::path::Path;

use crate::architecture::ArchitectureConfig;
use crate::error::{Error, Result};
use crate::weights::{Assignment, Matching, Values, WeightsFile, described};

/// Losses of the optimiser steps that a fixture records.
pub(super) const ADAM_STEPS: usize = 5;

/// A model with one batch, and all that PyTorch computed for it.
pub(super) struct Fixture {
    pub(super) config: ArchitectureConfig,
    pub(super) weights: WeightsFile,
    /// Which tensors of `weights` and `gradients` belong to which parameter.
    pub(super) matching: Matching,
    pub(super) gradients: WeightsFile,
    /// `[batch, channels, height, width]`.
    pub(super) images: Values,
    pub(super) labels: Vec<i64>,
    /// `[batch, classes]`.
    pub(super) logits: Values,
    pub(super) loss: Values,
    pub(super) adam_losses: Values,
    /// The input of the first stage and the output of each.
    pub(super) hidden_states: Vec<Values>,
    /// The attention weights of each stage that has any.
    pub(super) attentions: Vec<Values>,
}

impl Fixture {
    /// Reads a fixture and checks that it is complete.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = WeightsFile::open(path)?;
        let config = described(&file)?;
        let weights = file.part("weight.");
        let matching = Matching::new(&weights, config.layouts())?;
        if let Some(note) = matching.notes.first() {
            return Err(Error::input(path.display(), note, "a fixture must have all weights of its model as F32"));
        }
        let fixture = Self {
            matching,
            weights,
            gradients: file.part("grad."),
            images: file.read("images")?,
            labels: file.read_integers("labels")?,
            logits: file.read("logits")?,
            loss: file.read("loss")?,
            adam_losses: file.read("adam_losses")?,
            hidden_states: numbered(&file, "hidden.")?,
            attentions: numbered(&file, "attention.")?,
            config,
        };
        fixture.check(&file)?;
        Ok(fixture)
    }

    fn check(&self, file: &WeightsFile) -> Result<()> {
        let (size, classes) = self.config.images();
        let batch = self.labels.len();
        for (name, found, expected) in [
            ("images", &self.images, vec![batch, 3, size, size]),
            ("logits", &self.logits, vec![batch, classes]),
            ("loss", &self.loss, vec![1]),
            ("adam_losses", &self.adam_losses, vec![ADAM_STEPS]),
        ] {
            if found.shape != expected {
                let problem = format!("its shape is {:?} where the model has {expected:?}", found.shape);
                return Err(file.wrong(name, problem, "make the fixture again"));
            }
        }
        if let Some(label) = self.labels.iter().find(|label| !(0..classes as i64).contains(label)) {
            return Err(file.wrong(
                "labels",
                format!("must be below {classes}, the number of classes, got {label}"),
                "make the fixture again",
            ));
        }
        let (states, maps) = (self.config.stages().len(), attentions(&self.config));
        for (name, found, expected) in
            [("hidden", self.hidden_states.len(), states), ("attention", self.attentions.len(), maps)]
        {
            if found != expected {
                let problem = format!("the file has {found} of them, the model has {expected}");
                return Err(file.wrong(name, problem, "make the fixture again"));
            }
        }
        for Assignment { names, .. } in &self.matching.assignments {
            for name in names {
                if self.gradients.shape(name) != self.weights.shape(name) {
                    return Err(self.gradients.wrong(
                        name,
                        "its shape differs from that of its weight",
                        "make the fixture again",
                    ));
                }
            }
        }
        Ok(())
    }
}

/// The number of stages with attention. A fixture has one tensor of attention weights for each.
fn attentions(config: &ArchitectureConfig) -> usize {
    let stages = config.layers().into_iter().filter(|layer| layer.kind == "Attention").filter_map(|layer| layer.stage);
    stages.collect::<std::collections::BTreeSet<_>>().len()
}

/// The tensors `prefix0`, `prefix1` and so on, as many as there are.
fn numbered(file: &WeightsFile, prefix: &str) -> Result<Vec<Values>> {
    let part = file.part(prefix);
    (0..part.names().len()).map(|index| part.read(&index.to_string())).collect()
}
