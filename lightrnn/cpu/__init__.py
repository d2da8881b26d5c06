"""The engine for CPUs, compiled by Numba, which is imported when a network is first built."""

from types import ModuleType

# Read the sources as they are when the package is imported, and let forks wait from then on.
from . import once, sources  # noqa: F401

_MODULES = (
    "ahead",
    "cache",
    "calls",
    "compiling",
    "forecast_step",
    "gather",
    "host",
    "jacobian",
    "losses",
    "matmul",
    "orthogonal",
    "pooling",
    "recurrence",
    "sampling",
    "series",
    "single_step",
    "softmax",
    "threads",
    "updates",
)


def __getattr__(name: str) -> ModuleType:
    """Import a submodule at its first use."""
    if name in _MODULES:
        module: ModuleType = once.imported(f"{__name__}.{name}")  # the first time Numba's, too
        return module
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
