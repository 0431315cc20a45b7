//! What is timed of a trained model: steps on batches that are already in memory, so that the model is timed and not the data.

use burn::module::Module;

use super::epoch::Learner;
use super::lanes::Lanes;
use super::step::{Batch, Diverged, MicroBatch, StepOptions, infer};
use crate::config::TrainConfig;
use crate::data::{BatchReader, Images};
use crate::measure::{Enough, SystemClock, sample};

/// Small enough to leave the weights where they are, and no special case of any optimiser.
const LR: f64 = 1e-7;

/// Images to time with.
pub struct Timed<'a> {
    /// Where they come from.
    pub images: &'a Images,
    /// How they become numbers.
    pub reader: &'a BatchReader<'a>,
    /// How many make a batch; from the first on, again and again if there are not as many.
    pub batch_size: usize,
}

impl Timed<'_> {
    fn micro_batches(&self, learner: &Learner, autodiff: bool) -> Vec<MicroBatch> {
        let indices: Vec<u32> = (0..self.images.len() as u32).cycle().take(self.batch_size).collect();
        let device = if autodiff { learner.device().clone() } else { learner.device().clone().without_autodiff() };
        let micro_batch = |indices: &[u32]| {
            let mut values = vec![0.0; indices.len() * self.reader.values_per_image()];
            let mut labels = Vec::new();
            self.reader.fill(indices, 0, &mut values, &mut labels, None);
            MicroBatch::new(values, labels, self.images.size(), learner.classes(), &device)
        };
        indices.chunks(learner.micro_batch()).map(micro_batch).collect()
    }
}

/// Seconds of whole training steps as `recipe` has them: forward, loss, backward, optimiser.
pub fn time_train_step(
    learner: &mut Learner,
    lanes: &Lanes,
    timed: &Timed<'_>,
    recipe: &TrainConfig,
    enough: Enough,
) -> Result<Vec<f64>, Diverged> {
    let parts = timed.micro_batches(learner, true);
    let fetch = |part: usize| parts[part].clone();
    let batch = Batch { images: timed.batch_size, micro_batches: parts.len(), fetch: &fetch };
    let mut outcome = Ok(());
    let samples = sample(&SystemClock::default(), enough, || {
        if outcome.is_ok() {
            outcome = learner.step(lanes, &batch, StepOptions::of(recipe, LR)).map(drop);
            // The optimiser's work ends a step, and a GPU does it in its own time.
            learner.device().sync().expect("the device ends its work");
        }
    });
    outcome.map(|()| samples)
}

/// Seconds of inference passes, from images in memory to logits on the host.
pub fn time_inference(learner: &Learner, lanes: &Lanes, timed: &Timed<'_>, enough: Enough) -> Vec<f64> {
    let parts = timed.micro_batches(learner, false);
    let model = learner.model().valid();
    let fetch = |part: usize| parts[part].clone();
    let batch = Batch { images: timed.batch_size, micro_batches: parts.len(), fetch: &fetch };
    sample(&SystemClock::default(), enough, || drop(infer(&model, lanes, &batch)))
}
