//! Counter-based random numbers: a draw depends only on its purpose and its counters, never on earlier draws.
//!
//! Burn's own generator is one global stream per backend. Its draws would differ between backends, between numbers of worker
//! threads, and after a resume; draws from here do not. Nothing in this module uses Burn.
//!
//! ```
//! use layers::random::{Purpose, stream};
//! use rand::Rng;
//!
//! // The crop of image 7 in epoch 3 of a run with seed 42. It does not depend on earlier draws.
//! let first = stream(Purpose::Crop, [42, 3, 7]).next_u64();
//! stream(Purpose::Flip, [42, 3, 7]).next_u64();
//! assert_eq!(first, stream(Purpose::Crop, [42, 3, 7]).next_u64());
//! ```

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Defines [`Purpose`] and the list of its variants. Two purposes with the same tag do not compile.
macro_rules! purposes {
    ($($(#[$documentation:meta])* $name:ident = $tag:expr,)*) => {
        /// What random numbers are drawn for, and the counters that name a draw. Different purposes have independent streams.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u64)]
        pub enum Purpose {
            $($(#[$documentation])* $name = u64::from_le_bytes(*$tag),)*
        }

        #[cfg(test)]
        const ALL: &[Purpose] = &[$(Purpose::$name),*];
    };
}

purposes! {
    /// Initial weights; counters: seed, number of the parameter, 0.
    Initialisation = b"tini\0\0\0\0",
    /// Dropout masks, through [`dropout_stream`]; its tag leaves the two lowest bytes to the site.
    Dropout = b"\0\0dropou",
    /// Generated images; counters: number of the split, index of the image, 0.
    Shapes = b"shapes 1",
    /// Order of the training images in an epoch; counters: seed, epoch, 0.
    EpochOrder = b"epoch or",
    /// Which training images `train_limit` keeps; counters: split seed, class, 0.
    TrainLimit = b"limtrain",
    /// Which test images `test_limit` keeps; counters: split seed, class, 0.
    TestLimit = b"lim test",
    /// Which images are set aside for testing; counters: split seed, class, 0.
    TestSplit = b"set test",
    /// Which images are set aside for validation; counters: split seed, class, 0.
    ValSplit = b"set val ",
    /// Random resized crop; counters: seed, epoch, index of the image.
    Crop = b"aug crop",
    /// Crop out of a padded image; counters: seed, epoch, index of the image.
    Pad = b"aug pad ",
    /// Horizontal flip; counters: seed, epoch, index of the image.
    Flip = b"aug flip",
    /// RandAugment's operations; counters: seed, epoch, index of the image.
    RandAugment = b"aug rand",
    /// Colour jitter; counters: seed, epoch, index of the image.
    ColorJitter = b"aug jitt",
    /// Random erasing; counters: seed, epoch, index of the image.
    Erasing = b"aug eras",
    /// Mixup and CutMix of a batch; counters: seed, epoch, step.
    Mixing = b"mix batc",
    /// Changes to the last bits of weights, by which `parity` measures rounding; counters: number of the changed model, 0, 0.
    Rounding = b"rounding",
    /// Damaged input files of the fuzzer; counters: seed, number of the reader, number of the input.
    Fuzzing = b"hostile ",
}

/// The random numbers of one draw, named by its purpose and three counters (ChaCha8, with counters and purpose as its 256-bit
/// seed).
pub fn stream(purpose: Purpose, counters: [u64; 3]) -> ChaCha8Rng {
    from_key(key(purpose, 0, counters))
}

/// The random numbers of a dropout mask: of one sample, in one epoch, at one place (`site`) in the model.
pub fn dropout_stream(site: u16, [seed, epoch, sample]: [u64; 3]) -> ChaCha8Rng {
    from_key(key(Purpose::Dropout, site, [seed, epoch, sample]))
}

fn key(purpose: Purpose, site: u16, [a, b, c]: [u64; 3]) -> [u64; 4] {
    match purpose {
        // Its tag comes first, so that generated images stay the same as in earlier versions. The last word is zero, which is no tag.
        Purpose::Shapes => [purpose as u64, a, b, c],
        _ => [a, b, c, purpose as u64 ^ u64::from(site)],
    }
}

fn from_key(key: [u64; 4]) -> ChaCha8Rng {
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
        let first = stream(Purpose::Crop, [1, 2, 3]).next_u64();
        stream(Purpose::Crop, [9, 9, 9]).next_u64();
        assert_eq!(first, stream(Purpose::Crop, [1, 2, 3]).next_u64());
        for counters in [[0, 2, 3], [1, 0, 3], [1, 2, 0]] {
            assert_ne!(first, stream(Purpose::Crop, counters).next_u64(), "{counters:?}");
        }
        assert_ne!(first, stream(Purpose::Flip, [1, 2, 3]).next_u64());
    }

    #[test]
    fn no_two_purposes_share_a_stream() {
        // Equal tags do not compile; dropout owns all tags that differ from its own in the two lowest bytes alone.
        let site = u64::from(u16::MAX);
        for purpose in ALL.iter().filter(|purpose| **purpose != Purpose::Dropout) {
            assert_ne!(*purpose as u64 | site, Purpose::Dropout as u64 | site, "{purpose:?}");
            // `Shapes` has zero where all others have their tags.
            assert_ne!(*purpose as u64, 0, "{purpose:?}");
        }
        assert_ne!(Purpose::Dropout as u64 & !site, 0);
    }

    #[test]
    fn keys_are_those_that_results_were_made_with() {
        assert_eq!(key(Purpose::Initialisation, 0, [1, 2, 0]), [1, 2, 0, 0x696e_6974]);
        assert_eq!(key(Purpose::Dropout, 5, [1, 2, 3]), [1, 2, 3, u64::from_le_bytes(*b"\0\0dropou") ^ 5]);
        assert_eq!(key(Purpose::Shapes, 0, [1, 2, 0]), [u64::from_le_bytes(*b"shapes 1"), 1, 2, 0]);
        assert_eq!(key(Purpose::EpochOrder, 0, [1, 2, 0]), [1, 2, 0, u64::from_le_bytes(*b"epoch or")]);
        // The published test vector of ChaCha8 with a zero key begins with 3e00ef2f 895f40d6.
        assert_eq!(from_key([0; 4]).next_u64(), 0xd640_5f89_2fef_003e);
    }
}
