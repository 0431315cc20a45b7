//! Describes the machine for the records.

use jiff::Timestamp;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

use crate::VERSION;
use crate::device::DeviceName;
use crate::results::{MachineRecord, SCHEMA};

/// Describes this machine, with the command that uses it.
pub(crate) fn machine_record(device: DeviceName, command: String, threads: usize) -> MachineRecord {
    // If the system does not reveal something, the record says so. Measuring goes ahead regardless.
    let what =
        RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram()).with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(what).ok();
    let cpus = system.as_ref().map_or(&[] as &[_], System::cpus);
    let os = System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned());
    MachineRecord {
        schema: SCHEMA,
        version: match option_env!("VITBENCH_REVISION") {
            Some(revision) => format!("{VERSION} ({revision})"),
            None => VERSION.to_owned(),
        },
        command,
        cpu: cpus.first().map_or_else(|| "unknown".to_owned(), |cpu| cpu.brand().trim().to_owned()),
        cpu_cores: cpus.len(),
        memory_bytes: system.as_ref().map_or(0, System::total_memory),
        os: format!("{os} ({})", std::env::consts::ARCH),
        device: device.as_str().to_owned(),
        threads,
        started: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

/// The command line of this process. The program's name has no folder, because a folder means nothing on another machine.
pub(crate) fn command_line() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("vitbench".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}
