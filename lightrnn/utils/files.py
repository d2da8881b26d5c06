"""Reading and replacing files: regular ones only, and whole or not at all.

Everything that the package writes for its users goes through `replacing`.
"""

import errno
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO
from uuid import uuid4

from .checks import shown

if sys.platform != "win32":
    import fcntl

StrPath = str | os.PathLike[str]

# A short name, since that of the file may already be as long as the file system allows.
_PART = ".lightrnn-{}.part"
_PARTS = re.compile(_PART.replace(".", r"\.").format("[0-9a-f]{32}"))


def is_path(value: object) -> bool:
    """Return whether a value is the name of a file, as text, bytes or an object that has one."""
    return isinstance(value, str | bytes | os.PathLike)


def path_text(path: StrPath, name: str = "path") -> str:
    """Return the name of a file as text, whatever it was given as.

    Parameters
    ----------
    path : str, bytes or path-like
        The file.
    name : str, default="path"
        Name of the argument.

    Raises
    ------
    TypeError
        If it is anything else, such as the number of an open file.
    ValueError
        If it cannot be a name, since it holds a zero.

    Examples
    --------
    >>> path_text(b"model.npz")
    'model.npz'
    """
    if not is_path(path):
        raise TypeError(
            f"{name} must be str, bytes or path-like, got {shown(path)}. Give the name of a file."
        )
    text = os.fsdecode(path)
    if "\0" in text:
        raise ValueError(
            f"{name} must be the name of a file, got {shown(path)}, which has a zero in it. "
            "Write the content of a file to one, and give its name."
        )
    return text


def open_regular(path: StrPath) -> BinaryIO:
    """Open a regular file for reading, in binary.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    file
        The open file.

    Raises
    ------
    OSError
        If there is no such file, or it may not be read.
    ValueError
        If it is a device, a pipe or a socket, which may never end.
    """
    text = path_text(path)
    file = open(text, "rb", opener=_open_at_once)
    try:
        _check_regular(text, os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe is opened without waiting for its other end."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular(path: str, status: os.stat_result) -> None:
    """Raise an error unless the file is a regular one."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(
            f"path must be a regular file, got {path!r}, a device, pipe or socket. "
            "Give the name of a file."
        )


@contextmanager
def replacing(path: StrPath) -> Iterator[BinaryIO]:
    """Write a file that takes the place of `path` when the block ends without an exception.

    Until then, and after an exception, a full disk or a crash, `path` is what it was before. A link
    stays one: what it points to is replaced. The new file has the permissions of the old one, and
    its owner as far as this process may set it; if there was none, it has those of any new file.
    While it is written nobody else can read it.

    Parameters
    ----------
    path : str or path-like
        The file.

    Yields
    ------
    file
        An open file to write to, in binary.

    Raises
    ------
    OSError
        If the folder does not exist or the file may not be written; the error names it.
    ValueError
        If `path` is a device, a pipe or a socket.

    Examples
    --------
    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "notes")
    >>> with replacing(path) as file:
    ...     count = file.write(b"all of it")
    >>> with open(path) as file:
    ...     file.read()
    'all of it'
    """
    target = os.path.realpath(path_text(path))
    folder = os.path.dirname(target)
    old = _status(target)
    with _naming(folder):
        _remove_abandoned(folder)
        mode = 0o600 if old else _usual_mode(folder)
        part, file = _create(folder)
    try:
        with file:
            yield file
            file.flush()
            _set_rights(file, mode, old)
            # Otherwise a power cut may keep the new name but lose the content.
            os.fsync(file.fileno())
            # Windows renames no open file; elsewhere it stays open, and thereby locked.
            if sys.platform == "win32":
                file.close()
            with _naming(target):
                os.replace(part, target)
    except OSError as error:  # of a full disk, which names no file
        error.filename = error.filename or target
        raise
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)


def _status(target: str) -> os.stat_result | None:
    """Return the status of the file to be replaced, or None if there is none."""
    try:
        status = os.stat(target)
    except FileNotFoundError:
        return None
    _check_regular(target, status)
    # A rename would replace a file that its owner has protected.
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), target)
    return status


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Let an OSError name a path that the user knows, not that of the unfinished file."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _create(folder: str) -> tuple[str, BinaryIO]:
    """Return the path of a new file that only we may read, and the file, open and locked."""
    while True:
        part = os.path.join(folder, _PART.format(uuid4().hex))
        file = open(part, "xb", opener=lambda path, flags: os.open(path, flags, 0o600))
        if sys.platform != "win32":
            with suppress(OSError):  # a file system without locks; then no one removes the file
                fcntl.flock(file, fcntl.LOCK_EX)
        # Another process may have taken it for abandoned before it was locked.
        if os.path.exists(part):
            return part, file
        file.close()


def _remove_abandoned(folder: str) -> None:
    """Remove the unfinished files of processes that were killed: those that are not locked."""
    names: list[str] = []
    with suppress(OSError):  # a folder that may be written but not listed
        names = os.listdir(folder)
    for name in filter(_PARTS.fullmatch, names):
        part = os.path.join(folder, name)
        # Windows removes no open file, elsewhere the lock says whether a process still writes it.
        with suppress(OSError):
            if sys.platform == "win32":
                os.unlink(part)
            else:
                with open(part, "rb", opener=_open_at_once) as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(part)


def _usual_mode(folder: str) -> int:
    """Return the permissions of a new file in a folder."""
    # The umask cannot be read without setting it, for all threads at once.
    probe = os.path.join(folder, _PART.format(uuid4().hex))
    with open(probe, "xb") as file:
        mode = os.fstat(file.fileno()).st_mode
    with suppress(FileNotFoundError):  # another process may have taken it for abandoned
        os.unlink(probe)
    return stat.S_IMODE(mode)


def _set_rights(file: BinaryIO, mode: int, old: os.stat_result | None) -> None:
    """Give a file its permissions, and the owner and group of the old one as far as we may."""
    if sys.platform == "win32":
        return
    if old is not None:
        mode = old.st_mode & 0o777
        try:
            os.fchown(file.fileno(), -1, old.st_gid)
        except OSError:
            # The rights of the old file's group are not for another one, which has those of all.
            mode = mode & 0o707 | (mode & 0o007) << 3
        with suppress(OSError):
            os.fchown(file.fileno(), old.st_uid, -1)
    os.fchmod(file.fileno(), mode)
