//! Requests to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::error::{Error, Result};

/// Set by SIGINT, SIGTERM and SIGUSR1, or by [`ask`](Self::ask): finish the step, leave a checkpoint, end. A SIGINT that follows another
/// signal ends the process at once.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    /// The last signal, by its number; 0 if there was none.
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Registers handlers for the signals.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn on_signals() -> Result<Self> {
        use signal_hook::consts;
        use signal_hook::flag;

        let stop = Self::default();
        let signalled = Arc::new(AtomicBool::new(false));
        let interrupted = 128 + consts::SIGINT;
        let register = || {
            // Before the flags: the first signal finds this one unset.
            flag::register_conditional_shutdown(consts::SIGINT, interrupted, Arc::clone(&signalled))?;
            let mut signals = vec![consts::SIGINT, consts::SIGTERM];
            #[cfg(unix)]
            signals.push(consts::SIGUSR1);
            for signal in signals {
                flag::register(signal, Arc::clone(&stop.asked))?;
                flag::register(signal, Arc::clone(&signalled))?;
                flag::register_usize(signal, Arc::clone(&stop.signal), signal as usize)?;
            }
            Ok(())
        };
        register().map_err(Error::io("watch for signals in", std::path::Path::new("this process")))?;
        Ok(stop)
    }

    /// Requests a stop without a signal.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was requested.
    pub fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// The flag itself.
    pub fn flag(&self) -> &AtomicBool {
        &self.asked
    }

    /// The exit code of a process that was asked to stop: 130 after SIGINT, 143 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self.signal.load(Ordering::Relaxed) as i32 {
            signal_hook::consts::SIGINT => 130,
            _ => 143,
        }
    }
}
