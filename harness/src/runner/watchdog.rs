//! A run's limits of memory and time, enforced by a thread of its process.

use std::time::{Duration, Instant};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// Exit code of a worker that exceeded its memory limit.
pub(super) const OUT_OF_MEMORY: i32 = 86;

/// Exit code of a worker that exceeded its time limit.
pub(super) const OUT_OF_TIME: i32 = 87;

const INTERVAL: Duration = Duration::from_millis(50);

/// Ends the process when it exceeds a limit. What it has written stays.
pub(super) fn watch(max_memory: Option<u64>, max_time: Option<Duration>) {
    if max_memory.is_none() && max_time.is_none() {
        return;
    }
    let start = Instant::now();
    std::thread::spawn(move || {
        let pid = Pid::from_u32(std::process::id());
        let mut system = System::new().ok();
        loop {
            std::thread::sleep(INTERVAL);
            if let (Some(limit), Some(system)) = (max_memory, &mut system) {
                let what = ProcessRefreshKind::nothing().with_memory();
                let _ = system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
                let used = system.process(pid).map_or(0, sysinfo::Process::memory);
                if used > limit {
                    let mib = |bytes: u64| bytes >> 20;
                    eprintln!("the run needs {} MiB, but --max-memory allows {} MiB", mib(used), mib(limit));
                    std::process::exit(OUT_OF_MEMORY);
                }
            }
            if let Some(limit) = max_time
                && start.elapsed() > limit
            {
                eprintln!("the run takes longer than --max-time allows, {} s", limit.as_secs());
                std::process::exit(OUT_OF_TIME);
            }
        }
    });
}
