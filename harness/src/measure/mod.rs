//! Timing of steps and inference on batches that are already in memory. Knows no model by name.

mod alone;
mod memory;
mod timer;

pub use alone::{Alone, GO_ON, Machine, Turn};
pub use memory::peak_rss_bytes;
pub use timer::{Clock, Enough, SystemClock, sample};
