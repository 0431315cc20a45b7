//! Memory of this process and of the machine.

use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// Physical memory of the machine, in bytes; 0 where the system does not report it.
pub(crate) fn memory_bytes() -> u64 {
    let what = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    System::new_with_specifics(what).ok().as_ref().map_or(0, System::total_memory)
}

/// Peak resident memory of this process so far, in bytes; `None` where the system does not report it (only Linux does).
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    peak_of(&status)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_high_water_mark() {
        assert_eq!(peak_of("VmPeak:\t  9 kB\nVmHWM:\t    1536 kB\nVmRSS:\t 1 kB\n"), Some(1536 * 1024));
        assert_eq!(peak_of("VmRSS:\t 1 kB\n"), None);
    }
}
