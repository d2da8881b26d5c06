"""How kernels are compiled: the options, each for a reason, and where the machine code is kept.

- ``nogil``: shards of a batch run on threads.
- ``error_model="numpy"``: the check for a zero divisor blocks vectorisation.
- no ``fastmath``: it lets bits depend on context, and deletes NaN checks.
- ``cache``: on disk, in a directory named by a digest of this package's sources and the register width, because Numba
  sees an edit only in the file of the kernel itself and would go on using machine code made from an older rule.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

import numba
from numba import njit
from numba.extending import register_jitable

from . import host

_config: Any = numba.config
_PACKAGE = Path(__file__).resolve().parent.parent
_lock = RLock()
Function = TypeVar("Function", bound=Callable[..., Any])


@cache
def digest() -> str:
    """Name of this version of the sources on this kind of register."""
    total = hashlib.sha256(f"{host.REGISTER_BYTES}x{host.TILE_VECTORS} {host.HAS_MXCSR}".encode())
    for path in sorted(_PACKAGE.rglob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def _candidates() -> Iterator[Path]:
    """Places for machine code, best first."""
    if _config.CACHE_DIR:
        yield Path(_config.CACHE_DIR)
    yield _PACKAGE / "__pycache__"
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/.cache")
    yield Path(home) / "lightrnn"


@cache
def cache_directory() -> Path | None:
    """Return the first place that can be written to; None, and every process compiles anew, where there is none."""
    for place in _candidates():
        directory = place / f"lightrnn-{digest()}"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=directory).close()
        except OSError:
            continue
        return directory
    return None


@contextmanager
def _numba_cache(directory: Path | None) -> Iterator[None]:
    """Let Numba's locator see `directory` while a kernel is declared, no longer: users have kernels of their own."""
    with _lock:
        before = _config.CACHE_DIR
        _config.CACHE_DIR = before if directory is None else str(directory)
        try:
            yield
        finally:
            _config.CACHE_DIR = before


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile `function` when it is first called, for the types it is called with."""
    directory = cache_directory()
    with _numba_cache(directory):
        return njit(nogil=True, error_model="numpy", cache=directory is not None)(function)


def named(name: str) -> Callable[[Function], Function]:
    """Name one of several functions that a factory makes from the same source.

    In machine code Numba tells functions of one name and type apart by a count of its process alone: kernels cached by
    two processes and loaded by a third would call each other's.
    """

    def rename(function: Function) -> Function:
        function.__name__ = function.__qualname__ = name
        return function

    return rename


__all__ = ["cache_directory", "digest", "kernel", "named", "register_jitable"]
