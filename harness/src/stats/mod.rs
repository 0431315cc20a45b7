//! Statistics of small samples: quantiles, spreads, 95 % intervals, and tests of differences. Pure functions of `f64`, without
//! I/O.
//!
//! A function returns `None` where its result is undefined (such as the standard deviation of one sample), so that a table shows an
//! empty cell instead of a meaningless number. The distributions come from statrs. A bootstrap is deterministic, so the same records
//! always give the same interval. The literals in the tests come from `fixtures/make_literals.py`.

mod calibration;
mod differences;
mod holm;
mod intervals;
mod paired;
mod quantiles;

pub use calibration::{ConfidenceBin, calibration_error, confidence_bins};
pub use differences::{Difference, Estimate, Spread, difference_of_means};
pub use holm::{Adjusted, holm};
pub use intervals::{Interval, mean_interval, t_critical, t_quantile, wilson_interval};
pub use paired::{mcnemar_exact, paired_difference_interval};
pub use quantiles::{mean, median, quantile, sample_std};
