//! One of our tensors compared with PyTorch's: how far they differ, and whether that is too far.

use crate::weights::Values;

/// One of our tensors compared with PyTorch's.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Its name in the fixture.
    pub tensor: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// Norm of the difference, relative to the norm of the expected tensor.
    pub error: f64,
    /// The largest error that counts as agreement.
    pub bound: f64,
    /// How far our own values move if every weight changes in its last bit; 0 if that was not computed.
    pub rounding: f64,
    pub(super) found: Values,
    pub(super) measure: Measure,
}

/// How the distance of two tensors becomes an error.
#[derive(Debug, Clone, Copy)]
pub(super) enum Measure {
    /// The norm of the difference over this norm.
    Norm(f64),
    /// The largest difference of two values over the second.
    Largest,
}

impl Measure {
    pub(super) fn error(self, found: &Values, expected: &Values) -> f64 {
        match self {
            Self::Norm(scale) => difference(found, expected) / scale.max(f64::MIN_POSITIVE),
            Self::Largest => {
                let pairs = found.data.iter().zip(&expected.data);
                let errors = pairs.map(|(a, b)| ((f64::from(*a) - f64::from(*b)) / f64::from(*b)).abs());
                // In the total order a NaN is greater than all numbers, if its sign is positive.
                errors.map(f64::abs).max_by(f64::total_cmp).unwrap_or(f64::NAN)
            }
        }
    }
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The error is within its bound.
    Agrees,
    /// It is not, but rounding alone moves this tensor as far: the model is ill-conditioned here, and 32-bit floats cannot decide.
    Rounding,
    /// The models differ.
    Disagrees,
}

/// Rounding happens in every operation, not only in the weights. An error of up to this many times the effect of the weights' last bits
/// is therefore no sign of a different model. PyTorch's own results in 32 and in 64 bits differ by as much.
const ROUNDING_FACTOR: f64 = 10.0;

impl Comparison {
    pub(super) fn new(tensor: &str, found: Values, expected: &Values, measure: Measure, bound: f64) -> Self {
        let error = measure.error(&found, expected);
        let shape = expected.shape.clone();
        Self { tensor: tensor.to_owned(), shape, error, bound, rounding: 0.0, found, measure }
    }

    /// Judges the error.
    pub fn verdict(&self) -> Verdict {
        if self.error <= self.bound {
            Verdict::Agrees
        } else if self.error <= ROUNDING_FACTOR * self.rounding {
            Verdict::Rounding
        } else {
            Verdict::Disagrees
        }
    }
}

/// The norm of a tensor's values.
pub(super) fn norm(values: &Values) -> f64 {
    values.data.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt()
}

/// The norm of a difference; infinite if the shapes differ.
fn difference(found: &Values, expected: &Values) -> f64 {
    if found.shape != expected.shape {
        return f64::INFINITY;
    }
    let pairs = found.data.iter().zip(&expected.data);
    pairs.map(|(found, expected)| (f64::from(*found) - f64::from(*expected)).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_excuses_what_it_can_explain_and_no_more() {
        let verdict = |found: f32, rounding| {
            let (found, expected) = (Values::new([1], vec![found]), Values::new([1], vec![1.0]));
            let row = Comparison::new("tensor", found, &expected, Measure::Largest, 1e-3);
            Comparison { rounding, ..row }.verdict()
        };
        assert_eq!(verdict(1.0005, 0.0), Verdict::Agrees);
        assert_eq!(verdict(1.05, 1e-7), Verdict::Disagrees);
        assert_eq!(verdict(1.05, 0.02), Verdict::Rounding);
        assert_eq!(verdict(f32::NAN, 0.02), Verdict::Disagrees);
    }
}
