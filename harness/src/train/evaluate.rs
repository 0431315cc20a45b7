//! What logits say about images.

use serde::{Deserialize, Serialize};

/// Loss and hits of a set of images. Every image counts the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Evaluation {
    images: usize,
    #[serde(with = "super::checkpoint::bits")]
    loss_sum: f64,
    top1: usize,
    top5: usize,
}

/// The verdict on one image.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The likeliest class; of equally likely ones, the first.
    pub class: usize,
    /// Its probability.
    pub probability: f32,
    /// The true class's probability.
    pub label_probability: f32,
    /// The likeliest five classes (all of fewer) with their probabilities, likeliest first; of equally likely ones, the lower.
    pub top5: Vec<(usize, f32)>,
}

impl Evaluation {
    /// Adds an image with these logits and this true class.
    pub fn add(&mut self, logits: &[f32], label: usize) -> Prediction {
        let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps = || logits.iter().map(|logit| f64::from(logit - greatest).exp());
        let sum: f64 = exps().sum();
        let probability = |class: usize| (f64::from(logits[class] - greatest).exp() / sum) as f32;
        let class = logits.iter().position(|logit| *logit == greatest).unwrap_or(0);
        // Among equal logits the lower class ranks first, so that a constant answer earns no more than chance.
        let rank =
            logits.iter().enumerate().filter(|(c, v)| **v > logits[label] || (**v == logits[label] && *c < label));
        let rank = rank.count();
        self.images += 1;
        self.loss_sum += sum.ln() - f64::from(logits[label] - greatest);
        self.top1 += usize::from(rank == 0);
        self.top5 += usize::from(rank < 5);
        let top5 = likeliest(logits, 5).into_iter().map(|class| (class, probability(class))).collect();
        Prediction { class, probability: probability(class), label_probability: probability(label), top5 }
    }

    /// How many images were added.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Mean cross-entropy in nats.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.images as f64
    }

    /// Share of images whose likeliest class is right.
    pub fn top1(&self) -> f64 {
        self.top1 as f64 / self.images as f64
    }

    /// Share of images whose class is among the five likeliest; says nothing below six classes.
    pub fn top5(&self, classes: usize) -> Option<f64> {
        (classes > 5).then(|| self.top5 as f64 / self.images as f64)
    }
}

/// The classes of the `count` greatest logits, greatest first.
fn likeliest(logits: &[f32], count: usize) -> Vec<usize> {
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
