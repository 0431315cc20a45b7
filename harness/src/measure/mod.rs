//! Measurements: times of repeated steps, peak memory, the machine's peak rate and its other work, exclusive access to the machine, and
//! a description of it. Independent of any model.

mod alone;
mod machine;
mod memory;
mod other_work;
mod peak;
mod timer;

pub use alone::{Alone, GO_ON, Machine, Turn};
pub(crate) use machine::{command_line, machine_record, program_version};
pub(crate) use memory::memory_bytes;
pub use memory::peak_rss_bytes;
pub use other_work::{OtherWork, Period};
pub use peak::peak_gflop_per_s;
pub use timer::{Clock, Enough, SystemClock, sample};
