"""One file for a tree of plain values and arrays: an .npz whose member ``header`` is JSON.

`write` takes a dict of dicts, lists, tuples, numbers, strings, None, NumPy arrays, scalars and
random generators, to any depth; `read` gives the same tree back, bit for bit and type for type. The
arrays lie in the file under their path in the tree, so that ``numpy.load`` alone can look at them.
Nothing is ever pickled, so reading a file runs no code of its writer. Nothing is compressed either,
and every array's size is compared with that of its bytes before there is room for it, so a file
takes no more memory than a small multiple of its size. The checksum of the zip covers the header
and every array: a file that was damaged is refused. This module knows no estimator.
"""

import json
import math
import os
import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import numpy as np

from .._version import __version__
from .checks import shown

FORMAT = "lightrnn"
VERSION = 1
_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
_POSITIONS = {
    "MT19937": 624,
    "Philox": 4,
}  # the last place in the buffer, which NumPy does not check
_PLAIN = (bool, int, float, str, type(None))
_KINDS = "biufcmMSU"  # of dtypes
_NPY = re.compile(
    rb"\x93NUMPY(?:\x01\x00..|\x02\x00....)\{'descr': '([<>|][a-zA-Z]\d+(?:\[\w+\])?)', "
    rb"'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \} *\n",
    re.DOTALL,
)
# What zipfile, json and the readers below raise, as damage will have it.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
)


def write(path: str | os.PathLike[str], content: dict[str, Any]) -> None:
    """Write a tree of values to one file, replacing it only when the whole has been written.

    Parameters
    ----------
    path : str or path-like
        The file, used as it is: no suffix is added.
    content : dict
        Keys are str, int, float, bool or None; values as the module's docstring lists.

    Raises
    ------
    TypeError
        If a value is of another kind, a function for example; its place in the tree is named. The
        file is then untouched.

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
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    target = os.path.realpath(path)
    part = Path(f"{target}.{uuid4().hex}.part")
    try:
        with open(part, "xb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                for name, values in {"header": text, **packer.arrays}.items():
                    _write_member(archive, name, values)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave the new name and not what it names
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
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
        If the file is no archive of this format, is damaged, or was written by a later version of
        the format.
    """
    with open(path, "rb") as file:
        try:
            archive = _open(file)
            header = json.loads(_member(archive, "header").tobytes())
            version, library = header["version"], header.get("library")
            if header["format"] != FORMAT or type(version) is not int or version < 1:
                raise ValueError("another format")
            content = _content(archive, header) if version <= VERSION else {}
        except _DAMAGE as error:
            raise ValueError(
                f"path must be a file written by save, got {os.fspath(path)!r}. It is damaged or of another format."
            ) from error
    if version > VERSION:
        raise ValueError(
            f"{os.fspath(path)!r} must be in format {VERSION} or earlier, got {version}, written by lightrnn "
            f"{shown(library)}. Read it with a later lightrnn than {__version__}."
        )
    return content


def _write_member(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    """Store one array. A ``ZipInfo`` made by hand has a fixed date, so equal trees make equal files."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array(member, values, allow_pickle=False)


def _open(file: BinaryIO) -> zipfile.ZipFile:
    """Open a zip, none of whose members can be larger than the file or hide another."""
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("compressed")
    if sum(member.file_size for member in members) > file.seek(0, os.SEEK_END):
        raise ValueError("members that overlap")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("two members of one name")
    return archive


def _member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Read one array: its bytes, whose checksum zipfile compares, then what they are."""
    data = archive.read(f"{name}.npy")
    found = _NPY.match(data)
    if found is None:
        raise ValueError(f"{name} is no array")
    kind, order, axes = (text.decode() for text in found.groups())
    dtype, shape = np.dtype(kind), tuple(map(int, axes.replace(",", " ").split()))
    if dtype.kind not in _KINDS or math.prod(shape) * dtype.itemsize != len(data) - found.end():
        raise ValueError(f"{name} does not have the size that it says")
    return np.ndarray(shape, dtype, data, found.end(), order="F" if order == "True" else "C").copy(
        order="K"
    )


def _content(archive: zipfile.ZipFile, header: dict[str, Any]) -> dict[str, Any]:
    """Put header and arrays together."""
    names = [member.filename.removesuffix(".npy") for member in archive.infolist()]
    content = _unpack(
        header["content"], {name: _member(archive, name) for name in names if name != "header"}
    )
    if not isinstance(content, dict):
        raise ValueError("no tree")
    return content


class _Packer:
    """Turns a tree into one that JSON can hold, putting the arrays aside under their path."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def pack(self, value: Any, where: str) -> Any:
        """Return the JSON form of `value`; `where` is its path in the tree."""
        if type(value) in _PLAIN:
            return value
        if isinstance(value, dict):
            return self._dict(value, where)
        if isinstance(value, list):
            return self._items(value, where)
        if isinstance(value, tuple):
            return {"!tuple": self._items(value, where)}
        if isinstance(value, np.ndarray | np.generic):
            if value.dtype.hasobject or value.dtype.kind in _KINDS:
                return self._array(np.asarray(value), where)
        if isinstance(value, np.random.Generator):
            return {"!generator": self.pack(value.bit_generator.state, where)}
        if isinstance(value, np.random.RandomState):
            return {"!random_state": self.pack(value.get_state(legacy=False), where)}
        raise TypeError(
            f"{where} must be a number, a string, an array or a collection of those to be saved, got {value!r}. "
            "Give the estimator's argument another value."
        )

    def _items(self, values: list[Any] | tuple[Any, ...], where: str) -> list[Any]:
        return [self.pack(value, f"{where}/{index}") for index, value in enumerate(values)]

    def _dict(self, values: dict[Any, Any], where: str) -> Any:
        if all(type(key) is str and not key.startswith("!") for key in values):
            return {key: self.pack(value, f"{where}/{key}") for key, value in values.items()}
        return {"!dict": [self._items(pair, where) for pair in values.items()]}

    def _array(self, values: np.ndarray, where: str) -> Any:
        if values.dtype.hasobject:
            return {"!object": [list(values.shape), self._items(values.ravel().tolist(), where)]}
        name = re.sub(r"[^\w./-]|\.\.", "_", where.strip("/"))
        while name in self.arrays or name in ("", "header"):
            name += "_"
        self.arrays[name] = values
        return {"!array": name}


def _unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """Undo `_Packer.pack`."""
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((key, held),) = value.items()
        if key in _READERS:
            return _READERS[key](held, arrays)
    return {key: _unpack(item, arrays) for key, item in value.items()}


def _read_array(name: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return an array, or the scalar that a 0-d array stands for."""
    return arrays[name][()]


def _read_object(held: list[Any], arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Return an array of Python objects; made empty first, since NumPy would turn equal lists into further axes."""
    shape, items = held
    values = np.empty(len(items), dtype=object)
    for index, item in enumerate(items):
        values[index] = _unpack(item, arrays)
    return values.reshape(shape)


def _read_generator(held: Any, arrays: dict[str, np.ndarray]) -> np.random.Generator:
    state = _checked(_unpack(held, arrays))
    generator = np.random.Generator(getattr(np.random, state["bit_generator"])())
    generator.bit_generator.state = state
    return generator


def _read_random_state(held: Any, arrays: dict[str, np.ndarray]) -> np.random.RandomState:
    generator = np.random.RandomState()
    generator.set_state(_checked(_unpack(held, arrays)))
    return generator


def _checked(state: dict[str, Any]) -> dict[str, Any]:
    """Refuse the state of a generator that would read outside its buffer."""
    kind = state["bit_generator"]
    if kind not in _BIT_GENERATORS:
        raise ValueError(f"unknown generator {kind}")
    position = {"MT19937": state["state"].get("pos"), "Philox": state.get("buffer_pos")}.get(
        kind, 0
    )
    if not 0 <= position <= _POSITIONS.get(kind, 0):
        raise ValueError(f"{position} is no place in the buffer of {kind}")
    return state


_READERS: dict[str, Callable[[Any, dict[str, np.ndarray]], Any]] = {
    "!array": _read_array,
    "!object": _read_object,
    "!generator": _read_generator,
    "!random_state": _read_random_state,
    "!tuple": lambda held, arrays: tuple(_unpack(held, arrays)),
    "!dict": lambda held, arrays: dict(_unpack(pair, arrays) for pair in held),
}
