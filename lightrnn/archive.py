"""One file for a tree of plain values and arrays: an .npz whose member ``header`` is JSON.

`write` takes a dict of dicts, lists, tuples, numbers, strings, None, NumPy arrays, scalars and random generators, to
any depth; `read` gives the same tree back, bit for bit and type for type. The arrays lie in the file under their path
in the tree, so that ``numpy.load`` alone can look at them. Nothing is ever pickled, so reading a file runs no code of
its writer. This module knows no estimator.
"""

import json
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

FORMAT = "lightrnn"
VERSION = 1
_BIT_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
_PLAIN = (bool, int, float, str, type(None))


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
        If a value is of another kind, a function for example; its place in the tree is named. The file is then
        untouched.

    Examples
    --------
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "tree.npz")
    >>> write(path, {"name": "small", "sizes": (3, 4), "W": np.eye(2)})
    >>> read(path)["sizes"]
    (3, 4)
    """
    packer = _Packer()
    header = {"format": FORMAT, "version": VERSION, "content": packer.pack(content, "")}
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    part = Path(f"{os.fspath(path)}.part")
    try:
        with zipfile.ZipFile(part, "w") as archive:
            for name, values in {"header": text, **packer.arrays}.items():
                _write_member(archive, name, values)
        os.replace(part, path)
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
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no archive of this format, is damaged, or was written by a later version of the format.
    """
    try:
        with open(path, "rb") as file:
            arrays = dict(np.load(file, allow_pickle=False))
        header = json.loads(arrays.pop("header").tobytes())
        if header["format"] != FORMAT:
            raise ValueError("another format")
        version = int(header["version"])
        content = _unpack(header["content"], arrays) if version <= VERSION else None
    except (ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"path must be a file written by save, got {os.fspath(path)!r}. It is damaged or of another format."
        ) from error
    if not isinstance(content, dict):
        raise ValueError(
            f"{os.fspath(path)!r} must be in format {VERSION} or earlier, got {version}. Read it with a later lightrnn."
        )
    return content


def _write_member(archive: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    """Store one array. A ``ZipInfo`` made by hand has a fixed date, so equal trees make equal files."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array(member, values, allow_pickle=False)


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
            return self._array(np.asarray(value), where)
        if isinstance(value, np.random.Generator):
            return {"!generator": self.pack(value.bit_generator.state, where)}
        if isinstance(value, np.random.RandomState):
            return {"!random_state": self.pack(value.get_state(legacy=False), where)}
        raise TypeError(
            f"{where} must be a number, a string, an array or a collection of those to be saved, got {value!r}."
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
    state = _unpack(held, arrays)
    if state["bit_generator"] not in _BIT_GENERATORS:
        raise ValueError(f"unknown generator {state['bit_generator']}")
    generator = np.random.Generator(getattr(np.random, state["bit_generator"])())
    generator.bit_generator.state = state
    return generator


def _read_random_state(held: Any, arrays: dict[str, np.ndarray]) -> np.random.RandomState:
    generator = np.random.RandomState()
    generator.set_state(_unpack(held, arrays))
    return generator


_READERS: dict[str, Callable[[Any, dict[str, np.ndarray]], Any]] = {
    "!array": _read_array,
    "!object": _read_object,
    "!generator": _read_generator,
    "!random_state": _read_random_state,
    "!tuple": lambda held, arrays: tuple(_unpack(held, arrays)),
    "!dict": lambda held, arrays: dict(_unpack(pair, arrays) for pair in held),
}
