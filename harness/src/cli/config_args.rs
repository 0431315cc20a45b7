use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use clap::Args;
use serde::de::DeserializeOwned;

use crate::config::{self, Plan};
use crate::device::DeviceName;
use crate::error::{Error, Result};

/// A config and what the command line changes of it.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The config, such as `configs/quick.toml`
    pub(super) config: PathBuf,
    /// Change a value of the config, such as `train.epochs=3`; may be given more than once
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) assignments: Vec<String>,
    /// Where to compute [default: the config's `device`, or flex]
    #[arg(long, value_name = "NAME")]
    pub(super) device: Option<DeviceName>,
}

impl ConfigArgs {
    /// The plan that they describe.
    pub(super) fn plan(&self) -> Result<Plan> {
        let mut plan = config::load(&self.config, &self.assignments)?;
        plan.device = self.device.unwrap_or(plan.device);
        Ok(plan)
    }

    /// What this program answers, as JSON, when it is started with `subcommand`, the same config, and `more` arguments: so that what it
    /// measures has a process of its own.
    ///
    /// # Errors
    /// That of `failed`, which is given how it ended, if it answers nothing that can be read.
    pub(super) fn ask_own_process<T: DeserializeOwned>(
        &self,
        subcommand: &str,
        more: &[String],
        failed: impl FnOnce(ExitStatus) -> Error,
    ) -> Result<T> {
        let program = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
        let mut command = Command::new(&program);
        command.arg(subcommand).arg(&self.config).args(more);
        for assignment in &self.assignments {
            command.args(["--set", assignment]);
        }
        if let Some(device) = self.device {
            command.args(["--device", device.as_str()]);
        }
        let output = command.stderr(Stdio::inherit()).output().map_err(Error::io("start", &program))?;
        serde_json::from_slice(&output.stdout).map_err(|_| failed(output.status))
    }
}
