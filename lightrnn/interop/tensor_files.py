"""Files of named arrays, read by NumPy alone: safetensors, and archives that ``torch.save`` writes.

What a file claims is compared with its size before anything is allocated; no more is allocated than
a small multiple of the file, and nothing takes longer than a time in proportion to its size.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from typing import IO, Any, BinaryIO, Literal, NamedTuple

import numpy as np

from ..utils.archive import DAMAGE, Arrays, check_members
from ..utils.files import StrPath, open_regular
from . import torch_pickle
from .foreign import SAVE_WEIGHTS, UnsupportedError, listed
from .formats import unreadable
from .torch_pickle import MOST_AXES, Opaque, Storage, Tensor, are_sizes


class PartError(ValueError):
    """A checkpoint has no part of the name that the user gave."""


_BFLOAT16 = "bfloat16"  # the two upper bytes of a float32; NumPy has no such type
# The types of numbers that the two formats name, as NumPy writes them.
_SAFETENSORS_TYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": _BFLOAT16,
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}
_TORCH_TYPES = {
    "Double": "f8",
    "Float": "f4",
    "Half": "f2",
    "BFloat16": _BFLOAT16,
    "Long": "i8",
    "Int": "i4",
    "Short": "i2",
    "Char": "i1",
    "Byte": "u1",
    "Bool": "?",
}
# A tensor takes some 100 bytes of a header, a Keras layer some 2,000 of a configuration.
LONGEST_JSON = 2**22
# Tensors that share a storage, as tied weights do, are views of it here, but copies in the network.
_MOST_SHARED = 4  # times the size of the file
ZIP_START = b"PK\x03\x04"
# What a file must be, and formats that are no others.
_FORMAT = ("a .safetensors file or one that torch.save wrote", ("a file of torch.save",))
_PICKLE_START = b"\x80\x02"  # protocol 2, which torch.save writes


def read_tensors(path: StrPath, inner: str | None = None) -> dict[Any, Any]:
    """Read a ``.safetensors`` file, or one that ``torch.save`` wrote (torch 1.6 or later).

    The first bytes say which of the two it is. A safetensors file has no checksum: a changed number
    in it goes unnoticed.

    Parameters
    ----------
    path : str or path-like
        The file.
    inner : str, optional
        Dotted names of a part of what was saved, see `part`, which alone is read.

    Returns
    -------
    dict
        Arrays by name; of a ``torch.save`` whatever was saved, with an array for every tensor.
        bfloat16 becomes float32, which holds it exactly.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is of another format, damaged, or holds anything but tensors, plain values and
        collections of them.
    """
    with open_regular(path) as file:
        try:
            start = file.read(len(ZIP_START))
            if start == ZIP_START:
                return _read_torch(file, inner)
            arrays = _read_safetensors(file)
            return arrays if inner is None else part(arrays, inner)
        except PartError:
            raise
        except UnsupportedError as error:
            message = (
                f"source must hold tensors and plain values alone, got {os.fspath(path)!r} with "
                f"{error}. {SAVE_WEIGHTS}"
            )
            raise unreadable(path, *_FORMAT, message) from None
        except (*DAMAGE, MemoryError) as error:
            raise unreadable(path, *_FORMAT, error) from error


def part(source: Any, names: str) -> Any:
    """Return a part of nested dicts.

    Parameters
    ----------
    source : mapping
        A checkpoint.
    names : str
        Keys from the outermost on, joined by dots, such as "ema.model". A key may have dots itself;
        names that are the beginning of several keys mean all of these, without that beginning.

    Raises
    ------
    PartError
        If there is no such part.
    """
    left = names
    while left:
        keys = [key for key in source if isinstance(key, str)] if isinstance(source, dict) else []
        whole = [key for key in keys if left == key or left.startswith(f"{key}.")]
        if whole:
            key = max(whole, key=len)
            source = source[key]
            left = left[len(key) + 1 :]
            continue
        beginning = f"{left}."
        below = [key for key in keys if key.startswith(beginning)]
        if not below:
            raise PartError(
                f"state_dict must name a part of the source, got {names!r:.80} where it holds "
                f"{listed(keys)}. Join the keys that lead to it by dots."
            )
        return {key[len(beginning) :]: source[key] for key in below}
    return source


def read_json(file: IO[bytes], size: int) -> Any:
    """Return what the next bytes of a file describe, as JSON of limited length.

    Raises
    ------
    ValueError
        If it is damaged, longer than any that describes a network, or has a name twice.
    """
    if size > LONGEST_JSON:
        raise ValueError(f"a header of {size:,} bytes, more than {LONGEST_JSON:,}")
    return json.loads(file.read(size), object_pairs_hook=_unique)


# -- safetensors ----------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """One array as the header of a safetensors file describes it."""

    kind: str  # NumPy's name of the type, or _BFLOAT16
    shape: tuple[int, ...]
    start: int  # of its bytes, counted from the end of the header
    stop: int


def _read_safetensors(file: BinaryIO) -> Arrays:
    """Return the arrays of a safetensors file.

    The file is the header's length in eight bytes, the header in JSON, and the numbers.
    """
    file.seek(0)
    start = file.read(8)
    size = int.from_bytes(start, "little")
    left = os.fstat(file.fileno()).st_size - len(start)
    if len(start) < 8 or size > left:
        # Only now: the length 640 looks like a pickle's first bytes, but no pickle like a length.
        if start.startswith(_PICKLE_START):
            raise UnsupportedError("a pickle alone, as torch wrote before 1.6")
        raise ValueError(f"a header of {size:,} bytes in a file of {left + len(start):,}")
    header = read_json(file, size)
    header.pop("__metadata__", None)
    entries = {name: _entry(name, description) for name, description in header.items()}
    # The arrays fill the body without gaps and overlaps, so none is larger than the file.
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.start != end:
            raise ValueError(f"{name!r:.60} begins at {entry.start:,}, not at {end:,}")
        end = entry.stop
    if end != left - size:
        raise ValueError(f"numbers of {end:,} bytes in a body of {left - size:,}")
    body = memoryview(file.read(end))
    return {
        name: _decode(body[entry.start : entry.stop], entry.kind, "<").reshape(entry.shape)
        for name, entry in entries.items()
    }


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict; a name that occurs twice is an error."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that occurs twice")
    return found


def _entry(name: str, description: Any) -> _Entry:
    """Return the header's description of an array after a check."""
    dtype = description["dtype"]
    if dtype not in _SAFETENSORS_TYPES:
        raise UnsupportedError(f"{name!r:.60} of dtype {dtype!r:.20}")
    kind = _SAFETENSORS_TYPES[dtype]
    shape = description["shape"]
    start, stop = description["data_offsets"]
    if len(shape) > MOST_AXES or not are_sizes([*shape, start, stop]):
        raise ValueError(f"the shape or place of {name!r:.60}")
    if math.prod(shape) * _itemsize(kind) != stop - start:
        raise ValueError(f"{name!r:.60} of shape {shape} in {stop - start:,} bytes")
    return _Entry(kind, tuple(shape), start, stop)


def _itemsize(kind: str) -> int:
    """Return the bytes of one number."""
    return 2 if kind == _BFLOAT16 else np.dtype(kind).itemsize


def _decode(
    content: bytes | memoryview,
    kind: str,
    order: Literal["<", ">"],
) -> np.ndarray:
    """Return the numbers that bytes encode, as one axis."""
    if kind == _BFLOAT16:
        halves = np.frombuffer(content, f"{order}u2")
        return (halves.astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(content, np.dtype(kind).newbyteorder(order))


# -- torch.save -----------------------------------------------------------------------------------


def _read_torch(file: BinaryIO, inner: str | None) -> dict[Any, Any]:
    """Return the dict in an archive: a pickle that describes tensors, and a member per storage."""
    size = os.fstat(file.fileno()).st_size
    with zipfile.ZipFile(file) as archive:
        check_members(archive, size)
        pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError("no data.pkl, or several")
        folder = pickles[0].removesuffix("data.pkl")
        marker = f"{folder}byteorder"  # written by torch 2.1 and later
        big = marker in archive.namelist() and archive.read(marker) == b"big"
        reader = _StorageReader(archive, folder, ">" if big else "<", _MOST_SHARED * size)
        whole = torch_pickle.read(archive.read(pickles[0]))
        return reader.arrays(whole if inner is None else part(whole, inner))


class _StorageReader:
    """Reads an archive's storages, each once, and replaces tensors by arrays.

    Parameters
    ----------
    archive : ZipFile
        What ``torch.save`` wrote.
    folder : str
        The folder of the archive that holds everything, with a final slash.
    order : {"<", ">"}
        The byte order of the numbers.
    most : int
        Bytes that the tensors of one dict may have together, those that share a storage included.
    """

    def __init__(
        self,
        archive: zipfile.ZipFile,
        folder: str,
        order: Literal["<", ">"],
        most: int,
    ) -> None:
        self.archive = archive
        self.folder = folder
        self.order = order
        self.most = most
        self._contents: dict[str, bytes] = {}
        self._numbers: dict[Storage, np.ndarray] = {}

    def arrays(self, value: Any) -> dict[Any, Any]:
        """Return a dict with arrays for its tensors, and for those of the dicts in it.

        A checkpoint holds its state_dict one level deep; tensors further down stay descriptions.
        """
        if type(value) is Opaque:
            raise UnsupportedError(f"the class or function {value.name!r}")
        if type(value) is not dict:
            raise UnsupportedError(f"a {type(value).__name__} instead of a dict")
        # By identity: a pickle that names one dict under many keys is not expanded many times.
        inner = {id(item): item for item in value.values() if type(item) is dict}
        done = {identity: self._dict(item) for identity, item in inner.items()}
        return {key: done.get(id(value[key]), item) for key, item in self._dict(value).items()}

    def _dict(self, held: dict[Any, Any]) -> dict[Any, Any]:
        """Return a dict with arrays for its tensors, if they are not too large together."""
        found = {}
        total = 0
        for name, value in held.items():
            found[name] = value
            if type(value) is Tensor:
                array = found[name] = self._array(value)
                total += array.nbytes
            if total > self.most:
                raise ValueError("tensors that share their numbers, and are larger than the file")
        return found

    def _array(self, tensor: Tensor) -> np.ndarray:
        """Return a view of a tensor's numbers."""
        if tensor.storage not in self._numbers:
            self._numbers[tensor.storage] = self._read(tensor.storage)
        numbers = self._numbers[tensor.storage]
        if 0 in tensor.size:
            return np.zeros(tensor.size, numbers.dtype)
        strides = [numbers.itemsize * step for step in tensor.stride]
        place = numbers.itemsize * tensor.offset
        return np.ndarray(tensor.size, numbers.dtype, numbers, place, strides)

    def _read(self, storage: Storage) -> np.ndarray:
        """Return a storage's numbers as one axis, if its member is as large as it claims."""
        if storage.kind not in _TORCH_TYPES:
            raise UnsupportedError(f"a tensor of {storage.kind!r:.40}")
        kind = _TORCH_TYPES[storage.kind]
        member = f"{self.folder}data/{storage.key}"
        # Storages of several types may name one member.
        if member not in self._contents:
            self._contents[member] = self.archive.read(member)
        content = self._contents[member]
        if len(content) != storage.length * _itemsize(kind):
            raise ValueError(f"{storage.length:,} numbers in {member!r} of {len(content):,} bytes")
        return _decode(content, kind, self.order)
