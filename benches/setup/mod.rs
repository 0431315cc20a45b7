//! What all benches need before they begin.

use plotters::style::{FontStyle, register_font};

/// Treats memory as the program does, and gives criterion's plots a font: this build of plotters looks for none on the system.
pub(crate) fn prepare() {
    vitbench::allocator::keep_freed_memory();
    let _ = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular());
}
