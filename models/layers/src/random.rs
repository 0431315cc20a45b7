//! Counter-based random numbers: a draw depends on what it is for, never on what was drawn before it.
//!
//! Burn's own generator is one global stream per backend. Draws from it would differ between backends, between numbers of
//! worker threads, and after a resume; draws from here do not.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of one draw, named by four counters, for instance (seed, epoch, sample index, purpose). Different keys give
/// independent streams (ChaCha8, the key taken as its 256-bit seed).
pub fn generator(key: [u64; 4]) -> ChaCha8Rng {
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(key) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_stream_depends_on_every_counter_and_on_nothing_else() {
        let first = generator([1, 2, 3, 4]).next_u64();
        generator([9, 9, 9, 9]).next_u64();
        assert_eq!(first, generator([1, 2, 3, 4]).next_u64());
        for key in [[0, 2, 3, 4], [1, 0, 3, 4], [1, 2, 0, 4], [1, 2, 3, 0]] {
            assert_ne!(first, generator(key).next_u64(), "{key:?}");
        }
    }
}
