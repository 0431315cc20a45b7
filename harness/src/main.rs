//! The `vitbench` program.

use std::process::ExitCode;

/// Training frees and takes the same buffers at every step; an allocator that keeps them saves the page faults.
#[global_allocator]
static ALLOCATOR: vitbench::allocator::MiMalloc = vitbench::allocator::MiMalloc;

fn main() -> ExitCode {
    vitbench::main_with([])
}
