"""Machine code on disk: one file per entry, read and written wherever possible, never an error.

Numba's own cache needs a directory that can be written to, even to read; lets two processes that
save at once give one name to two entries; sees the age of a kernel's file but no edit in another;
and names closures by their pickled form, which differs from process to process. Here an entry is
named by its kernel, the types that it was compiled for and the processor, and lies in a directory
named by a digest of the kernels' sources, Numba and Python, where no other version ever looks.
"""

import hashlib
import os
import pickle
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import llvmlite
import numba
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from . import host

_config: Any = numba.config
_PACKAGE = Path(__file__).resolve().parent.parent
_SUFFIX = ".code"
# All sources that kernels are compiled from: imports run downward, so no kernel depends on others.
_COMPILED = ("cells.py", "elementwise.py", "losses.py", "updates.py", "cpu/*.py", "cuda/**/*.py")


@cache
def digest() -> str:
    """Return a name for the kernels' sources, what compiles them, and the host's registers."""
    versions = f"{sys.implementation.cache_tag} {numba.__version__} {llvmlite.__version__}"
    registers = f"{host.REGISTER_BYTES}x{host.TILE_VECTORS} {host.HAS_MXCSR}"
    total = hashlib.sha256(f"{versions} {registers}".encode())
    for pattern in _COMPILED:
        for path in sorted(_PACKAGE.glob(pattern)):
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


# -- directories ----------------------------------------------------------------------------------


def directories(make: bool = False) -> Iterator[Path]:
    """Yield the directories for this version's entries, best first, whether they exist or not.

    Parameters
    ----------
    make : bool, default=False
        Whether to make the last one, among the temporary files, once all others have failed.
    """
    if _config.CACHE_DIR:
        yield _below(Path(_config.CACHE_DIR))
    yield _below(_PACKAGE / "__pycache__")
    home = (
        os.environ.get("XDG_CACHE_HOME")
        or os.environ.get("LOCALAPPDATA")
        or os.path.expanduser("~/.cache")
    )
    if os.path.isabs(home):  # expanduser leaves "~" where there is no home
        yield _below(Path(home) / "lightrnn")
    if hasattr(os, "getuid"):
        with suppress(OSError):  # there may be no directory for temporary files
            temporary = Path(tempfile.gettempdir()) / f"lightrnn-{os.getuid()}"
            if _is_mine(temporary, make):
                yield _below(temporary)


def _below(root: Path) -> Path:
    return root / f"lightrnn-{digest()}"


def _is_mine(directory: Path, make: bool) -> bool:
    """Return whether no other user can write to a directory: code found there is executed."""
    try:
        if make:
            directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def entries() -> list[Path]:
    """Return the files of all entries that this process could load."""
    return [path for directory in directories() for path in sorted(directory.glob(f"*{_SUFFIX}"))]


def read(name: str) -> bytes | None:
    """Return the first entry of this name whose checksum is right, or None."""
    for directory in directories():
        try:
            data = (directory / name).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data[32:]).digest() == data[:32]:
            return data[32:]
    return None


def write(name: str, data: bytes) -> Path | None:
    """Write an entry to the first directory that takes it; return that directory, or None."""
    for directory in directories(make=True):
        part = directory / f"{name}.{uuid4().hex}.part"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            part.write_bytes(hashlib.sha256(data).digest() + data)
            os.replace(part, directory / name)  # in one step: no reader finds half an entry
        except OSError:
            _discard(part)
            continue
        return directory
    return None


def _discard(part: Path) -> None:
    """Remove what a failed write left, if anything."""
    with suppress(OSError):
        part.unlink(missing_ok=True)


# -- the interface of Numba's dispatchers ---------------------------------------------------------


class Entry(NamedTuple):
    """A kernel that this process compiled, or loaded, for some types."""

    kernel: str
    types: str
    compiled: bool
    directory: Path | None  # where it was written, if it was compiled and could be


class KernelCache:
    """The entries of one kernel, which Numba's dispatcher loads and saves.

    Parameters
    ----------
    function : callable
        The kernel; no other may have its module and name.
    """

    log: list[Entry] = []  # noqa: RUF012 - of the whole process
    _known: dict[str, Callable[..., Any]] = {}  # noqa: RUF012 - also of the whole process

    def __init__(self, function: Callable[..., Any]) -> None:
        self.kernel = f"{function.__module__.removeprefix('lightrnn.')}.{function.__qualname__}"
        if self._known.setdefault(self.kernel, function) is not function:
            raise RuntimeError(
                f"{self.kernel} must be the name of one kernel, got two. "
                "One would be given the code of the other."
            )

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return what was compiled for these types, or None.

        Machine code needs Numba's runtime alone. Its registries, which `target.refresh` loads
        together with SciPy's linear algebra, take 0.3 s, which only a compilation should cost.
        """
        rtsys.initialize(target)
        data = read(self._name(signature, target.codegen()))
        if data is None:
            return None
        try:
            result = CompileResult._rebuild(target, *pickle.loads(data))
        except Exception:  # whatever another build of Numba or LLVM raises: compile again
            return None
        self.log.append(Entry(self.kernel, str(signature), False, None))
        return result

    def save_overload(self, signature: Any, result: Any) -> None:
        """Write what was compiled, unless it depends on this process."""
        directory = None
        if not result.lifted and not result.library.has_dynamic_globals:
            directory = write(self._name(signature, result.codegen), dumps(result._reduce()))
        self.log.append(Entry(self.kernel, str(signature), True, directory))

    def _name(self, signature: Any, codegen: Any) -> str:
        """Return the file name of the entry for some types on this processor."""
        key = hashlib.sha256(f"{signature} {codegen.magic_tuple()}".encode()).hexdigest()
        return f"{self.kernel}-{key[:20]}{_SUFFIX}"
