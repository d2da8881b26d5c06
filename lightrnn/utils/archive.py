"""Save a tree of plain values and arrays in one file: an .npz whose member ``header`` is JSON.

`write` takes a dict of dicts, lists, tuples, numbers, strings, bytes, None, NumPy arrays, scalars
and random generators, to any depth; `read` returns the same tree, bit for bit and type for type.
Arrays are stored under their path in the tree, so that ``numpy.load`` alone can look at them.
Nothing is ever pickled, so reading a file runs no code of its writer.

A damaged or hostile file is refused, and never takes more memory than a small multiple of its size:
nothing is compressed, the size of every array is compared with the number of its bytes before
memory is allocated, an array has one place in the tree, and the checksums of the zip cover the
header and every array. This module knows no estimator.
"""

import json
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from .._version import __version__
from .checks import shown
from .files import StrPath, open_regular, replacing
from .limits import check_brackets, check_content, check_hashes

Arrays = dict[str, np.ndarray]  # by name, without .npy

FORMAT = "lightrnn"
# 2 came when what is standardised, patched or predicted by quantiles gave the tree new fields, of
# which earlier versions know nothing; files of version 1 are read as ever.
VERSION = 2
# The bit generators of NumPy, each with the last position in its buffer, which NumPy does not check
# when a state is set.
_POSITIONS = {"MT19937": 624, "PCG64": 0, "PCG64DXSM": 0, "Philox": 4, "SFC64": 0}
_PLAIN = (bool, int, float, str, type(None))
_KINDS = "biufcmMSU"  # kinds of dtypes that are stored as arrays
# The header of the .npy format, versions 1 and 2. NumPy's own reader would evaluate it as Python.
# The lengths are limited because a product of long numbers takes long.
_NPY = re.compile(
    rb"\x93NUMPY(?:\x01\x00..|\x02\x00....)"
    rb"\{'descr': '([<>|][a-zA-Z]\d{1,10}(?:\[\w{1,30}\])?)', "
    rb"'fortran_order': (True|False), 'shape': \(([\d, ]{0,999})\), \} *\n",
    re.DOTALL,
)
# Errors that zipfile, json, and code that trusts what they return raise on a damaged file.
DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


def write(
    path: StrPath,
    content: dict[str, Any],
    check: Callable[[dict[str, Any]], object] | None = None,
) -> None:
    """Write a tree of values to one file, which is replaced only when all has been written.

    Parameters
    ----------
    path : str or path-like
        The file, used as it is: no suffix is added.
    content : dict
        The tree: keys are str, int, float, bytes, bool, None or tuples of those, values those that
        the module's docstring lists.
    check : callable, optional
        Called with the tree that `read` will return; if it raises an error, nothing is written.

    Raises
    ------
    TypeError
        If a value is of another kind, for example a function. The message gives its path in the
        tree; the file is then untouched.
    OSError, ValueError
        If the file cannot be written, or is none: see `files.replacing`.

    Examples
    --------
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "tree.npz")
    >>> write(path, {"name": "small", "sizes": (3, 4), "W": np.eye(2)})
    >>> read(path)["sizes"]
    (3, 4)
    """
    packer = _Packer()
    header = {
        "format": FORMAT,
        "version": VERSION,
        "library": __version__,
        "content": packer.pack(content, ""),
    }
    text = json.dumps(header).encode()
    check_brackets(text, len(text) + sum(values.nbytes for values in packer.arrays.values()))
    if check is not None:
        check(_content(json.loads(text), dict(packer.arrays)))
    members = {"header": np.frombuffer(text, np.uint8), **packer.arrays}
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, values in members.items():
            _write_member(archive, name, values)


def read(path: StrPath) -> dict[str, Any]:
    """Read back what `write` wrote.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    dict
        The tree; its arrays are new and writable.

    Raises
    ------
    OSError
        If there is no such file, or it may not be read.
    ValueError
        If the file is no regular file, no archive of this format, is damaged, or was written by a
        later version of the format.
    """
    with open_regular(path) as file:
        try:
            archive = _open(file)
            text = _member(archive, "header").tobytes()
            check_brackets(text, os.fstat(file.fileno()).st_size)
            header = json.loads(text)
            version, library = header["version"], header.get("library")
            if header["format"] != FORMAT or type(version) is not int or version < 1:
                raise ValueError("another format")
            content = _content(header, _arrays(archive)) if version <= VERSION else {}
        except DAMAGE as error:
            damaged = "is damaged or of another format"
            reason = "takes more memory than is left" if isinstance(error, MemoryError) else damaged
            raise ValueError(
                f"path must be a file written by save, got {os.fspath(path)!r}. It {reason}."
            ) from error
    if version > VERSION:
        raise ValueError(
            f"path must be a file in format {VERSION} or earlier, got {os.fspath(path)!r} in "
            f"format {version}, written by a newer lightrnn, {shown(library)}. "
            f"Upgrade this one, {__version__}: python -m pip install --upgrade lightrnn."
        )
    return content


def can_hold(value: Any) -> bool:
    """Whether an archive can hold a value, and gives back an equal one.

    Examples
    --------
    >>> can_hold((64, 32)), can_hold(range(3))
    (True, False)
    """
    try:
        _Packer().pack(value, "value")
    except TypeError:
        return False
    return True


def _write_member(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    """Store one array."""
    # A ZipInfo made here has a fixed date, so that equal trees make equal files.
    info = zipfile.ZipInfo(f"{name}.npy")
    with archive.open(info, "w", force_zip64=True) as member:
        np.lib.format.write_array(member, values, allow_pickle=False)


def _open(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip; refuse members that are larger than the file or that hide another."""
    archive = zipfile.ZipFile(file)
    check_members(archive, file.seek(0, os.SEEK_END))
    if len(set(archive.namelist())) < len(archive.namelist()):
        raise ValueError("two members of one name")
    return archive


def check_members(archive: zipfile.ZipFile, size: int) -> None:
    """Check that an archive's members are stored as they are, side by side, in a file of this size.

    Reading them then takes no more memory than the file has bytes.

    Raises
    ------
    ValueError
        If a member is compressed, or all together are larger than the file.
    """
    members = archive.infolist()
    if any(
        member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size
        for member in members
    ):
        raise ValueError("compressed members, which are not written by save, torch or Keras")
    if sum(member.file_size for member in members) > size:
        raise ValueError("members larger than the file")


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read one array."""
    data = archive.read(f"{name}.npy")  # zipfile compares the checksum
    found = _NPY.match(data)
    if found is None:
        raise ValueError(f"{name} is no array")
    kind, order, axes = (text.decode() for text in found.groups())
    dtype = np.dtype(kind)
    shape = tuple(map(int, axes.replace(",", " ").split()))
    start = found.end()
    size = math.prod(shape)
    if dtype.kind not in _KINDS or size * dtype.itemsize != len(data) - start:
        raise ValueError(f"{name} does not have the size that its header gives")
    check_content(shape, len(data) - start)
    values = np.ndarray(shape, dtype, data, start, order="F" if order == "True" else "C")
    return values.copy(order="K")  # the bytes themselves are read-only


def _arrays(archive: zipfile.ZipFile) -> Arrays:
    """Return all arrays of an archive but the header."""
    names = [member.filename.removesuffix(".npy") for member in archive.infolist()]
    return {name: _member(archive, name) for name in names if name != "header"}


def _content(header: dict[str, Any], arrays: Arrays) -> dict[str, Any]:
    """Return the tree of the header with the arrays in their places."""
    content = _unpack(header["content"], arrays)
    if not isinstance(content, dict):
        raise ValueError("no tree")
    return content


class _Packer:
    """Turns a tree into one that JSON can hold, and collects its arrays by their paths."""

    def __init__(self) -> None:
        self.arrays: Arrays = {}

    def pack(self, value: Any, where: str) -> Any:
        """Return the JSON form of `value`; `where` is its path in the tree."""
        # By exact type: a subclass would be read back as its base.
        if type(value) in _PLAIN:
            return value
        if isinstance(value, dict):
            return self._dict(value, where)
        if isinstance(value, list):
            return self._items(value, where)
        if isinstance(value, tuple):
            return {"!tuple": self._items(value, where)}
        if type(value) is bytes:
            return {"!bytes": value.decode("latin-1")}
        if isinstance(value, np.ndarray | np.generic):
            if value.dtype.hasobject or value.dtype.kind in _KINDS:
                return self._array(np.asarray(value), where)
        if isinstance(value, np.random.Generator):
            return {"!generator": self.pack(value.bit_generator.state, where)}
        if isinstance(value, np.random.RandomState):
            return {"!random_state": self.pack(value.get_state(legacy=False), where)}
        raise TypeError(
            f"{where} must be a number, a string, an array or a collection of those to be saved, "
            f"got {value!r}. Give the estimator's argument another value."
        )

    def _items(self, values: list[Any] | tuple[Any, ...], where: str) -> list[Any]:
        """Return the items of a list or tuple, packed."""
        return [self.pack(value, f"{where}/{index}") for index, value in enumerate(values)]

    def _dict(self, values: dict[Any, Any], where: str) -> Any:
        """Return a dict as it is if JSON can hold its keys, else as a list of pairs."""
        if all(type(key) is str and not key.startswith("!") for key in values):
            return {key: self.pack(value, f"{where}/{key}") for key, value in values.items()}
        return {"!dict": [self._items(pair, where) for pair in values.items()]}

    def _array(self, values: np.ndarray, where: str) -> Any:
        """Put an array aside and return a reference to it; objects stay in the tree."""
        check_content(values.shape, values.nbytes)
        if values.dtype.hasobject:
            return {"!object": [list(values.shape), self._items(values.ravel().tolist(), where)]}
        # Only what any zip tool takes for a name; two paths may then coincide.
        name = re.sub(r"[^\w./-]|\.\.", "_", where.strip("/"))
        while name in self.arrays or name in ("", "header"):
            name += "_"
        self.arrays[name] = values
        return {"!array": name}


def _unpack(value: Any, arrays: Arrays) -> Any:
    """Undo `_Packer.pack`, in place where that is possible."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            value[index] = _unpack(item, arrays)
        return value
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, held),) = value.items()
        if key in _READERS:
            return _READERS[key](held, arrays)
    for key, item in value.items():
        value[key] = _unpack(item, arrays)
    return value


def _read_array(name: str, arrays: Arrays) -> Any:
    """Return an array, or the scalar that a 0-d array stands for."""
    # Taken out: if two places had one array, a small file could make a large network of it.
    return arrays.pop(name)[()]


def _read_tuple(held: Any, arrays: Arrays) -> tuple[Any, ...]:
    """Return a tuple of items that stand in the header; those of an array would take much more."""
    if type(held) is not list:
        raise ValueError("no list")
    return tuple(_unpack(held, arrays))


def _read_dict(pairs: Any, arrays: Arrays) -> dict[Any, Any]:
    """Return a dict whose keys are of any kind."""
    items = [_read_tuple(pair, arrays) for pair in pairs]
    check_hashes(key for key, _ in items)
    return dict(items)


def _read_object(held: list[Any], arrays: Arrays) -> np.ndarray:
    """Return an array of Python objects."""
    shape, items = held
    check_content(shape, len(items))
    # Made empty first: NumPy would turn lists of equal length into further axes.
    values = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        values[index] = _unpack(item, arrays)
    return values.reshape(shape)


def _read_generator(held: Any, arrays: Arrays) -> np.random.Generator:
    """Return a generator that continues where the saved one stopped."""
    state, bits = _random_bits(held, arrays)
    bits.state = state
    return np.random.Generator(bits)


def _read_random_state(held: Any, arrays: Arrays) -> np.random.RandomState:
    """Return a RandomState that continues where the saved one stopped."""
    state, bits = _random_bits(held, arrays)
    generator = np.random.RandomState(bits)
    generator.set_state(state)
    return generator


def _random_bits(held: Any, arrays: Arrays) -> tuple[dict[str, Any], Any]:
    """Return a generator's state, and a new bit generator of its kind.

    A state that would make it read outside its buffer is refused.
    """
    state = _unpack(held, arrays)
    kind = state["bit_generator"]
    if kind not in _POSITIONS:
        raise ValueError(f"unknown generator {kind}")
    positions = {"MT19937": state["state"].get("pos"), "Philox": state.get("buffer_pos")}
    position = positions.get(kind, 0)
    if not 0 <= position <= _POSITIONS[kind]:
        raise ValueError(f"{position} is no position in the buffer of {kind}")
    return state, getattr(np.random, kind)()


_READERS: dict[str, Callable[[Any, Arrays], Any]] = {
    "!array": _read_array,
    "!object": _read_object,
    "!generator": _read_generator,
    "!random_state": _read_random_state,
    "!tuple": _read_tuple,
    "!bytes": lambda held, arrays: held.encode("latin-1"),
    "!dict": _read_dict,
}
