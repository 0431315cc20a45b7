//! Data-parallel workers, called *lanes*: how the cores of a CPU share a batch.
//!
//! A batch is cut into micro-batches of a fixed size, and the lanes take them one after another. Each lane is a worker thread
//! with a rayon pool of one thread, so that an operation stays on its core. Results are folded in the order of the
//! micro-batches. Neither the cut nor the order depends on the number of lanes, so any number gives the same result to the
//! last bit. A GPU needs no lanes: it gets whole batches from the calling thread. Lanes compute in the precision of the thread that calls
//! them.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use layers::Precision;
use rayon::ThreadPool;

use crate::device::DeviceName;

/// Data-parallel workers; see the [module](self).
pub struct Lanes {
    pools: Vec<ThreadPool>,
}

impl Lanes {
    /// Starts `threads` lanes on the CPU.
    ///
    /// # Panics
    /// If `threads` is 0 or the system cannot start a thread.
    pub fn new(threads: usize) -> Self {
        assert!(threads > 0, "there must be at least one lane");
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("the system starts a thread");
        Self { pools: (0..threads).map(pool).collect() }
    }

    /// One lane on the calling thread: for a GPU, which whole batches keep busy.
    pub fn caller() -> Self {
        Self { pools: Vec::new() }
    }

    /// The lanes that keep a device busy: `threads` on a CPU, the calling thread for a GPU.
    pub fn on(device: DeviceName, threads: usize) -> Self {
        if device.is_cpu() { Self::new(threads) } else { Self::caller() }
    }

    /// Whether the only lane is the calling thread.
    pub fn are_the_caller(&self) -> bool {
        self.pools.is_empty()
    }

    /// Number of lanes, and so of micro-batches that are computed at the same time.
    pub fn threads(&self) -> usize {
        self.pools.len().max(1)
    }

    /// Runs `work` for every index below `count` and passes the results to `fold` in ascending order of the index.
    ///
    /// Each lane has its own state, which `setup` makes. At most `waiting` finished results are held until those before them are
    /// folded: a higher limit lets the other lanes run further ahead of a slow one, and needs more memory.
    ///
    /// # Panics
    /// If `setup`, `work` or `fold` panics, with the same message.
    ///
    /// # Example
    /// Floating-point addition is not associative, but the sum does not depend on the number of lanes:
    ///
    /// ```
    /// use vitbench::lanes::Lanes;
    ///
    /// let harmonic = |lanes: Lanes| {
    ///     let mut sum = 0.0_f32;
    ///     lanes.ordered(1000, 4, || (), |(), index| 1.0 / (index + 1) as f32, |term| sum += term);
    ///     sum
    /// };
    /// assert_eq!(harmonic(Lanes::new(1)).to_bits(), harmonic(Lanes::new(4)).to_bits());
    /// ```
    pub fn ordered<S, T: Send>(
        &self,
        count: usize,
        waiting: usize,
        setup: impl Fn() -> S + Sync,
        work: impl Fn(&mut S, usize) -> T + Sync,
        mut fold: impl FnMut(T) + Send,
    ) {
        if self.pools.is_empty() {
            let mut state = setup();
            for index in 0..count {
                fold(work(&mut state, index));
            }
            return;
        }
        let next = AtomicUsize::new(0);
        let turnstile = Turnstile::new(fold, waiting);
        let lane = || {
            let _guard = AbortOnPanic(&turnstile);
            let mut state = setup();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count || !turnstile.pass(index, work(&mut state, index)) {
                    break;
                }
            }
        };
        let precision = Precision::current();
        let lane = &|| precision.within(lane);
        std::thread::scope(|scope| {
            let pools = self.pools.iter().take(count);
            let threads: Vec<_> = pools.map(|pool| scope.spawn(move || pool.install(lane))).collect();
            for thread in threads {
                // Passes the thread's own message on; the scope would only say that some thread panicked.
                thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            }
        });
    }

    /// Runs `work` on a single lane, so that no reduction in it depends on the number of lanes.
    pub fn on_one<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match self.pools.first() {
            Some(pool) => {
                let precision = Precision::current();
                pool.install(|| precision.within(work))
            }
            None => work(),
        }
    }
}

/// Folds results in ascending order, whichever lane brings them.
struct Turnstile<T, F> {
    state: Mutex<Turn<T, F>>,
    turned: Condvar,
    /// How far ahead of the next result another may be and still be stored here. Further ahead, its lane waits with it.
    waiting: usize,
}

struct Turn<T, F> {
    next: usize,
    aborted: bool,
    /// Results that wait for those before them.
    early: BTreeMap<usize, T>,
    /// Absent while a lane folds.
    fold: Option<F>,
}

impl<T, F: FnMut(T)> Turnstile<T, F> {
    fn new(fold: F, waiting: usize) -> Self {
        let turn = Turn { next: 0, aborted: false, early: BTreeMap::new(), fold: Some(fold) };
        Self { state: Mutex::new(turn), turned: Condvar::new(), waiting }
    }

    /// Takes the result of `index`, which this lane or another will fold in order. Blocks while the result is too far ahead to be
    /// stored. Returns `false` if another lane panicked, since its result will never come.
    fn pass(&self, index: usize, result: T) -> bool {
        let turn = self.lock();
        let too_early = |turn: &mut Turn<T, F>| index > turn.next + self.waiting && !turn.aborted;
        let mut turn = self.turned.wait_while(turn, too_early).unwrap_or_else(PoisonError::into_inner);
        turn.early.insert(index, result);
        // If another lane is folding, it will fold this result as well.
        while !turn.aborted
            && let Some(mut fold) = turn.fold.take()
        {
            let next = turn.next;
            let Some(result) = turn.early.remove(&next) else {
                turn.fold = Some(fold);
                break;
            };
            drop(turn);
            fold(result);
            turn = self.lock();
            turn.fold = Some(fold);
            turn.next += 1;
            self.turned.notify_all();
        }
        !turn.aborted
    }

    fn lock(&self) -> MutexGuard<'_, Turn<T, F>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Releases the waiting lanes when this one panics.
struct AbortOnPanic<'a, T, F: FnMut(T)>(&'a Turnstile<T, F>);

impl<T, F: FnMut(T)> Drop for AbortOnPanic<'_, T, F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().aborted = true;
            self.0.turned.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_are_folded_in_order_whatever_the_number_of_lanes() {
        for lanes in [Lanes::caller(), Lanes::new(1), Lanes::new(2), Lanes::new(5)] {
            let mut folded = Vec::new();
            let work = |_: &mut (), index: usize| {
                // Earlier items take longer, so that later ones are ready first.
                std::thread::sleep(Duration::from_millis(4 - index as u64 % 5));
                index * index
            };
            for waiting in [0, 1, 3] {
                folded.clear();
                lanes.ordered(12, waiting, || (), work, |result| folded.push(result));
                assert_eq!(folded, (0..12).map(|i| i * i).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn lanes_compute_in_the_callers_precision() {
        let lanes = Lanes::new(2);
        let mut seen = Vec::new();
        Precision::Bf16.within(|| {
            lanes.ordered(4, 0, || (), |(), _| Precision::current(), |precision| seen.push(precision));
            seen.push(lanes.on_one(Precision::current));
        });
        assert_eq!(seen, [Precision::Bf16; 5]);
        assert_eq!(lanes.on_one(Precision::current), Precision::F32);
    }

    #[test]
    fn every_lane_has_one_state() {
        let setups = AtomicUsize::new(0);
        let setup = || setups.fetch_add(1, Ordering::Relaxed);
        Lanes::new(3).ordered(30, 0, setup, |_, index| index, |_| {});
        assert!((1..=3).contains(&setups.into_inner()));
    }

    #[test]
    fn a_panic_ends_all_lanes() {
        let outcome = std::panic::catch_unwind(|| {
            Lanes::new(3).ordered(9, 1, || (), |_, index| assert_ne!(index, 1, "as asked"), |()| {});
        });
        let panic = outcome.unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("as asked"));
    }

    #[test]
    fn a_panic_in_folding_ends_all_lanes() {
        let outcome = std::panic::catch_unwind(|| {
            Lanes::new(3).ordered(9, 1, || (), |_, index| index, |index| assert_ne!(index, 2, "as asked"));
        });
        assert!(outcome.is_err());
    }

    #[test]
    fn results_beyond_the_bound_wait_in_their_lanes() {
        // While the first item is in work, the other lane may begin `waiting` + 1 further ones and no more.
        for waiting in [0, 1, 4] {
            let begun = AtomicUsize::new(0);
            let at_the_end_of_the_first = AtomicUsize::new(0);
            let work = |_: &mut (), index: usize| {
                begun.fetch_add(1, Ordering::SeqCst);
                if index == 0 {
                    std::thread::sleep(Duration::from_millis(60));
                    at_the_end_of_the_first.store(begun.load(Ordering::SeqCst), Ordering::SeqCst);
                }
            };
            Lanes::new(2).ordered(20, waiting, || (), work, |()| {});
            assert_eq!(at_the_end_of_the_first.into_inner(), waiting + 2, "{waiting} may wait");
        }
    }

    #[test]
    fn no_items_no_work() {
        Lanes::new(2).ordered(0, 0, || (), |_, _| (), |()| panic!("nothing to fold"));
    }
}
