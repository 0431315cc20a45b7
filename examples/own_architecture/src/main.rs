//! MLP-Mixer (Tolstikhin et al. 2021, "MLP-Mixer: An all-MLP Architecture for Vision", <https://arxiv.org/abs/2105.01601>), and the
//! whole of vitbench with it.

mod mixer;

use std::process::ExitCode;

/// The allocator that vitbench's speeds are measured with; leave it out, and all else works as well.
#[global_allocator]
static ALLOCATOR: vitbench::allocator::MiMalloc = vitbench::allocator::MiMalloc;

fn main() -> ExitCode {
    vitbench::main_with([vitbench::Registration::of::<mixer::MixerConfig>()])
}
