//! The `vitbench` program.

use std::process::ExitCode;

use clap::Parser;
use vitbench::cli::Cli;

/// Training frees and takes the same buffers at every step; an allocator that keeps them saves the page faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vitbench::allocator::keep_freed_memory();
    match Cli::parse().execute() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
