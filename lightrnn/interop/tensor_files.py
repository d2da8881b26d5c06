"""Files of named arrays, read by NumPy alone: safetensors, and archives that ``torch.save`` writes.

What a file claims is compared with its size before anything is allocated, and no more is allocated
than the file holds.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from typing import Any, Literal, NamedTuple

import numpy as np

from ..utils.archive import DAMAGE, check_members
from . import torch_pickle
from .foreign import UnsupportedError
from .torch_pickle import MOST_AXES, Storage, Tensor, are_sizes

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
ZIP_START = b"PK\x03\x04"
_PICKLE_START = b"\x80\x02"  # protocol 2, which torch.save writes


def read_tensors(path: str | os.PathLike[str]) -> dict[Any, Any]:
    """Read a ``.safetensors`` file, or one that ``torch.save`` wrote (torch 1.6 or later).

    The first bytes say which of the two it is. A safetensors file has no checksum: a changed number
    in it goes unnoticed.

    Parameters
    ----------
    path : str or path-like
        The file.

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
    shown = repr(os.fspath(path))
    with open(path, "rb") as file:
        start = file.read(4)
        # An archive's members are read one by one, when they are needed.
        content = b"" if start == ZIP_START else start + file.read()
    try:
        if start == ZIP_START:
            return _read_torch(path)
        return _read_safetensors(content)
    except UnsupportedError as error:
        raise ValueError(
            f"source must hold tensors and plain values alone, got {shown} with {error}. "
            "Save the weights by themselves: torch.save(model.state_dict(), path)."
        ) from None
    except DAMAGE as error:
        raise ValueError(
            "source must be a .safetensors file or one that torch.save wrote, "
            f"got {shown}: {error}. It is damaged or of another format."
        ) from error


# -- safetensors ----------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """One array as the header of a safetensors file describes it."""

    kind: str  # NumPy's name of the type, or _BFLOAT16
    shape: tuple[int, ...]
    start: int  # of its bytes, counted from the end of the header
    stop: int


def _read_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file.

    The file is the header's length in eight bytes, the header in JSON, and the numbers.
    """
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8:
        # Only now: the length 640 looks like a pickle's first bytes, but no pickle like a length.
        if content.startswith(_PICKLE_START):
            raise UnsupportedError("a pickle alone, as torch wrote before 1.6")
        raise ValueError(f"a header of {size:,} bytes in a file of {len(content):,}")
    header = json.loads(content[8 : 8 + size], object_pairs_hook=_unique)
    header.pop("__metadata__", None)
    body = memoryview(content)[8 + size :]
    entries = {name: _entry(name, description) for name, description in header.items()}
    # The arrays fill the body without gaps and overlaps, so none is larger than the file.
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1][2:]):
        if entry.start != end:
            raise ValueError(f"{name!r} begins at {entry.start:,}, not at {end:,}")
        end = entry.stop
    if end != len(body):
        raise ValueError(f"numbers of {end:,} bytes in a body of {len(body):,}")
    return {
        name: _decode(body[entry.start : entry.stop], entry.kind, "<").reshape(entry.shape)
        for name, entry in entries.items()
    }


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict; a name that occurs twice is an error."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that occurs twice in the header")
    return found


def _entry(name: str, description: Any) -> _Entry:
    """Return the header's description of an array after a check."""
    dtype = description["dtype"]
    if dtype not in _SAFETENSORS_TYPES:
        raise UnsupportedError(f"{name!r} of dtype {dtype!r:.20}")
    kind = _SAFETENSORS_TYPES[dtype]
    shape = tuple(description["shape"])
    start, stop = description["data_offsets"]
    if len(shape) > MOST_AXES or not are_sizes([*shape, start, stop]):
        raise ValueError(f"the shape or place of {name!r}")
    if math.prod(shape) * _itemsize(kind) != stop - start:
        raise ValueError(f"{name!r} of shape {shape} in {stop - start:,} bytes")
    return _Entry(kind, shape, start, stop)


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


def _read_torch(path: str | os.PathLike[str]) -> dict[Any, Any]:
    """Return the dict in an archive: a pickle that describes tensors, and a member per storage."""
    with zipfile.ZipFile(path) as archive:
        check_members(archive, os.path.getsize(path))
        pickles = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError("no data.pkl, or several")
        folder = pickles[0].removesuffix("data.pkl")
        marker = f"{folder}byteorder"  # written by torch 2.1 and later
        big = marker in archive.namelist() and archive.read(marker) == b"big"
        reader = _StorageReader(archive, folder, ">" if big else "<")
        return reader.arrays(torch_pickle.read(archive.read(pickles[0])))


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
    """

    def __init__(
        self,
        archive: zipfile.ZipFile,
        folder: str,
        order: Literal["<", ">"],
    ) -> None:
        self.archive = archive
        self.folder = folder
        self.order = order
        self._read: dict[Storage, np.ndarray] = {}

    def arrays(self, value: Any) -> dict[Any, Any]:
        """Return a dict with arrays for its tensors, and for those of the dicts in it.

        A checkpoint holds its state_dict one level deep; tensors further down stay descriptions.
        """
        if type(value) is not dict:
            raise UnsupportedError(f"a {type(value).__name__} instead of a dict")
        # By identity: a pickle that names one dict under many keys is not expanded many times.
        inner = {id(item): item for item in value.values() if type(item) is dict}
        done = {
            identity: {name: self._array(held) for name, held in item.items()}
            for identity, item in inner.items()
        }
        return {key: done.get(id(item), self._array(item)) for key, item in value.items()}

    def _array(self, value: Any) -> Any:
        """Return a view of a tensor's numbers; any other value as it is."""
        if type(value) is not Tensor:
            return value
        numbers = self._numbers(value.storage)
        if 0 in value.size:
            return np.zeros(value.size, numbers.dtype)
        strides = [numbers.itemsize * step for step in value.stride]
        return np.lib.stride_tricks.as_strided(
            numbers[value.offset :], value.size, strides, writeable=False
        )

    def _numbers(self, storage: Storage) -> np.ndarray:
        """Return a storage's numbers as one axis, if its member is as large as it claims."""
        if storage not in self._read:
            if storage.kind not in _TORCH_TYPES:
                raise UnsupportedError(f"a tensor of {storage.kind!r:.40}")
            kind = _TORCH_TYPES[storage.kind]
            member = f"{self.folder}data/{storage.key}"
            content = self.archive.read(member)
            if len(content) != storage.length * _itemsize(kind):
                raise ValueError(
                    f"{storage.length:,} numbers in {member!r} of {len(content):,} bytes"
                )
            self._read[storage] = _decode(content, kind, self.order)
        return self._read[storage]
