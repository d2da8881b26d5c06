"""Machine code on disk: one file an entry, wherever it can be read or written, and never a reason to fail.

Numba's own cache asks for a directory that can be written to, though it only reads; lets two processes that save at
once give one name to two entries; knows the age of a kernel's file but no edit in another; and names closures by their
pickled form, which is another in every process. Here an entry is named by its kernel, the types it was compiled for and
the processor, and lies in a directory named by a digest of the kernels' sources, Numba and Python: no other version
ever looks there.
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
# All sources that kernels are made of: imports run downward, so that no kernel knows a file of another package.
_COMPILED = ("cells.py", "elementwise.py", "losses.py", "updates.py", "cpu/*.py", "cuda/**/*.py")


@cache
def digest() -> str:
    """Name this version of the kernels' sources, what compiles them, and this kind of register."""
    versions = f"{sys.implementation.cache_tag} {numba.__version__} {llvmlite.__version__}"
    total = hashlib.sha256(
        f"{versions} {host.REGISTER_BYTES}x{host.TILE_VECTORS} {host.HAS_MXCSR}".encode()
    )
    for pattern in _COMPILED:
        for path in sorted(_PACKAGE.glob(pattern)):
            total.update(path.read_bytes())
    return total.hexdigest()[:16]


# -- directories ------------------------------------------------------------------------------------------------------


def directories(make: bool = False) -> Iterator[Path]:
    """Yield the directories of this version's entries, best first, whether they exist or can be written to or not.

    With `make` the one for temporary files is made, which is done last, when all others have failed.
    """
    if _config.CACHE_DIR:
        yield _below(Path(_config.CACHE_DIR))
    yield _below(_PACKAGE / "__pycache__")
    home = (
        os.environ.get("XDG_CACHE_HOME")
        or os.environ.get("LOCALAPPDATA")
        or os.path.expanduser("~/.cache")
    )
    if os.path.isabs(home):  # "~" stays where there is no home
        yield _below(Path(home) / "lightrnn")
    if hasattr(os, "getuid"):
        with suppress(OSError):  # there may be no place for temporary files either
            temporary = Path(tempfile.gettempdir()) / f"lightrnn-{os.getuid()}"
            if _is_mine(temporary, make):
                yield _below(temporary)


def _below(root: Path) -> Path:
    return root / f"lightrnn-{digest()}"


def _is_mine(directory: Path, make: bool) -> bool:
    """Whether a directory is ours alone: where temporary files are, anybody may have put code under that name."""
    try:
        if make:
            directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


def entries() -> list[Path]:
    """Return the files of all entries that this process can use."""
    return [path for directory in directories() for path in sorted(directory.glob(f"*{_SUFFIX}"))]


def read(name: str) -> bytes | None:
    """Return the first entry of this name that is whole."""
    for directory in directories():
        try:
            data = (directory / name).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data[32:]).digest() == data[:32]:
            return data[32:]
    return None


def write(name: str, data: bytes) -> Path | None:
    """Keep an entry in the first place that takes it; return the place, or None if there is none."""
    for directory in directories(make=True):
        part = directory / f"{name}.{uuid4().hex}.part"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            part.write_bytes(hashlib.sha256(data).digest() + data)
            os.replace(part, directory / name)
        except OSError:
            _discard(part)
            continue
        return directory
    return None


def _discard(part: Path) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)


# -- what Numba asks for ----------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """Something that was compiled, or taken from the cache, in this process."""

    kernel: str
    types: str
    compiled: bool
    directory: Path | None


class KernelCache:
    """The entries of one kernel: what Numba's dispatcher loads from and saves to.

    Parameters
    ----------
    function : callable
        The kernel; its module and name tell it apart from all others.
    """

    log: list[Entry] = []  # noqa: RUF012 - of the whole process
    _known: dict[str, Callable[..., Any]] = {}  # noqa: RUF012

    def __init__(self, function: Callable[..., Any]) -> None:
        self.kernel = f"{function.__module__.removeprefix('lightrnn.')}.{function.__qualname__}"
        if self._known.setdefault(self.kernel, function) is not function:
            raise RuntimeError(
                f"{self.kernel} must be the name of one kernel, got two. They would be given one's code."
            )

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return what was compiled for these types, or None.

        Machine code needs Numba's runtime alone; its registries, which `target.refresh` loads, and SciPy's linear
        algebra with them, take 0.3 s that only a compilation has to pay.
        """
        rtsys.initialize(target)
        data = read(self._name(signature, target.codegen()))
        if data is None:
            return None
        try:
            result = CompileResult._rebuild(target, *pickle.loads(data))
        except Exception:  # whatever another build of Numba or LLVM raises: it is compiled anew
            return None
        self.log.append(Entry(self.kernel, str(signature), False, None))
        return result

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled, if it does not depend on this process."""
        directory = None
        if not result.lifted and not result.library.has_dynamic_globals:
            directory = write(self._name(signature, result.codegen), dumps(result._reduce()))
        self.log.append(Entry(self.kernel, str(signature), True, directory))

    def _name(self, signature: Any, codegen: Any) -> str:
        """Name the entry for some types on this processor."""
        key = hashlib.sha256(f"{signature} {codegen.magic_tuple()}".encode()).hexdigest()
        return f"{self.kernel}-{key[:20]}{_SUFFIX}"
