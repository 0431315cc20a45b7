//! How the program's allocator, mimalloc, treats memory that training frees.

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set, mi_option_t};
/// The allocator, for the `#[global_allocator]` of a program of your own.
pub use mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's header, which the binding does not name.
const PURGE_DELAY: mi_option_t = 15;
/// "Or -1 for no purging at all", says the header.
const NEVER: c_long = -1;

/// Keeps freed memory in the process. A training step frees what the next one asks for again; given back to the system in
/// between, every page would be faulted in and cleared anew. Without effect where another allocator is in charge.
#[expect(unsafe_code, reason = "mimalloc's options are set by a function of C")]
pub fn keep_freed_memory() {
    // SAFETY: the function only stores a number that mimalloc reads atomically; the option exists, as the test below shows.
    unsafe { mi_option_set(PURGE_DELAY, NEVER) }
}

/// The allocator in charge of this program, for the records.
#[expect(unsafe_code, reason = "mimalloc is asked by a function of C")]
pub(crate) fn name() -> &'static str {
    let probe = Box::new(0_u8);
    // SAFETY: the function only compares the address with those of mimalloc's memory.
    match unsafe { libmimalloc_sys::mi_is_in_heap_region(std::ptr::from_ref(&*probe).cast()) } {
        true => "mimalloc",
        false => "system",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "as above")]
    fn the_option_is_the_one_that_is_meant() {
        let get = || {
            // SAFETY: reads a number.
            unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) }
        };
        // The default in milliseconds; the options around this one have others.
        assert_eq!(get(), 1000);
        keep_freed_memory();
        assert_eq!(get(), NEVER);
    }
}
