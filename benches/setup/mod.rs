//! What all benches need before they begin.

use criterion::Criterion;
use plotters::style::{FontStyle, register_font};

/// Criterion with a tenth of its resamples: intervals of 10 to 20 samples do not get better by more, and at its own 100,000 the
/// statistics and plots of a benchmark take longer than the benchmark.
pub(crate) fn criterion() -> Criterion {
    Criterion::default().nresamples(10_000)
}

/// Treats memory as the program does, and gives criterion's plots a font: this build of plotters looks for none on the system.
pub(crate) fn prepare() {
    vitbench::allocator::keep_freed_memory();
    let _ = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
}

/// Leaves one thread to the operations, which share their work between those of the global pool: as within a lane.
#[allow(dead_code, reason = "not every bench is about one lane")]
pub(crate) fn one_thread() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("nobody has made the global pool yet");
}
