//! Timings need exclusive access to the machine. Training holds a shared lock and releases it between two steps when somebody waits
//! to time; timing holds the lock exclusively. The operating system releases the locks when their holder ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::error::{Error, Result};

/// The machine's two locks.
#[derive(Debug)]
pub struct Machine {
    /// Held by all who train together, or by the one who times.
    work: File,
    /// Held by the one who times or waits for it, so that those who train notice.
    request: File,
    path: PathBuf,
}

/// Shared access to the machine, for training.
#[derive(Debug)]
pub struct Turn<'a>(&'a Machine);

/// Exclusive access to the machine, for timing.
#[derive(Debug)]
pub struct Alone<'a>(&'a Machine);

impl Machine {
    /// This machine, whose locks are in the system's folder for temporary files: on Unix not the one that `$TMPDIR` names, which many
    /// schedulers make anew for each job.
    ///
    /// # Errors
    /// If the files cannot be opened.
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

    /// Waits until nobody times; `None` if `stop` is set before.
    pub fn turn(&self, stop: &AtomicBool) -> Result<Option<Turn<'_>>> {
        Ok(self.take_turn(stop)?.then_some(Turn(self)))
    }

    /// Waits until nobody trains or times; `None` if `stop` is set before. Whoever trains pauses until the answer is dropped.
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

    /// Asks for a lock again and again, since a process that waits within the system hears no signal. Answers whether it was had before
    /// `stop` was set.
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

/// For those whom nobody asks to stop.
pub static GO_ON: AtomicBool = AtomicBool::new(false);

/// Between two tries: short beside what is timed.
const POLL: Duration = Duration::from_millis(5);

impl Turn<'_> {
    /// Whether somebody wants the machine for itself.
    pub fn is_asked_for(&self) -> bool {
        match self.0.request.try_lock_shared() {
            Ok(()) => {
                let _ = self.0.request.unlock();
                false
            }
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => false,
        }
    }

    /// Lets whoever wants to time do it, and waits for the end of it, or until `stop` is set.
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

/// Opens a lock file, which may be another user's: to lock it, reading is enough.
fn open(path: &Path) -> Result<File> {
    if let Ok(file) = File::open(path) {
        return Ok(file);
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).open(path).map_err(Error::io("open", path))?;
    // Whatever this user's umask is. Only a file's owner can say so, and only once is it needed.
    #[cfg(unix)]
    let _ = file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn who_times_is_alone_and_who_trains_goes_on_afterwards() {
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
                        if turn.is_asked_for() {
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
                assert_eq!(working.load(Ordering::SeqCst), 0, "nobody trains meanwhile");
                assert_eq!(steps.load(Ordering::SeqCst), before);
                drop(alone);
            }
            timed.store(true, Ordering::SeqCst);
        });
    }

    #[test]
    fn who_is_to_stop_waits_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let machine = || Machine::with_locks_in(folder.path()).unwrap();
        let (first, second) = (machine(), machine());
        let timing = first.alone(&GO_ON).unwrap().unwrap();
        let stop = AtomicBool::new(true);
        assert!(second.turn(&stop).unwrap().is_none() && second.alone(&stop).unwrap().is_none());
        drop(timing);
        // Neither has left a lock behind.
        let third = machine();
        drop(third.alone(&GO_ON).unwrap().unwrap());
        let mut turn = second.turn(&stop).unwrap().expect("a lock that is free is had");
        assert!(!turn.is_asked_for());
        turn.give_way(&stop).unwrap();
    }
}
