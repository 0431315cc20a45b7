//! Axes: a range that suits the data, its ticks, and the position of a value on it.

use super::super::format::{grouped, magnitude};

/// An axis from `low` to `high`, which are ticks themselves unless the axis was cut there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    log: bool,
    /// Values that get a grid line and a label, with the label.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// A linear axis over finite `values`, widened to round numbers, with about `intervals` steps. `limits` are values that it
    /// does not pass, such as 0 and 100 for percentages, and `from_zero` makes it begin at zero.
    pub(crate) fn linear(values: &[f64], from_zero: bool, limits: (f64, f64), intervals: usize) -> Self {
        let (mut low, mut high) = range(values).unwrap_or((0.0, 1.0));
        if from_zero {
            low = low.min(0.0);
        }
        if high - low <= 1e-9 * high.abs().max(low.abs()) {
            // One value: some room on both sides, or a unit if it is zero.
            let room = if high == 0.0 { 0.5 } else { 0.05 * high.abs() };
            (low, high) = (if from_zero { low } else { low - room }, high + room);
        }
        (low, high) = (low.max(limits.0), high.min(limits.1));
        let step = round_step((high - low) / intervals as f64);
        let first = (low / step + 1e-9).floor();
        let last = (high / step - 1e-9).ceil();
        let ticks: Vec<(f64, String)> = (0..=(last - first) as usize)
            .map(|index| (first + index as f64) * step)
            .map(|value| (value, linear_label(value, step, (last * step).abs().max((first * step).abs()))))
            .collect();
        Self { low: first * step, high: last * step, log: false, ticks }
    }

    /// An axis of whole numbers from `first` to `last`, such as epochs, with at most `intervals` steps.
    pub(crate) fn whole(first: usize, last: usize, intervals: usize) -> Self {
        let step = (round_step((last - first) as f64 / intervals as f64).ceil() as usize).max(1);
        // Half a unit around a single value, so that it lies in the middle.
        let room = if first == last { 0.5 } else { 0.0 };
        let mut ticks: Vec<usize> = (0..=last).step_by(step).filter(|tick| *tick >= first).collect();
        // Epochs begin with 1, which is no multiple of the step.
        if ticks.first().is_none_or(|tick| *tick >= first + step.div_ceil(2)) {
            ticks.insert(0, first);
        }
        let ticks = ticks.into_iter().map(|tick| (tick as f64, grouped(tick as i128))).collect();
        Self { low: first as f64 - room, high: last as f64 + room, log: false, ticks }
    }

    /// A logarithmic axis over the positive ones of `values`, with some room around them.
    pub(crate) fn log(values: &[f64]) -> Self {
        let positive: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
        let (low, high) = range(&positive).unwrap_or((1.0, 10.0));
        let (low, high) = (low / 1.25, high * 1.25);
        let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
        // Labels have to fit next to each other: the fewer decades, the more labels per decade.
        let mantissas: &[f64] = match (high / low).log10() {
            span if span < 0.8 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
            span if span < 2.5 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        if high / low < 2.0 {
            // Within such a small part of a decade, round steps are more useful than round mantissas.
            let step = round_step((high - low) / 5.0);
            let ticks = ((low / step).ceil() as i64..=(high / step).floor() as i64).map(|index| index as f64 * step);
            return Self { low, high, log: true, ticks: ticks.map(|tick| (tick, log_label(tick))).collect() };
        }
        let ticks = decades.flat_map(|decade| mantissas.iter().map(move |mantissa| mantissa * 10_f64.powi(decade)));
        let ticks = ticks.filter(|tick| (low..=high).contains(tick)).map(|tick| (tick, log_label(tick))).collect();
        Self { low, high, log: true, ticks }
    }

    /// A linear axis from zero, or a logarithmic one if the positive `values` span a factor over 20, beyond which the smallest
    /// could not be seen.
    pub(crate) fn from_zero_or_log(values: &[f64], intervals: usize) -> Self {
        let positive: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
        match range(&positive) {
            Some((low, high)) if high / low > 20.0 => Self::log(values),
            _ => Self::linear(values, true, UNLIMITED, intervals),
        }
    }

    /// Where `value` lies: 0 at the low end, 1 at the high one, at the nearer end if it is outside.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let fraction = if self.log {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        fraction.clamp(0.0, 1.0)
    }

    /// Whether the axis is logarithmic; a bar's length means nothing on one.
    pub(crate) fn is_log(&self) -> bool {
        self.log
    }
}

/// No limits.
pub(crate) const UNLIMITED: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

/// The smallest and the largest finite value.
fn range(values: &[f64]) -> Option<(f64, f64)> {
    let finite = values.iter().copied().filter(|value| value.is_finite());
    finite.map(|value| (value, value)).reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    if step <= 0.0 || !step.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(step.log10().floor());
    let mantissas = [1.0, 2.0, 5.0, 10.0];
    mantissas.into_iter().map(|mantissa| mantissa * power).find(|round| *round >= step * (1.0 - 1e-9)).unwrap_or(step)
}

/// A tick's label, in the unit that suits the axis, with enough decimals to tell it from its neighbours.
fn linear_label(value: f64, step: f64, greatest: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e4, " k")];
    let (unit, suffix) = units.into_iter().find(|(unit, _)| greatest >= *unit).unwrap_or((1.0, ""));
    let unit = if suffix == " k" { 1e3 } else { unit };
    let step = step / unit;
    let decimals = (0..=9).find(|decimals| is_whole(step * 10_f64.powi(*decimals))).unwrap_or(9) as usize;
    // Not "-0".
    let value = if value.abs() < 1e-9 * step { 0.0 } else { value / unit };
    format!("{value:.decimals$}{}", if value == 0.0 { "" } else { suffix })
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6 && value.round() != 0.0
}

fn log_label(value: f64) -> String {
    let (unit, suffix) = [(1e9, " G"), (1e6, " M"), (1e4, " k")]
        .into_iter()
        .find(|(unit, _)| value >= unit * 0.999)
        .unwrap_or((1.0, ""));
    let value = value / if suffix == " k" { 1e3 } else { unit };
    if is_whole(value) {
        format!("{}{suffix}", grouped(value.round() as i128))
    } else {
        format!("{}{suffix}", trimmed(value))
    }
}

fn trimmed(value: f64) -> String {
    let text = magnitude(value);
    if text.contains('e') { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn linear_axes_end_at_round_numbers() {
        let axis = Axis::linear(&[70.2, 81.9], false, (0.0, 100.0), 6);
        assert_eq!(labels(&axis), ["70", "72", "74", "76", "78", "80", "82"]);
        assert_eq!((axis.position(70.0), axis.position(76.0), axis.position(90.0)), (0.0, 0.5, 1.0));
        assert_eq!(labels(&Axis::linear(&[0.71, 0.78], false, UNLIMITED, 4)), ["0.70", "0.72", "0.74", "0.76", "0.78"]);
        assert_eq!(labels(&Axis::linear(&[3.0, 98.0], false, (0.0, 100.0), 5)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(labels(&Axis::linear(&[2.7e6], true, UNLIMITED, 3)), ["0", "1 M", "2 M", "3 M"]);
    }

    #[test]
    fn odd_data_still_has_an_axis() {
        let values: [&[f64]; 6] = [&[], &[f64::NAN], &[0.0], &[5.0, 5.0], &[f64::INFINITY, -1.0], &[-1e300, 1e300]];
        for values in values {
            for axis in
                [Axis::linear(values, false, UNLIMITED, 5), Axis::linear(values, true, UNLIMITED, 5), Axis::log(values)]
            {
                assert!(axis.low.is_finite() && axis.low < axis.high && axis.ticks.len() < 100, "{values:?}: {axis:?}");
                assert!((0.0..=1.0).contains(&axis.position(5.0)));
            }
        }
        assert_eq!(labels(&Axis::linear(&[100.0, 100.0], false, (0.0, 100.0), 5)).last(), Some(&"100"));
    }

    #[test]
    fn log_axes_label_parts_of_few_decades_and_powers_of_many() {
        assert_eq!(labels(&Axis::log(&[170.0, 540.0])), ["150", "200", "300", "400", "500", "600"]);
        assert_eq!(labels(&Axis::log(&[142e3, 150e3])), ["120 k", "140 k", "160 k", "180 k"]);
        assert_eq!(labels(&Axis::log(&[9.11e6, 10.9e6])), ["8 M", "10 M", "12 M"]);
        assert_eq!(labels(&Axis::log(&[20.0, 1000.0])), ["20", "50", "100", "200", "500", "1,000"]);
        assert_eq!(labels(&Axis::log(&[0.1, 1e5])), ["0.1", "1", "10", "100", "1,000", "10 k", "100 k"]);
        assert!(Axis::from_zero_or_log(&[1.0, 21.0], 5).is_log());
        assert!(!Axis::from_zero_or_log(&[1.0, 20.0], 5).is_log());
    }

    #[test]
    fn epochs_are_whole() {
        assert_eq!(labels(&Axis::whole(1, 5, 10)), ["1", "2", "3", "4", "5"]);
        assert_eq!(labels(&Axis::whole(1, 100, 5)), ["1", "20", "40", "60", "80", "100"]);
        let single = Axis::whole(1, 1, 10);
        assert_eq!((labels(&single), single.position(1.0)), (vec!["1"], 0.5));
    }
}
