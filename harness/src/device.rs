//! From a device's name to Burn's device; the only file that knows which backends are compiled in.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};
use layers::Precision;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum DeviceName {
    /// Burn's own CPU backend, with this suite's fused operations.
    #[default]
    Flex,
    /// CPU, on the ndarray crate; slower.
    Ndarray,
    /// NVIDIA GPU.
    Cuda,
    /// GPU through Vulkan.
    Vulkan,
    /// GPU through WebGPU.
    Wgpu,
    /// Apple GPU.
    Metal,
}

/// All names, in the order of the table that `vitbench devices` prints.
pub const ALL: [DeviceName; 6] =
    [DeviceName::Flex, DeviceName::Ndarray, DeviceName::Cuda, DeviceName::Vulkan, DeviceName::Wgpu, DeviceName::Metal];

impl DeviceName {
    /// The name as users write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Cuda => "cuda",
            Self::Vulkan => "vulkan",
            Self::Wgpu => "wgpu",
            Self::Metal => "metal",
        }
    }

    /// Whether it computes on the CPU, where a batch is shared between worker threads.
    pub fn is_cpu(self) -> bool {
        matches!(self, Self::Flex | Self::Ndarray)
    }

    /// A description for users.
    pub fn remark(self) -> &'static str {
        match self {
            Self::Flex => "CPU, the default, with fused operations",
            Self::Ndarray => "CPU, for comparison; slower, and deprecated by Burn",
            Self::Cuda => "NVIDIA GPU 0",
            Self::Vulkan | Self::Wgpu | Self::Metal => "the default GPU",
        }
    }

    /// What it needs besides being compiled in.
    fn needs(self) -> &'static str {
        match self {
            Self::Flex | Self::Ndarray => "nothing",
            Self::Cuda => "an NVIDIA GPU, its driver (libcuda) and the NVRTC library of the CUDA toolkit",
            Self::Vulkan => "a GPU with a Vulkan driver",
            Self::Wgpu => "a GPU with a Vulkan, Metal or DirectX 12 driver",
            Self::Metal => "an Apple GPU",
        }
    }

    /// Burn's device, if its backend is compiled in.
    fn compiled(self) -> Option<fn() -> Device> {
        match self {
            Self::Flex => Some(Device::flex),
            #[cfg(feature = "ndarray")]
            #[expect(deprecated, reason = "kept for comparison, as long as Burn has it")]
            Self::Ndarray => Some(Device::ndarray),
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(|| Device::cuda(0)),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Some(|| Device::vulkan(Default::default())),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Some(|| Device::wgpu(Default::default())),
            #[cfg(feature = "metal")]
            Self::Metal => Some(|| Device::metal(Default::default())),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }

    /// Checks that it computes matrix products in a precision.
    ///
    /// # Errors
    /// If it does not.
    pub fn check_precision(self, precision: Precision) -> Result<()> {
        if precision == Precision::F32 || self == Self::Flex {
            return Ok(());
        }
        let problem = format!("is `{precision}`, but the device `{}` multiplies matrices in f32", self.as_str());
        Err(Error::input("precision", problem, "set device = \"flex\", or precision = \"f32\""))
    }

    /// Opens the device and computes on it once.
    ///
    /// # Errors
    /// If its backend is not compiled in, or does not work on this machine.
    pub fn open(self) -> Result<Device> {
        let name = self.as_str();
        let place = format!("--device {name}");
        let Some(open) = self.compiled() else {
            return Err(Error::input(
                place,
                format!("this build has no `{name}` backend"),
                format!("build with `cargo build --release --features {name}`; `vitbench devices` lists what is here"),
            ));
        };
        probe(open).map_err(|reason| {
            Error::input(
                place,
                format!("the device does not work here: {reason}"),
                format!("`{name}` needs {}; `--device flex` works everywhere", self.needs()),
            )
        })
    }
}

/// Backends panic if a driver or GPU is missing, often in their own thread, after which the caller's thread panics as well. The
/// first message becomes the error.
fn probe(open: fn() -> Device) -> Result<Device, String> {
    let messages = Arc::new(Mutex::new(Vec::new()));
    let hook = std::panic::take_hook();
    let heard = messages.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let message = panic.payload_as_str().unwrap_or("it gave no reason").to_owned();
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(message);
    }));
    let outcome = std::thread::spawn(move || {
        let device = open();
        let two = Tensor::<1>::from_data([1.0_f32, 1.0], &device)
            .sum()
            .into_data()
            .try_into_vec::<f32>()
            .map_err(|error| error.to_string());
        (device, two)
    })
    .join();
    std::panic::set_hook(hook);
    match outcome {
        Ok((device, Ok(sum))) if sum == [2.0] => Ok(device),
        Ok((_, sum)) => Err(format!("1 + 1 gave {sum:?}")),
        Err(_) => {
            let messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
            // A dash is followed by the dozens of names under which a library was searched for.
            let first = messages.first().and_then(|text| text.lines().next()?.split(" - ").next());
            Err(first.unwrap_or("it gave no reason").to_owned())
        }
    }
}
