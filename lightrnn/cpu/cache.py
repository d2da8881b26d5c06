"""Machine code on disk: one file per entry, read and written wherever possible, never an error.

Numba's own cache needs a directory that can be written to, even to read; lets two processes that
save at once give one name to two entries; sees the age of a kernel's file but no edit in another;
and names closures by their pickled form, which differs from process to process. Here an entry is
named by its kernel, the types that it was compiled for, the processor and Numba's options, and lies
in a directory named by a digest of the kernels' sources, Numba and Python, where no other version
ever looks.

Whoever can write an entry can run code in every process that reads it. So nothing is read, let
alone unpickled, from a directory or a file that anybody but this user and the superuser can change.
"""

import hashlib
import os
import pickle
import stat
import sys
import tempfile
import time
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

from . import host, sources
from .compiling import STOPWATCH

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

_config: Any = numba.config
_PACKAGE = sources.ROOT
_SUFFIX = ".code"
# Options of Numba that change the code; those of the processor are in the name of an entry anyway.
_OPTIONS = (
    "OPT",
    "BOUNDSCHECK",
    "DEBUGINFO_DEFAULT",
    "DEBUG_NRT",
    "DISABLE_INTEL_SVML",
    "ENABLE_AVX",
    "ENABLE_PROFILING",
    "EXTEND_VARIABLE_LIFETIMES",
    "JIT_COVERAGE",
    "LLVM_REFPRUNE_FLAGS",
    "LLVM_REFPRUNE_PASS",
    "LOOP_VECTORIZE",
    "SLP_VECTORIZE",
    "USING_SVML",
)
_SHARED = 0o022  # rights of groups and others to write
_INTERVAL = 0.02  # seconds between two looks for what another process compiles
_LONGEST = 60.0  # seconds that this one waits for it: the other may have been stopped


@cache
def digest() -> str | None:
    """Return a name for the kernels' sources, what compiles them, and the host's registers.

    Without sources, or if they have changed since they were imported, there is none, and nothing is
    read or kept.
    """
    contents = sources.read(_PACKAGE)
    if not contents or not sources.unchanged():
        return None
    versions = f"{sys.implementation.cache_tag} {numba.__version__} {llvmlite.__version__}"
    registers = f"{host.REGISTER_BYTES}x{host.TILE_ROWS}x{host.TILE_VECTORS} {host.HAS_MXCSR}"
    total = hashlib.sha256(f"{versions} {registers}".encode())
    for content in contents:
        total.update(b"%d\n" % len(content) + content)
    return total.hexdigest()[:16]


# -- directories ----------------------------------------------------------------------------------


def places(make: bool = False) -> Iterator[Path]:
    """Yield every directory for this version's entries, best first, whether it may be used or not.

    They are below NUMBA_CACHE_DIR, the package itself, the user's cache, and among the temporary
    files, where there is one or, with `make`, shall be one once all others have failed.
    """
    name = digest()
    if name is None:
        return
    for root in _roots(make):
        with suppress(OSError, RuntimeError):  # a circle of links
            # Links are followed before anything is checked, so that nobody can redirect them after.
            yield root.resolve() / f"lightrnn-{name}"


def _roots(make: bool) -> Iterator[Path]:
    if _config.CACHE_DIR:
        yield Path(_config.CACHE_DIR)
    yield _PACKAGE / "__pycache__"
    home = (
        os.environ.get("XDG_CACHE_HOME")
        or os.environ.get("LOCALAPPDATA")
        or os.path.expanduser("~/.cache")
    )
    if os.path.isabs(home):  # expanduser leaves "~" where there is no home
        yield Path(home) / "lightrnn"
    if hasattr(os, "geteuid"):
        with suppress(OSError):  # there may be no directory for temporary files
            temporary = Path(tempfile.gettempdir()) / f"lightrnn-{os.geteuid()}"
            if make or temporary.is_dir():
                yield temporary


def directories(make: bool = False) -> Iterator[Path]:
    """Yield those of `places` whose content nobody but this user and the superuser can change.

    Parameters
    ----------
    make : bool, default=False
        Whether to make each directory before it is yielded, and leave out those that cannot be
        made; otherwise they need not exist.
    """
    for place in places(make):
        with suppress(OSError):
            if _is_private(place, make):
                yield place


def _is_private(place: Path, make: bool) -> bool:
    """Return whether nobody else can write to a directory, or put another one in its place."""
    for path in (*reversed(place.parents), place):
        try:
            found = path.lstat()
        except FileNotFoundError:
            if not make:
                return True
            with suppress(FileExistsError):  # another process may make it now
                # Python's own directory of the package is for all who may read the sources.
                path.mkdir(0o755 if path.name == "__pycache__" else 0o700)
            found = path.lstat()
        # With the sticky bit, as in /tmp, nobody can rename or remove what is another's.
        sticky = found.st_mode & stat.S_ISVTX and path != place
        if not stat.S_ISDIR(found.st_mode) or not _is_ours(found, 0 if sticky else _SHARED):
            return False
    return True


def _is_ours(found: os.stat_result, shared: int = _SHARED) -> bool:
    """Return whether a file is this user's or the superuser's, and has none of the rights `shared`.

    Without users and modes, as on Windows, that is left to the directories' own protection.
    """
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid in (0, os.geteuid()) and not found.st_mode & shared


def share() -> None:
    """Let all users read the entries, if this one is the superuser: who builds an image, say."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        for directory in directories():
            with suppress(OSError):  # there may be none
                directory.chmod(0o755)


def entries() -> list[Path]:
    """Return the files of all entries that this process could load."""
    return [path for directory in directories() for path in sorted(directory.glob(f"*{_SUFFIX}"))]


def read(name: str) -> bytes | None:
    """Return the first entry of this name whose checksum is right, or None."""
    for directory in directories():
        data = b""
        with suppress(OSError), open(directory / name, "rb", opener=_open) as file:
            if _is_ours(os.fstat(file.fileno())):
                data = file.read()
        if data and hashlib.sha256(data[32:]).digest() == data[:32]:
            return data[32:]
    return None


def _open(path: str, flags: int) -> int:
    """Open what is no link, and is not waited for; a new file is for others to read at most."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0), 0o644)


def write(name: str, data: bytes) -> Path | None:
    """Write an entry to the first directory that takes it; return that directory, or None."""
    for directory in _writable():
        part = directory / f"{name}.{uuid4().hex}.part"
        try:
            with open(part, "xb", opener=_open) as file:
                file.write(hashlib.sha256(data).digest() + data)
            os.replace(part, directory / name)  # in one step: no reader finds half an entry
        except OSError:
            _discard(part)
            continue
        return directory
    return None


def _writable() -> Iterator[Path]:
    """Yield the directories to which something may be written, if anything may be kept."""
    if sources.unchanged():
        yield from directories(make=True)


def _discard(part: Path) -> None:
    """Remove what a failed write left, if anything."""
    with suppress(OSError):
        part.unlink(missing_ok=True)


# -- processes that start at once ------------------------------------------------------------------


class Claim:
    """A right that one process, or one of its threads, has at a time: to compile an entry, say.

    It is the lock of a file beside the entries, which the system releases when its process ends,
    however that happens. Where there are no such locks everybody has it.

    Parameters
    ----------
    name : str
        Of the entry.
    """

    def __init__(self, name: str) -> None:
        self._name = f"{name}.lock"
        self._file: Any = None
        self.directory: Path | None = None  # where the entry can be written, once this was taken

    def take(self) -> bool:
        """Take it; return False if another one has it."""
        for directory in _writable():
            try:
                file = open(directory / self._name, "ab", opener=_open)
            except OSError:
                continue
            try:
                if fcntl:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            except OSError:  # the file system has no locks
                pass
            self._file = file
            self.directory = directory
            break
        return True

    def release(self) -> None:
        """Let another one have it, if this one has."""
        if self._file is not None:
            self._file.close()
            _discard(Path(self._file.name))
            self._file = None

    def __del__(self) -> None:
        """Release it if an error kept its owner from doing so."""
        self.release()


def await_entry(name: str, claim: Claim) -> bytes | None:
    """Return an entry that another process compiles; otherwise take the claim and return None."""
    end = time.monotonic() + _LONGEST
    STOPWATCH.start()
    try:
        while not claim.take() and time.monotonic() < end:
            time.sleep(_INTERVAL)
        return read(name)  # whoever had the claim has written it, if it could
    finally:
        STOPWATCH.stop()


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

    # Functions that kernels call by a name, and how to compile or load each.
    linked: dict[str, Callable[[], None]] = {}  # noqa: RUF012 - of the whole process
    log: list[Entry] = []  # noqa: RUF012 - of the whole process
    helper: Any = None  # of the whole process, too: see `ahead.py`
    _known: dict[str, Callable[..., Any]] = {}  # noqa: RUF012 - also of the whole process

    def __init__(self, function: Callable[..., Any]) -> None:
        self.kernel = f"{function.__module__.removeprefix('lightrnn.')}.{function.__qualname__}"
        self._claim = Claim(self.kernel)
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
        name = self._name(signature, target.codegen())
        data = read(name) or self._awaited(name, str(signature))
        if data is None:
            return None
        try:
            symbols, reduced = pickle.loads(data)
            for symbol in symbols:
                self.linked[symbol]()
            result = CompileResult._rebuild(target, *reduced)
        except Exception:  # whatever another build of Numba or LLVM raises: compile again
            return None
        self.log.append(Entry(self.kernel, str(signature), False, None))
        return result

    def _awaited(self, name: str, types: str) -> bytes | None:
        """Return an entry that another process compiles, or None: then this one shall do it."""
        claim = Claim(name)
        data = await_entry(name, claim)
        if data is None and self.helper is not None and self.helper.compiles(self.kernel, types):
            claim.release()  # to the helper
            data = self.helper.entry(self.kernel, types, name)
        if data is None:
            self._claim = claim  # until the entry is saved
        else:
            claim.release()
        return data

    def save_overload(self, signature: Any, result: Any) -> None:
        """Write what was compiled, unless it depends on this process."""
        directory = None
        if not result.lifted and not result.library.has_dynamic_globals:
            functions = result.library._final_module.functions
            symbols = [found.name for found in functions if found.name in self.linked]
            content = symbols, result._reduce()
            directory = write(self._name(signature, result.codegen), dumps(content))
        self._claim.release()
        self.log.append(Entry(self.kernel, str(signature), True, directory))

    def _name(self, signature: Any, codegen: Any) -> str:
        """Return the file name of the entry for some types on this processor."""
        options = [getattr(_config, option, None) for option in _OPTIONS]
        key = f"{signature} {codegen.magic_tuple()} {options}"
        return f"{self.kernel}-{hashlib.sha256(key.encode()).hexdigest()[:20]}{_SUFFIX}"
