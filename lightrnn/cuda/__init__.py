"""The compiled side for NVIDIA GPUs, and the only place that imports numba.cuda.

Nothing here is imported before a GPU is asked for.
"""

from importlib import import_module
from types import ModuleType

_MODULES = ("driver", "network")


def __getattr__(name: str) -> ModuleType:
    """Import a submodule when it is first named."""
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
