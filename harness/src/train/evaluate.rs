//! Evaluates a model on the images of a split.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::Device;

use super::batch::{Batch, MicroBatch};
use super::context::{Ending, Flow, RunContext};
use super::evaluation::{Evaluation, Prediction};
use super::learner::Learner;
use super::step::{check_finite, infer};
use crate::architecture::Architecture;
use crate::data::{BatchReader, Images};
use crate::lanes::Lanes;

/// The results of a learner's model on a split.
pub(super) struct Evaluated {
    /// Loss and accuracy: of the EMA weights where the recipe has them, else of the weights of the last step.
    pub(super) evaluation: Evaluation,
    /// The prediction for each image.
    pub(super) predictions: Vec<Prediction>,
    /// Loss and accuracy of the non-EMA weights, where the recipe has EMA weights.
    pub(super) non_ema: Option<Evaluation>,
}

/// Evaluates a learner's model on `images`, and the non-EMA weights as well where it has EMA weights.
pub(super) fn evaluate_learner(context: &RunContext<'_>, learner: &Learner, images: &Images) -> Flow<Evaluated> {
    let reader = BatchReader::evaluation(images, &context.config.data);
    let sizes = (learner.micro_batch(), learner.classes());
    let of =
        |model: &Architecture| evaluate(model, context.lanes, &reader, images, sizes, context.device, context.stop);
    let (evaluation, predictions) = of(&learner.result())?;
    let non_ema = match learner.averages() {
        true => Some(of(&learner.model().valid())?.0),
        false => None,
    };
    Ok(Evaluated { evaluation, predictions, non_ema })
}

/// Images that are evaluated between two checks of the stop flag.
const EVALUATED_AT_ONCE: usize = 1024;

/// Loss, accuracy and predictions of `model` on all `images`, which `reader` reads. `model` is without autodiff, on `device`.
///
/// # Errors
/// If the loss is not finite, or `stop` is set.
pub(super) fn evaluate(
    model: &Architecture,
    lanes: &Lanes,
    reader: &BatchReader<'_>,
    images: &Images,
    (micro_batch, classes): (usize, usize),
    device: &Device,
    stop: &AtomicBool,
) -> Flow<(Evaluation, Vec<Prediction>)> {
    let micro_batch_of = |range: Range<usize>| {
        let indices: Vec<u32> = range.map(|index| index as u32).collect();
        let mut values = vec![0.0; indices.len() * reader.values_per_image()];
        let mut labels = Vec::new();
        reader.fill(&indices, 0, &mut values, &mut labels, None);
        MicroBatch::new(values, labels, images.size(), classes, device)
    };
    let mut evaluation = Evaluation::default();
    let mut predictions = Vec::with_capacity(images.len());
    let at_once = EVALUATED_AT_ONCE.next_multiple_of(micro_batch);
    for start in (0..images.len()).step_by(at_once) {
        if stop.load(Ordering::Relaxed) {
            return Err(Ending::Interrupted);
        }
        let end = images.len().min(start + at_once);
        let fetch = |part: usize| {
            let first = start + part * micro_batch;
            micro_batch_of(first..end.min(first + micro_batch))
        };
        let batch = Batch { images: end - start, micro_batches: (end - start).div_ceil(micro_batch), fetch: &fetch };
        let logits = infer(model, lanes, &batch);
        let predict = |(logits, label): (&[f32], &u32)| evaluation.add(logits, *label as usize);
        predictions.extend(logits.chunks_exact(classes).zip(&images.labels()[start..end]).map(predict));
    }
    assert_eq!(evaluation.images(), images.len(), "an evaluation sees every image once");
    check_finite("the evaluation loss", evaluation.loss())?;
    Ok((evaluation, predictions))
}
