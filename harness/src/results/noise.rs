//! A machine's A/A variation: by how much the times of identical runs differ.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{read_json, write_json};
use crate::error::Result;
use crate::stats::t_quantile;

/// `noise.json`: by how much the same timing differs from one process to the next on this machine, measured by timing the same model
/// again and again (A/A).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of the program.
    pub version: String,
    /// Brand of the CPU.
    pub cpu: String,
    /// Logical CPUs.
    pub cpu_cores: usize,
    /// Burn's device.
    pub device: String,
    /// Worker threads.
    pub threads: usize,
    /// When it was measured, RFC 3339.
    pub measured: String,
    /// Of training steps.
    pub train_step: Noise,
    /// Of inference on batches of several images.
    pub inference: Noise,
    /// Of inference on one image.
    pub latency: Noise,
}

/// The spread of the medians of identical processes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Standard deviation of the natural logarithm of a process's median time.
    pub log_std: f64,
    /// Its degrees of freedom.
    pub degrees: usize,
}

impl Noise {
    /// The ratio, less 1, that the medians of two identical processes stay below in 95 of 100 cases.
    pub fn ratio(self) -> f64 {
        (t_quantile(self.degrees as f64) * self.log_std * 2f64.sqrt()).exp() - 1.0
    }
}

impl NoiseRecord {
    /// Reads a record, if the file is there.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        read_json(path)
    }

    /// Writes the record.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_differ_by_root_two_of_one() {
        // exp(scipy.stats.t.ppf(0.975, 9) * 0.01 * sqrt(2)) - 1
        assert!((Noise { log_std: 0.01, degrees: 9 }.ratio() - 0.032508969930441944).abs() < 1e-12);
        assert_eq!(Noise { log_std: 0.0, degrees: 9 }.ratio(), 0.0);
    }
}
