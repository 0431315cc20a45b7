//! Which wrong predictions a run shows.

use super::records::PredictionRecord;

/// Positions of at most `count` wrong predictions, the most confident first; equally confident ones in their order.
pub fn surest_mistakes(predictions: &[PredictionRecord], count: usize) -> Vec<usize> {
    let is_wrong = |position: &usize| predictions[*position].predicted != predictions[*position].label;
    let confidence = |position: usize| predictions[position].predicted_probability;
    let mut wrong: Vec<usize> = (0..predictions.len()).filter(is_wrong).collect();
    wrong.sort_by(|a, b| confidence(*b).total_cmp(&confidence(*a)));
    wrong.truncate(count);
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prediction(label: usize, predicted: usize, predicted_probability: f32) -> PredictionRecord {
        PredictionRecord {
            image: String::new(),
            label,
            predicted,
            predicted_probability,
            label_probability: 0.0,
            top5: Default::default(),
            top5_probabilities: Default::default(),
        }
    }

    #[test]
    fn the_most_confident_mistakes_come_first() {
        let predictions = [prediction(0, 0, 0.9), prediction(0, 1, 0.5), prediction(0, 1, 0.7), prediction(2, 1, 0.7)];
        assert_eq!(surest_mistakes(&predictions, 24), [2, 3, 1]);
        assert_eq!(surest_mistakes(&vec![prediction(1, 0, 0.5); 30], 24), (0..24).collect::<Vec<_>>());
    }
}
