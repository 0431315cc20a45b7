//! Setup that all benchmarks share.

use criterion::Criterion;
use plotters::style::{FontStyle, register_font};

/// Criterion with a tenth of its default 100,000 resamples. More do not improve intervals of 10 to 20 samples, and with the default the
/// statistics and plots of a benchmark take longer than the benchmark itself.
pub(crate) fn criterion() -> Criterion {
    Criterion::default().nresamples(10_000)
}

/// Handles memory as the program does, and gives criterion's plots a font, because this build of plotters finds none on the system.
pub(crate) fn prepare() {
    vitbench::allocator::keep_freed_memory();
    let _ = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
}

/// Limits the global pool, whose threads the operations use, to one thread, as within a lane.
#[allow(dead_code, reason = "not every bench is about one lane")]
pub(crate) fn one_thread() {
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("nobody has made the global pool yet");
}
