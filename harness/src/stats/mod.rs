//! Statistics of small samples: quantiles, spreads and 95 % intervals. Pure functions of `f64`, without I/O.
//!
//! A function answers `None` where its figure does not exist (no samples, one sample for a spread), so that a table shows an
//! empty cell instead of a number that means nothing.

mod intervals;
mod quantiles;

pub use intervals::{Interval, mean_interval, median_interval, wilson_interval};
pub use quantiles::{mean, median, quantile, sample_std};
