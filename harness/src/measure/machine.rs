//! Describes the machine for the records.

use jiff::Timestamp;
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use super::memory::memory_bytes;
use crate::VERSION;
use crate::allocator;
use crate::device::DeviceName;
use crate::results::{MachineDetails, MachineRecord, SCHEMA};

/// Describes this machine, with the command that uses it.
pub(crate) fn machine_record(device: DeviceName, command: String, threads: usize) -> MachineRecord {
    // If the system does not reveal something, the record says so. Measuring goes ahead regardless.
    let what = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(what).ok();
    let cpus = system.as_ref().map_or(&[] as &[_], System::cpus);
    let os = System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned());
    MachineRecord {
        schema: SCHEMA,
        version: program_version(),
        command,
        cpu: cpus.first().map_or_else(|| "unknown".to_owned(), |cpu| cpu.brand().trim().to_owned()),
        cpu_cores: cpus.len(),
        memory_bytes: memory_bytes(),
        os: format!("{os} ({})", std::env::consts::ARCH),
        device: device.as_str().to_owned(),
        threads,
        started: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        details: details(),
    }
}

/// This program's version, with the git revision if it is known.
pub(crate) fn program_version() -> String {
    match option_env!("VITBENCH_REVISION") {
        Some(revision) => format!("{VERSION} ({revision})"),
        None => VERSION.to_owned(),
    }
}

fn details() -> MachineDetails {
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let vendor = || std::fs::read_to_string("/sys/class/dmi/id/sys_vendor").ok().map(|vendor| vendor.trim().to_owned());
    let flags = of_cpuinfo(&cpuinfo, "flags").or_else(|| of_cpuinfo(&cpuinfo, "Features"));
    let is_virtual = flags.as_ref().is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"));
    MachineDetails {
        cpu_family: of_cpuinfo(&cpuinfo, "cpu family"),
        cpu_model: of_cpuinfo(&cpuinfo, "model"),
        cpu_stepping: of_cpuinfo(&cpuinfo, "stepping"),
        cpu_flags: flags,
        microcode: of_cpuinfo(&cpuinfo, "microcode"),
        hypervisor: is_virtual.then(|| vendor().filter(|vendor| !vendor.is_empty()).unwrap_or("unknown".to_owned())),
        kernel: System::kernel_version().ok(),
        rustc: option_env!("VITBENCH_RUSTC").map(str::to_owned),
        allocator: Some(allocator::name().to_owned()),
    }
}

/// A value of the first processor.
fn of_cpuinfo(text: &str, key: &str) -> Option<String> {
    let value = |line: &str| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    };
    text.lines().find_map(value)
}

/// The command line of this process. The program's name has no folder, because a folder means nothing on another machine.
pub(crate) fn command_line() -> String {
    let arguments = std::env::args().skip(1);
    std::iter::once("vitbench".to_owned()).chain(arguments).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_cpuinfo_are_whole_words() {
        let text = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: A: B\nflags\t\t: fpu avx2\n";
        for (key, value) in [("cpu family", "25"), ("model", "17"), ("model name", "A: B"), ("flags", "fpu avx2")] {
            assert_eq!(of_cpuinfo(text, key).as_deref(), Some(value));
        }
        assert_eq!(of_cpuinfo(text, "microcode"), None);
    }
}
