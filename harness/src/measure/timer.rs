//! Times a repeated step.

use std::time::{Duration, Instant};

use crate::config::MeasureConfig;

/// How long to measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Enough {
    /// Duration of the warm-up, in seconds. It runs at least one step, and none of its steps counts.
    pub warmup_seconds: f64,
    /// Minimum number of samples.
    pub min_samples: usize,
    /// Minimum total of the samples, in seconds.
    pub min_seconds: f64,
}

impl Enough {
    /// The limits of a `[measure]` table.
    pub fn of(config: &MeasureConfig) -> Self {
        let MeasureConfig { warmup_seconds, min_samples, min_seconds, .. } = *config;
        Self { warmup_seconds, min_samples, min_seconds }
    }
}

/// A source of time; tests use a fake one.
pub trait Clock {
    /// Time since a fixed moment.
    fn now(&self) -> Duration;
}

/// The system's monotonic clock.
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Repeats `step` until both minima of `enough` are met, and returns the seconds of each repetition after the warm-up.
///
/// `step` must not return before its work is complete: on a GPU it has to synchronise.
pub fn sample(clock: &impl Clock, enough: Enough, mut step: impl FnMut()) -> Vec<f64> {
    let start = clock.now();
    loop {
        step();
        if (clock.now() - start).as_secs_f64() >= enough.warmup_seconds {
            break;
        }
    }
    let (mut samples, mut sum) = (Vec::new(), 0.0);
    while samples.len() < enough.min_samples || sum < enough.min_seconds {
        let start = clock.now();
        step();
        let seconds = (clock.now() - start).as_secs_f64();
        samples.push(seconds);
        sum += seconds;
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[derive(Default)]
    struct FakeClock(Cell<Duration>);

    impl FakeClock {
        fn advance(&self, milliseconds: u64) {
            self.0.set(self.0.get() + Duration::from_millis(milliseconds));
        }
    }

    impl Clock for FakeClock {
        fn now(&self) -> Duration {
            self.0.get()
        }
    }

    #[test]
    fn warm_up_is_left_out_and_both_bounds_hold() {
        let clock = FakeClock::default();
        let mut steps = 0;
        let slow_start = |steps: &mut u64| {
            *steps += 1;
            clock.advance(if *steps <= 3 { 400 } else { 100 });
        };
        let enough = Enough { warmup_seconds: 1.0, min_samples: 5, min_seconds: 0.75 };
        let samples = sample(&clock, enough, || slow_start(&mut steps));
        // Three steps of 0.4 s pass the second of warm-up; eight of 0.1 s pass 0.75 s.
        assert_eq!((steps, samples.len()), (3 + 8, 8));
        assert!(samples.iter().all(|s| (s - 0.1).abs() < 1e-9), "{samples:?}");

        let enough = Enough { warmup_seconds: 0.0, min_samples: 20, min_seconds: 0.0 };
        assert_eq!(sample(&clock, enough, || clock.advance(1)).len(), 20);
    }
}
