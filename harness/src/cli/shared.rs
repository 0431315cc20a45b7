//! Arguments that several commands take. Each is declared once, with its help.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config::{self, Plan};
use crate::device::DeviceName;
use crate::error::{Error, Result};

/// Which config, and what the command line changes in it.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The config, such as `configs/quick.toml`
    pub(super) config: PathBuf,
    #[command(flatten)]
    pub(super) set: SetArgs,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
}

/// Changes to a config.
#[derive(Debug, Default, Args)]
pub(super) struct SetArgs {
    /// Change a value of the config, such as `train.epochs=3`; repeatable
    ///
    /// KEY is the path of a key. Entries of a list are numbered from 0: `model.0.depth=6`. A key that contains dots is quoted:
    /// `sweep."train.lr"=[0.001,0.003]`. VALUE is TOML; anything else is taken as a string.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) assignments: Vec<String>,
}

/// Where to compute.
#[derive(Debug, Default, Args)]
pub(super) struct DeviceArgs {
    /// Where to compute: flex (the CPU), ndarray, cuda, vulkan, wgpu or metal
    ///
    /// The default is the config's `device`, or flex if it has none. All but flex need a build with the feature of the same name;
    /// `vitbench devices` lists what this build can use.
    #[arg(long, value_name = "NAME")]
    pub(super) device: Option<DeviceName>,
}

/// Where to look for datasets.
#[derive(Debug, Args)]
pub(super) struct DataDirArgs {
    /// A folder that holds datasets
    ///
    /// Datasets are looked for in this folder, then in $VITBENCH_DATA, then in `vitbench` in the user's cache folder.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl DataDirArgs {
    /// The folder, if one was given.
    pub(super) fn path(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }
}

/// How many threads to use.
#[derive(Debug, Default, Args)]
pub(super) struct ThreadsArgs {
    /// Worker threads [default: all cores]
    ///
    /// Training splits a batch between as many data-parallel workers (lanes), and images are decoded by as many threads. Results do
    /// not depend on the number.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
}

impl ThreadsArgs {
    /// The number given on the command line.
    pub(super) fn given(&self) -> Option<usize> {
        self.threads.map(usize::from)
    }

    /// The number given on the command line, or one per core.
    pub(super) fn count(&self) -> usize {
        self.given().unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Returns [`count`](Self::count) and applies it to work outside the lanes as well, such as decoding images.
    pub(super) fn limit_global(&self) -> usize {
        limit_global_threads(self.count());
        self.count()
    }

    /// The number as command-line arguments, if it was given.
    pub(super) fn words(&self) -> Vec<String> {
        self.threads.iter().flat_map(|threads| ["--threads".to_owned(), threads.to_string()]).collect()
    }
}

/// Limits the threads for work outside the lanes, such as decoding images.
pub(super) fn limit_global_threads(threads: usize) {
    // Has no effect if there is a pool already, as in a test that runs several plans.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
}

/// Rows as CSV for standard output, which has no `schema` column.
pub(super) fn csv<T: Serialize>(rows: &[T]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).expect("rows are flat, and memory takes every byte");
    }
    String::from_utf8(writer.into_inner().expect("memory takes every byte")).expect("names are UTF-8")
}

/// Where results go.
#[derive(Debug, Args)]
pub(super) struct OutArgs {
    /// Results folder [default: results/NAME, with the config's name]
    ///
    /// If the folder holds runs of this config, only the missing ones are done. A folder that holds anything else is refused.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl OutArgs {
    /// This folder.
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { out: Some(folder) }
    }

    /// The folder for the results of `config`.
    pub(super) fn folder(&self, config: &Path) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("results").join(config.file_stem().unwrap_or_default()))
    }
}

impl ConfigArgs {
    /// The plan that these arguments describe.
    pub(super) fn plan(&self) -> Result<Plan> {
        let mut plan = config::load(&self.config, &self.set.assignments)?;
        plan.device = self.device.device.unwrap_or(plan.device);
        Ok(plan)
    }

    /// Starts this program again with `subcommand`, the same config and the arguments `more`, and parses the JSON that it prints. What
    /// it measures thus runs in its own process.
    ///
    /// # Errors
    /// Returns the error that `failed` makes of the exit status if the output cannot be parsed.
    pub(super) fn ask_own_process<T: DeserializeOwned>(
        &self,
        subcommand: &str,
        more: &[String],
        failed: impl FnOnce(ExitStatus) -> Error,
    ) -> Result<T> {
        let program = std::env::current_exe().map_err(Error::io("find", Path::new("this program")))?;
        let mut command = Command::new(&program);
        command.arg(subcommand).arg(&self.config).args(more);
        for assignment in &self.set.assignments {
            command.args(["--set", assignment]);
        }
        if let Some(device) = self.device.device {
            command.args(["--device", device.as_str()]);
        }
        let output = command.stderr(Stdio::inherit()).output().map_err(Error::io("start", &program))?;
        serde_json::from_slice(&output.stdout).map_err(|_| failed(output.status))
    }
}
