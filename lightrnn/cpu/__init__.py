"""The engine for CPUs, compiled by Numba, which is imported when a network is first built."""

from importlib import import_module
from types import ModuleType

from . import sources  # noqa: F401 - reads the sources as they are when the package is imported

_MODULES = (
    "compiling",
    "gather",
    "host",
    "jacobian",
    "matmul",
    "once",
    "recurrence",
    "sampling",
    "single_step",
    "softmax",
    "threads",
    "updates",
)


def __getattr__(name: str) -> ModuleType:
    """Import a submodule at its first use."""
    if name in _MODULES:
        from .once import MAKING

        with MAKING:  # the first time Numba is imported, which takes a while
            return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
