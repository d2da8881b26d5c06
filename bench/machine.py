"""Where and when the tables were measured."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .peers import CPUS

BUSY = 0.7  # running processes, this one not counted
PACKAGES = ("numpy", "numba", "scipy", "torch", "scikit-learn")


def describe() -> str:
    """Return the processor, the versions and the date as one paragraph."""
    import lightrnn
    from lightrnn.cpu import host

    packages = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return (
        f"{_processor()}, {CPUS} CPUs usable, registers of {host.REGISTER_BYTES} bytes; {platform.system()} "
        f"{platform.release()}; Python {platform.python_version()}, lightrnn {lightrnn.__version__}, {packages}; "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {load()}\n"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def load() -> str:
    """Say whether others compete for the processors: then no figure means anything, least of all on two threads."""
    if not hasattr(os, "getloadavg"):
        return "Load unknown."
    average = os.getloadavg()[0]
    warning = " THE MACHINE IS BUSY WITH OTHER WORK: THE FIGURES ARE NOT VALID." if average > BUSY else ""
    return f"Load before the first table {average:.1f}.{warning}"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
