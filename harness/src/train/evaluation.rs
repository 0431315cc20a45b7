//! Loss, accuracy and predictions from logits.

use serde::{Deserialize, Serialize};

/// Loss and correct predictions of a set of images. Every image has the same weight.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evaluation {
    images: usize,
    #[serde(with = "super::bits")]
    loss_sum: f64,
    top1: usize,
    top5: usize,
}

/// The prediction for one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The most likely class; of several, the lowest.
    pub class: usize,
    /// Its probability.
    pub probability: f32,
    /// Probability of the true class.
    pub label_probability: f32,
    /// The five most likely classes (all if there are fewer) with their probabilities, most likely first; of equals, the lowest class
    /// first.
    pub top5: Vec<(usize, f32)>,
}

impl Evaluation {
    /// Adds an image with these logits and this true class.
    pub fn add(&mut self, logits: &[f32], label: usize) -> Prediction {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps = || logits.iter().map(|logit| f64::from(logit - largest).exp());
        let sum: f64 = exps().sum();
        let probability = |class: usize| (f64::from(logits[class] - largest).exp() / sum) as f32;
        let class = logits.iter().position(|logit| *logit == largest).unwrap_or(0);
        // Of equal logits the lower class ranks first, so that constant logits score no better than chance.
        let rank =
            logits.iter().enumerate().filter(|(c, v)| **v > logits[label] || (**v == logits[label] && *c < label));
        let rank = rank.count();
        self.images += 1;
        self.loss_sum += sum.ln() - f64::from(logits[label] - largest);
        self.top1 += usize::from(rank == 0);
        self.top5 += usize::from(rank < 5);
        let top5 = most_likely(logits, 5).into_iter().map(|class| (class, probability(class))).collect();
        Prediction { class, probability: probability(class), label_probability: probability(label), top5 }
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Mean cross-entropy in nats.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.images as f64
    }

    /// Fraction of images whose most likely class is correct.
    pub fn top1(&self) -> f64 {
        self.top1 as f64 / self.images as f64
    }

    /// Fraction of images whose class is among the five most likely; `None` with fewer than six classes, where it would be 1.
    pub fn top5(&self, classes: usize) -> Option<f64> {
        (classes > 5).then(|| self.top5 as f64 / self.images as f64)
    }
}

/// The classes of the `count` largest logits, largest first.
fn most_likely(logits: &[f32], count: usize) -> Vec<usize> {
    let mut best: Vec<usize> = Vec::with_capacity(count + 1);
    for class in 0..logits.len() {
        let place = best.partition_point(|other| logits[*other] >= logits[class]);
        if place < count {
            best.insert(place, class);
            best.truncate(count);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_ranks_by_hand() {
        let mut evaluation = Evaluation::default();
        let sure = evaluation.add(&[0.0, 3.0_f32.ln(), 0.0, 0.0, 0.0, 0.0, 0.0], 1);
        assert_eq!(sure.class, 1);
        assert!((sure.probability - 1.0 / 3.0).abs() < 1e-6);
        let wrong = evaluation.add(&[5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -1.0], 6);
        assert_eq!(wrong.class, 0);
        let classes = |prediction: &Prediction| prediction.top5.iter().map(|(class, _)| *class).collect::<Vec<_>>();
        assert_eq!((classes(&wrong), classes(&sure)), (vec![0, 1, 2, 3, 4], vec![1, 0, 2, 3, 4]));
        assert_eq!(wrong.top5[0].1, wrong.probability);
        assert_eq!(classes(&evaluation.clone().add(&[0.1, 0.2, 0.1], 0)), [1, 0, 2]);
        let fifth = evaluation.add(&[5.0, 4.0, 3.0, 2.0, 1.0, 0.0, -1.0], 4);
        assert!(fifth.label_probability < fifth.probability);
        assert_eq!((evaluation.top1(), evaluation.top5(7)), (1.0 / 3.0, Some(2.0 / 3.0)));
        assert_eq!(evaluation.top5(5), None);
        // ln 9 - ln 3 for the first; the log of the sum of exp(0..=6) plus 1 - 1 for the other two.
        let log_sum: f64 = (0..7).map(|k| f64::from(k).exp()).sum::<f64>().ln();
        let expected = (3f64.ln() + log_sum + (log_sum - 2.0)) / 3.0;
        assert!((evaluation.loss() - expected).abs() < 1e-6, "{} {expected}", evaluation.loss());
    }

    #[test]
    fn equal_logits_count_as_chance() {
        let mut evaluation = Evaluation::default();
        for label in 0..10 {
            evaluation.add(&[0.5; 10], label);
        }
        assert_eq!((evaluation.top1(), evaluation.top5(10)), (0.1, Some(0.5)));
        assert!((evaluation.loss() - 10f64.ln()).abs() < 1e-9);
    }
}
