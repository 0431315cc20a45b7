//! Which numbers matrix products multiply.

use std::cell::Cell;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The numbers that matrix products multiply. Everything else is computed in f32: sums, norms, softmax, GELU, residuals and the loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// Operands rounded to bfloat16 (8 bits of precision), to nearest, ties to even.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// That of the products on this thread.
    pub fn current() -> Self {
        CURRENT.get()
    }

    /// Runs `work`, with products in this precision on this thread. Backward passes have the precision of their forward passes.
    ///
    /// # Example
    ///
    /// ```
    /// use layers::ops::Precision;
    ///
    /// let inside = Precision::Bf16.within(Precision::current);
    /// assert_eq!((inside, Precision::current()), (Precision::Bf16, Precision::F32));
    /// ```
    pub fn within<T>(self, work: impl FnOnce() -> T) -> T {
        /// Returns to the precision from before, also if `work` panics.
        struct Before(Precision);

        impl Drop for Before {
            fn drop(&mut self) {
                CURRENT.set(self.0);
            }
        }

        let _before = Before(CURRENT.replace(self));
        work()
    }

    /// Its name in configs and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
