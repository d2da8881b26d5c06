"""Files of named arrays: safetensors, and the archives that ``torch.save`` writes, read by NumPy alone.

A file's claims are checked against its size before anything is allocated, and no more is allocated than it holds.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
from typing import Any, Literal

import numpy as np

from . import torch_pickle
from .torch_pickle import RefusedError, Storage, Tensor

_BFLOAT16 = "bfloat16"  # two upper bytes of a float32; NumPy has no such type
_SAFE = {
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
_TORCH = {
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
_AXES = 8
_ZIP = b"PK\x03\x04"
DAMAGE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    struct.error,
    zipfile.BadZipFile,
)


def read_tensors(path: str | os.PathLike[str]) -> dict[Any, Any]:
    """Read a ``.safetensors`` file, or one that ``torch.save`` wrote (torch 1.6 or later).

    Which of the two it is is told by its first bytes. A safetensors file has no checksum: a changed number in it goes
    unnoticed.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    dict
        Arrays by name; of a ``torch.save`` whatever was saved, with an array for every tensor. bfloat16 becomes
        float32, which holds it exactly.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is of another format, damaged, or holds anything but tensors, plain values and collections of them.
    """
    shown = repr(os.fspath(path))
    with open(path, "rb") as file:
        content = b"" if (start := file.read(4)) == _ZIP else start + file.read()
    try:
        if not content:
            return _read_torch(path)
        if content.startswith(b"\x80\x02"):
            raise RefusedError("a pickle alone, as torch wrote before 1.6")
        return _read_safetensors(content)
    except RefusedError as error:
        raise ValueError(
            f"source must hold tensors and plain values alone, got {shown} with {error}. "
            "Save the weights by themselves: torch.save(model.state_dict(), path)."
        ) from None
    except DAMAGE as error:
        raise ValueError(
            f"source must be a .safetensors file or one that torch.save wrote, got {shown}: {error}. "
            "It is damaged or of another format."
        ) from error


# -- safetensors ------------------------------------------------------------------------------------------------------


def _read_safetensors(content: bytes) -> dict[str, np.ndarray]:
    """Read a file of this format: eight bytes that count the header's, the header in JSON, the numbers."""
    size = int.from_bytes(content[:8], "little")
    if len(content) < 8 or size > len(content) - 8:
        raise ValueError(f"a header of {size:,} bytes in a file of {len(content):,}")
    header = json.loads(content[8 : 8 + size], object_pairs_hook=_unique)
    header.pop("__metadata__", None)
    body = memoryview(content)[8 + size :]
    places = {name: _place(name, entry) for name, entry in header.items()}
    end = 0
    for name, (_, _, start, stop) in sorted(places.items(), key=lambda item: item[1][2:]):
        if start != end:
            raise ValueError(f"{name!r} begins at {start:,}, not at {end:,}")
        end = stop
    if end != len(body):
        raise ValueError(f"numbers of {end:,} bytes in a body of {len(body):,}")
    return {
        name: _numbers(body[start:stop], kind, "<").reshape(shape)
        for name, (kind, shape, start, stop) in places.items()
    }


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object's dict; no name may stand twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name that stands twice in the header")
    return found


def _place(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Check one array's entry: its kind, its shape, and where it lies."""
    if entry["dtype"] not in _SAFE:
        raise RefusedError(f"{name!r} of dtype {entry['dtype']!r:.20}")
    kind, shape, (start, stop) = _SAFE[entry["dtype"]], tuple(entry["shape"]), entry["data_offsets"]
    whole = [*shape[: _AXES + 1], start, stop]
    if len(shape) > _AXES or any(type(n) is not int or not 0 <= n < 2**62 for n in whole):
        raise ValueError(f"the shape or place of {name!r}")
    if math.prod(shape) * _itemsize(kind) != stop - start:
        raise ValueError(f"{name!r} of shape {shape} in {stop - start:,} bytes")
    return kind, shape, start, stop


def _itemsize(kind: str) -> int:
    return 2 if kind == _BFLOAT16 else np.dtype(kind).itemsize


def _numbers(content: bytes | memoryview, kind: str, order: Literal["<", ">"]) -> np.ndarray:
    """Return the numbers that bytes stand for, flat."""
    if kind == _BFLOAT16:
        return (np.frombuffer(content, f"{order}u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(content, np.dtype(kind).newbyteorder(order))


# -- torch.save -------------------------------------------------------------------------------------------------------


def _read_torch(path: str | os.PathLike[str]) -> dict[Any, Any]:
    """Read an archive: a pickle that describes tensors, and a member for each storage."""
    with zipfile.ZipFile(path) as archive:
        members = check_members(archive, os.path.getsize(path))
        found = [name for name in members if name.rpartition("/")[2] == "data.pkl"]
        if len(found) != 1:
            raise ValueError("no data.pkl, or several")
        folder = found[0].removesuffix("data.pkl")
        endian = (
            archive.read(f"{folder}byteorder") if f"{folder}byteorder" in members else b"little"
        )
        reader = _Storages(archive, members, folder, ">" if endian == b"big" else "<")
        return reader.arrays(torch_pickle.read(archive.read(found[0])))


def check_members(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """Return the sizes of an archive's members, none compressed, all together no larger than the file.

    Raises
    ------
    ValueError
        If it is otherwise.
    """
    infos = archive.infolist()
    if any(
        info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size
        for info in infos
    ):
        raise ValueError("compressed members, which are written neither by torch nor by Keras")
    if sum(info.file_size for info in infos) > size:
        raise ValueError("members larger than the file")
    return {info.filename: info.file_size for info in infos}


class _Storages:
    """Reads storages, each once, and puts arrays in the place of tensors."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        members: dict[str, int],
        folder: str,
        order: Literal["<", ">"],
    ) -> None:
        self.archive, self.members, self.folder, self.order = archive, members, folder, order
        self.read: dict[Storage, np.ndarray] = {}

    def arrays(self, value: Any) -> dict[Any, Any]:
        """Replace the tensors of a dict, and of the dicts in it: as deep as a state_dict within a checkpoint lies."""
        if type(value) is not dict:
            raise RefusedError(f"a {type(value).__name__} instead of a dict")
        inner = {id(held): held for held in value.values() if type(held) is dict}
        done = {
            key: {name: self._array(item) for name, item in held.items()}
            for key, held in inner.items()
        }
        return {key: done.get(id(held), self._array(held)) for key, held in value.items()}

    def _array(self, value: Any) -> Any:
        """Return a view of a tensor's numbers; any other value as it is."""
        if type(value) is not Tensor:
            return value
        numbers = self._storage(value.storage)
        steps = [numbers.itemsize * step for step in value.stride]
        if 0 in value.size:
            return np.zeros(value.size, numbers.dtype)
        return np.lib.stride_tricks.as_strided(
            numbers[value.offset :], value.size, steps, writeable=False
        )

    def _storage(self, storage: Storage) -> np.ndarray:
        """Return a storage's numbers, flat, after a comparison of its claim with its member's size."""
        if storage not in self.read:
            if storage.kind not in _TORCH:
                raise RefusedError(f"a tensor of {storage.kind!r:.40}")
            kind, name = _TORCH[storage.kind], f"{self.folder}data/{storage.key}"
            if self.members.get(name) != storage.length * _itemsize(kind):
                raise ValueError(
                    f"{storage.length:,} numbers in {name!r} of {self.members.get(name, 0):,} bytes"
                )
            self.read[storage] = _numbers(self.archive.read(name), kind, self.order)
        return self.read[storage]
