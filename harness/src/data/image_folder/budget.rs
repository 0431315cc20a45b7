//! Limits the memory that all decoding threads take together.

use std::sync::{Condvar, Mutex, PoisonError};

/// Memory shared by many threads. A thread that asks for more than is left waits until other threads return theirs.
pub(super) struct Budget {
    all: u64,
    left: Mutex<u64>,
    returned: Condvar,
}

/// Part of a budget, returned when dropped.
pub(super) struct Share<'a> {
    budget: &'a Budget,
    bytes: u64,
}

impl Budget {
    pub(super) const fn new(bytes: u64) -> Self {
        Self { all: bytes, left: Mutex::new(bytes), returned: Condvar::new() }
    }

    /// Takes `bytes`, or the whole budget if that is less. A thread must return its share before it takes another: otherwise two
    /// threads could deadlock.
    pub(super) fn take(&self, bytes: u64) -> Share<'_> {
        let bytes = bytes.min(self.all);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = self.returned.wait_while(left, |left| *left < bytes);
        *enough.unwrap_or_else(PoisonError::into_inner) -= bytes;
        Share { budget: self, bytes }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        *self.budget.left.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.budget.returned.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn no_more_is_out_than_there_is() {
        let (budget, out, most) = (Budget::new(100), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for bytes in [10, 40, 60, 90, 100, 1000, 30, 70] {
                let (budget, out, most) = (&budget, &out, &most);
                scope.spawn(move || {
                    for _ in 0..100 {
                        let share = budget.take(bytes);
                        let now = out.fetch_add(bytes.min(100), Ordering::SeqCst) + bytes.min(100);
                        most.fetch_max(now, Ordering::SeqCst);
                        out.fetch_sub(bytes.min(100), Ordering::SeqCst);
                        drop(share);
                    }
                });
            }
        });
        assert!((100..=100).contains(&most.load(Ordering::SeqCst)), "{most:?}");
        assert_eq!(*budget.left.lock().unwrap(), 100);
    }
}
