//! Timings are taken alone on the machine: whoever trains holds a share of it and gives it back between two steps when somebody wants
//! to time. Both are locks on files that the system lets go of when their holder ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

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

/// A share of the machine, to train on.
#[derive(Debug)]
pub struct Turn<'a>(&'a Machine);

/// The whole machine, to time on.
#[derive(Debug)]
pub struct Alone<'a>(&'a Machine);

impl Machine {
    /// This machine, whose locks are in the system's folder for temporary files.
    ///
    /// # Errors
    /// If the files cannot be opened.
    pub fn this() -> Result<Self> {
        Self::with_locks_in(&std::env::temp_dir())
    }

    fn with_locks_in(folder: &Path) -> Result<Self> {
        let path = folder.join("vitbench-work.lock");
        Ok(Self { work: open(&path)?, request: open(&folder.join("vitbench-request.lock"))?, path })
    }

    /// Waits until nobody times.
    pub fn turn(&self) -> Result<Turn<'_>> {
        self.take_turn()?;
        Ok(Turn(self))
    }

    /// Waits until nobody trains or times. Whoever trains pauses until the answer is dropped.
    pub fn alone(&self) -> Result<Alone<'_>> {
        let failed = || Error::io("lock", &self.path);
        self.request.lock().map_err(failed())?;
        self.work.lock().map_err(failed())?;
        Ok(Alone(self))
    }

    fn take_turn(&self) -> Result<()> {
        let failed = || Error::io("lock", &self.path);
        self.request.lock_shared().map_err(failed())?;
        self.request.unlock().map_err(failed())?;
        self.work.lock_shared().map_err(failed())
    }
}

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

    /// Lets whoever wants to time do it, and waits for the end of it.
    pub fn give_way(&mut self) -> Result<()> {
        self.0.work.unlock().map_err(Error::io("unlock", &self.0.path))?;
        self.0.take_turn()
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
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o666);
    options.open(path).map_err(Error::io("open", path))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::time::Duration;

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
                    let mut turn = machine.turn().unwrap();
                    let mut after = 0;
                    while after < 20 {
                        working.fetch_add(1, Ordering::SeqCst);
                        std::thread::sleep(Duration::from_millis(1));
                        working.fetch_sub(1, Ordering::SeqCst);
                        steps.fetch_add(1, Ordering::SeqCst);
                        after += usize::from(timed.load(Ordering::SeqCst));
                        if turn.is_asked_for() {
                            turn.give_way().unwrap();
                        }
                    }
                });
            }
            for _ in 0..4 {
                while steps.load(Ordering::SeqCst) < 10 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                let machine = machine();
                let alone = machine.alone().unwrap();
                let before = steps.load(Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                assert_eq!(working.load(Ordering::SeqCst), 0, "nobody trains meanwhile");
                assert_eq!(steps.load(Ordering::SeqCst), before);
                drop(alone);
            }
            timed.store(true, Ordering::SeqCst);
        });
    }
}
