//! Exclusive access to the machine while something is timed.
//!
//! Training processes hold a shared lock. A process that wants to time asks for the exclusive one. The others see the request between
//! two steps, pause, and continue afterwards. Both are file locks, which the system releases when their holder exits or is killed.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// The machine's two locks.
#[derive(Debug)]
pub struct Machine {
    /// Shared by the processes that train, or held by the one that times.
    work: File,
    /// Held by the process that times or waits to time, so that those that train notice.
    request: File,
    path: PathBuf,
}

/// Permission to train, which other processes may hold at the same time.
#[derive(Debug)]
pub struct Turn<'a>(&'a Machine);

/// Exclusive access to the machine, for timing.
#[derive(Debug)]
pub struct Alone<'a>(&'a Machine);

impl Machine {
    /// Opens this machine's locks. They are in the system's folder for temporary files: `/tmp` on Unix, since many schedulers set
    /// `$TMPDIR` to a new folder for each job.
    ///
    /// # Errors
    /// If the lock files cannot be opened.
    pub fn this() -> Result<Self> {
        let shared = Path::new("/tmp");
        match cfg!(unix) && shared.is_dir() {
            true => Self::with_locks_in(shared),
            false => Self::with_locks_in(&std::env::temp_dir()),
        }
    }

    fn with_locks_in(folder: &Path) -> Result<Self> {
        let path = folder.join("vitbench-work.lock");
        Ok(Self { work: open(&path)?, request: open(&folder.join("vitbench-request.lock"))?, path })
    }

    /// Waits until no process is timing. `None` if `stop` is set first.
    ///
    /// # Errors
    /// If a lock file cannot be locked.
    pub fn turn(&self, stop: &AtomicBool) -> Result<Option<Turn<'_>>> {
        Ok(self.take_turn(stop)?.then_some(Turn(self)))
    }

    /// Waits until no other process is training or timing. `None` if `stop` is set first. Training processes pause until the result
    /// is dropped.
    ///
    /// # Errors
    /// If a lock file cannot be locked.
    pub fn alone(&self, stop: &AtomicBool) -> Result<Option<Alone<'_>>> {
        if !self.wait(stop, || self.request.try_lock())? {
            return Ok(None);
        }
        match self.wait(stop, || self.work.try_lock()) {
            Ok(true) => Ok(Some(Alone(self))),
            other => {
                let _ = self.request.unlock();
                other.map(|_| None)
            }
        }
    }

    fn take_turn(&self, stop: &AtomicBool) -> Result<bool> {
        if !self.wait(stop, || self.request.try_lock_shared())? {
            return Ok(false);
        }
        self.request.unlock().map_err(Error::io("unlock", &self.path))?;
        self.wait(stop, || self.work.try_lock_shared())
    }

    /// Polls for a lock, because a blocking call would not return when `stop` is set. Returns whether the lock was acquired.
    fn wait(&self, stop: &AtomicBool, lock: impl Fn() -> std::result::Result<(), TryLockError>) -> Result<bool> {
        loop {
            match lock() {
                Ok(()) => return Ok(true),
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &self.path)(error)),
                Err(TryLockError::WouldBlock) if stop.load(Ordering::Relaxed) => return Ok(false),
                Err(TryLockError::WouldBlock) => std::thread::sleep(POLL),
            }
        }
    }
}

/// A stop flag that is never set.
pub static GO_ON: AtomicBool = AtomicBool::new(false);

/// Time between two attempts, short compared with what is timed.
const POLL: Duration = Duration::from_millis(5);

impl Turn<'_> {
    /// Whether another process is waiting to time.
    pub fn is_requested(&self) -> bool {
        match self.0.request.try_lock_shared() {
            Ok(()) => {
                let _ = self.0.request.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    /// Pauses for the processes that want to time, until they are done or `stop` is set.
    ///
    /// # Errors
    /// If a lock file cannot be locked or unlocked.
    pub fn give_way(&mut self, stop: &AtomicBool) -> Result<()> {
        self.0.work.unlock().map_err(Error::io("unlock", &self.0.path))?;
        self.0.take_turn(stop).map(drop)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let _ = self.0.work.unlock();
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let _ = self.0.work.unlock();
        let _ = self.0.request.unlock();
    }
}

/// Opens a lock file. Another user may own it: read permission is enough to lock it.
fn open(path: &Path) -> Result<File> {
    if let Ok(file) = File::open(path) {
        return Ok(file);
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path).map_err(Error::io("open", path))?;
    // Independent of the umask. Only the owner may set permissions, and once is enough.
    #[cfg(unix)]
    let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn timing_is_exclusive_and_training_continues_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let machine = || Machine::with_locks_in(folder.path()).unwrap();
        let (working, steps, timed) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let machine = machine();
                    let mut turn = machine.turn(&GO_ON).unwrap().unwrap();
                    let mut after = 0;
                    while after < 20 {
                        working.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                        working.fetch_sub(1, Ordering::SeqCst);
                        steps.fetch_add(1, Ordering::SeqCst);
                        after += usize::from(timed.load(Ordering::SeqCst));
                        if turn.is_requested() {
                            turn.give_way(&GO_ON).unwrap();
                        }
                    }
                });
            }
            for _ in 0..4 {
                while steps.load(Ordering::SeqCst) < 10 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let machine = machine();
                let alone = machine.alone(&GO_ON).unwrap().unwrap();
                let before = steps.load(Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                assert_eq!(working.load(Ordering::SeqCst), 0, "no process trains while another one is timing");
                assert_eq!(steps.load(Ordering::SeqCst), before);
                drop(alone);
            }
            timed.store(true, Ordering::SeqCst);
        });
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let folder = tempfile::tempdir().unwrap();
        let machine = || Machine::with_locks_in(folder.path()).unwrap();
        let (first, second) = (machine(), machine());
        let timing = first.alone(&GO_ON).unwrap().unwrap();
        let stop = AtomicBool::new(true);
        assert!(second.turn(&stop).unwrap().is_none() && second.alone(&stop).unwrap().is_none());
        drop(timing);
        // Neither left a lock behind.
        let third = machine();
        drop(third.alone(&GO_ON).unwrap().unwrap());
        let mut turn = second.turn(&stop).unwrap().expect("a free lock is acquired even if the run is to stop");
        assert!(!turn.is_requested());
        turn.give_way(&stop).unwrap();
    }
}
