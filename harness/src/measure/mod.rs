//! Measurements: times of repeated steps, peak memory, the machine's peak rate, exclusive access to the machine, and a description of
//! it. Independent of any model.

mod alone;
mod machine;
mod memory;
mod peak;
mod timer;

pub use alone::{Alone, GO_ON, Machine, Turn};
pub(crate) use machine::{command_line, machine_record};
pub use memory::peak_rss_bytes;
pub use peak::peak_gflop_per_s;
pub use timer::{Clock, Enough, SystemClock, sample};
