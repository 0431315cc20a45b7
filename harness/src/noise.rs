//! Keeps the A/A variation of machines between commands: in the user's cache folder, which several machines may share, in one file per
//! machine, device and number of threads.

use std::path::{Path, PathBuf};

use crate::cache;
use crate::error::{Error, Result};
use crate::results::{MachineRecord, NoiseRecord, ResultsFolder};

/// The file; `None` if there is no cache folder.
fn path(cpu: &str, cpu_cores: usize, device: &str, threads: usize) -> Option<PathBuf> {
    let machine = blake3::hash(format!("{cpu} {cpu_cores}").as_bytes()).to_hex();
    Some(cache::folder()?.join("noise").join(format!("{device}-{threads}-{}.json", &machine[..8])))
}

/// Keeps a record for future results folders of this machine, and returns its path.
///
/// # Errors
/// If there is no cache folder, or it cannot be written.
pub(crate) fn store(record: &NoiseRecord) -> Result<PathBuf> {
    let path = path(&record.cpu, record.cpu_cores, &record.device, record.threads).ok_or_else(|| {
        let help = "set $HOME or $XDG_CACHE_HOME, or name a folder of results with --into";
        Error::input("the user's cache folder", "there is none to keep the measurement in", help)
    })?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    record.write(&path)?;
    Ok(path)
}

/// Copies a machine's A/A variation into a results folder, if it is known. The folder's verdicts then take it into account.
pub(crate) fn keep(folder: &ResultsFolder, machine: &MachineRecord) -> Result<()> {
    let MachineRecord { cpu, cpu_cores, device, threads, .. } = machine;
    let Some(path) = path(cpu, *cpu_cores, device, *threads) else { return Ok(()) };
    // A damaged file in a cache must not stop training: without it the report says that the variation was not measured.
    match NoiseRecord::read(&path) {
        Ok(Some(record)) => record.write(&folder.noise_path()),
        Ok(None) | Err(_) => Ok(()),
    }
}
