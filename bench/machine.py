"""The machine on which the tables were measured, its versions and the date."""

import math
import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .peers import CPUS

BUSY = 0.7  # running processes, without this one
PATIENCE = 180  # seconds to wait: the load average still counts processes that ended a minute ago
PACKAGES = ("numpy", "numba", "scipy", "torch", "scikit-learn", "jax", "keras")


def describe(patience: float = PATIENCE) -> str:
    """Return processor, versions and date as one paragraph; wait a while if the machine is busy."""
    import lightrnn
    from lightrnn.cpu import host

    end = time.monotonic() + patience
    while _average() > BUSY and time.monotonic() < end:
        time.sleep(1)
    packages = ", ".join(f"{name} {found}" for name in PACKAGES if (found := _version(name)))
    return (
        f"{_processor()}, {CPUS} CPUs usable, registers of {host.REGISTER_BYTES} bytes; "
        f"{platform.system()} {platform.release()}; Python {platform.python_version()}, "
        f"lightrnn {lightrnn.__version__}, {packages}; "
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {load()}\n"
    )


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def _average() -> float:
    """Return the load average of the last minute; NaN where the system has none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else math.nan


def load() -> str:
    """Return the load as a sentence, with a warning if other processes make the figures invalid."""
    average = _average()
    if math.isnan(average):
        return "Load unknown."
    warning = (
        " THE MACHINE IS BUSY WITH OTHER WORK: THE FIGURES ARE NOT VALID." if average > BUSY else ""
    )
    return f"Load before the first table {average:.1f}.{warning}"


def _version(name: str) -> str:
    """Return the version of a package; nothing if it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
