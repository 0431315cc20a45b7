"""What machine.json says: on what, with what and how the samples were taken. No host names and no paths."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from config import UserError

PACKAGES = ("torch", "transformers", "linformer", "numpy", "onnx", "onnxscript", "onnxruntime", "openvino")


def record(version, settings):
    """The record, with vitbench's version. Samples of different records are not comparable."""
    return {
        "schema": 1,
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "kernel": f"{platform.system()} {platform.release()}",
        "versions": {"vitbench": version, "python": platform.python_version(), **packages()},
        # torch.compile compiles with it.
        "compiler": compiler(),
        **settings,
    }


def cpu():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def packages():
    """The versions of what the peers need."""
    versions, missing = {}, []
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        help = "`pip install -r requirements.txt` installs them; see README.md"
        raise UserError(f"these packages are not installed: {', '.join(missing)}\n  help: {help}")
    return versions


def compiler():
    path = shutil.which(os.environ.get("CXX", "g++"))
    if path is None:
        raise UserError("torch.compile needs a C++ compiler, and there is no g++\n  help: install it, or set CXX")
    output = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return output.splitlines()[0]
