"""Keras's files and layout of weights, in our form.

Keras keeps (inputs, outputs) matrices as we do, with gates i, f, c, o and z, r, h; a GRU with ``reset_after`` has a
bias (2, 3*H), the input's and the state's. A ``.keras`` file says besides how the layers are joined, and what they
compute is checked; a ``.weights.h5`` file holds arrays alone.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from .foreign import (
    Direction,
    ForeignNetwork,
    SourceWeights,
    cell_of,
    check_alike,
    in_order,
    one_module,
)
from .keras_config import Described, describe
from .tensor_files import DAMAGE, check_members
from .torch_pickle import RefusedError

_GRU_ORDER = (1, 0, 2)  # z, r, h to r, z, n
_SIDES = ("forward_layer", "backward_layer")
_IGNORED = re.compile(r"(?:optimizer|compile_metrics|metrics)/.*|.*seed_generator.*")
_ARRAYS = "model.weights.h5"


class KerasFile(NamedTuple):
    """A file's arrays by their path in it, and what its configuration says, if it has one."""

    arrays: dict[str, np.ndarray]
    described: Described | None


def read_file(path: str | os.PathLike[str]) -> KerasFile:
    """Read a ``.weights.h5`` or a ``.keras`` file with h5py.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If h5py is not installed.
    ValueError
        If it is of another format or damaged, or its configuration has what is not computed here.
    """
    try:
        import h5py
    except ImportError:
        raise ImportError(
            "h5py must be installed to read HDF5 files, got none. Run: python -m pip install 'lightrnn[keras]'"
        ) from None
    with open(path, "rb") as file:
        start = file.read(4)
    try:
        if start != b"PK\x03\x04":
            return KerasFile(_arrays(h5py, path, os.path.getsize(path)), None)
        with zipfile.ZipFile(path) as archive:
            check_members(archive, os.path.getsize(path))
            described = describe(json.loads(archive.read("config.json")))
            content = archive.read(_ARRAYS)
            return KerasFile(_arrays(h5py, io.BytesIO(content), len(content)), described)
    except RefusedError as error:
        raise ValueError(
            f"source must be a chain of layers that are computed here, got {os.fspath(path)!r} with {error}. "
            "They are an Embedding, LSTM, GRU (reset_after) or SimpleRNN layers with their default activations, "
            "Bidirectional or not, Dropout, and one Dense."
        ) from None
    except DAMAGE as error:
        raise ValueError(
            f"source must be a .keras or .weights.h5 file, got {os.fspath(path)!r}: {error}. "
            "It is damaged or of another format."
        ) from error


def _arrays(h5py: Any, source: Any, size: int) -> dict[str, np.ndarray]:
    """Read all arrays of a file of this size, but those of the optimizer, the metrics and the random generators."""
    found: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not _IGNORED.fullmatch(name):
            _check_dataset(name, item, size - sum(array.nbytes for array in found.values()))
            found[name] = item[()]

    with h5py.File(source, "r") as file:
        file.visititems(visit)
    if any(name.startswith("model_weights/") for name in found):
        raise ValueError("a whole model in the format of Keras 2, which can be saved as .keras")
    return found


def _check_dataset(name: str, item: Any, left: int) -> None:
    """Refuse an array that is not in the file as it is, or larger than what is left of the file."""
    if (
        item.external
        or item.is_virtual
        or item.id.get_storage_size() != item.nbytes
        or item.nbytes > left
    ):
        raise ValueError(f"{name!r} of shape {item.shape} is not stored plainly in the file")
    if item.dtype.kind not in "fiub":
        raise ValueError(f"{name!r} of dtype {item.dtype}")


def read_keras(
    file: KerasFile,
    *,
    recurrent: str | Sequence[str] | None = None,
    head: str | None = None,
    embedding: str | None = None,
) -> ForeignNetwork:
    """Turn a file's arrays into our form.

    Parameters
    ----------
    file : KerasFile
        What `read_file` returned.
    recurrent, head, embedding : str, or sequence of str for the first
        Paths of the layers in the file; by default those that their names and arrays give away.

    Raises
    ------
    ValueError
        If an array is missing, misshapen or left over, or belongs to what is not computed here.
    """
    weights = SourceWeights(file.arrays)
    found = dict.fromkeys(
        match[1] for match in weights.names(rf"(.*?)(?:/(?:{'|'.join(_SIDES)}))?/cell/vars/\d+")
    )
    levels: list[tuple[Direction, ...]] = []
    paths = in_order(found, recurrent)
    cells = [_layer(weights, path, levels, file.described is not None) for path in paths]
    cell = check_alike(levels, cells)
    table = _embedding(weights, embedding, head, len(levels[0][0].W_ih))
    W, b = _head(weights, head, sum(len(direction.W_hh) for direction in levels[-1]))
    weights.finish()
    link, target = file.described or (None, None)
    return ForeignNetwork(cell, levels, W, b, table, link, target)


def _layer(
    weights: SourceWeights, path: str, levels: list[tuple[Direction, ...]], described: bool
) -> str:
    """Add a layer to `levels`; return its cell."""
    both = bool(weights.names(rf"{re.escape(path)}/{_SIDES[1]}/.*"))
    places = [f"{path}/{side}/cell/vars/" for side in _SIDES] if both else [f"{path}/cell/vars/"]
    H, columns = weights.shape(f"{places[0]}1", 2)
    cell = cell_of(f"{places[0]}1", (H, columns))
    features = (
        sum(len(d.W_hh) for d in levels[-1]) if levels else weights.shape(f"{places[0]}0", 2)[0]
    )
    levels.append(
        tuple(
            _direction(weights, place, cell, (features, H, columns), described) for place in places
        )
    )
    return cell


def _direction(
    weights: SourceWeights, place: str, cell: str, sizes: tuple[int, int, int], described: bool
) -> Direction:
    """Take one direction; a layer without biases has zeros."""
    features, H, columns = sizes
    b = np.zeros((2, columns))
    if f"{place}2" in weights:
        b = _biases(weights, f"{place}2", cell, columns)
    elif cell == "gru" and not described:
        raise ValueError(
            f"source must tell whether the GRU {place!r} without biases has reset_after=True, got a file of weights "
            "alone. Save the whole model as .keras."
        )
    arrays = (
        weights.take(f"{place}0", (features, columns)),
        weights.take(f"{place}1", (H, columns)),
        b[0],
        b[1],
    )
    return (
        Direction(*(_reordered(array, H) for array in arrays))
        if cell == "gru"
        else Direction(*arrays)
    )


def _biases(weights: SourceWeights, name: str, cell: str, columns: int) -> np.ndarray:
    """Take the biases of the input and of the state; only a GRU has the latter."""
    if cell != "gru":
        return np.stack([weights.take(name, (columns,)), np.zeros(columns)])
    if np.ndim(weights.arrays[name]) == 1:
        raise ValueError(
            f"source must have GRUs with reset_after=True, got {name!r} with one bias, not two: reset_after=False. "
            "That GRU is another function; train it with Keras's default."
        )
    return weights.take(name, (2, columns))


def _reordered(array: np.ndarray, H: int) -> np.ndarray:
    """Bring a GRU's columns from the order z, r, h into r, z, n."""
    return np.concatenate([array[..., gate * H : (gate + 1) * H] for gate in _GRU_ORDER], axis=-1)


def _paths(weights: SourceWeights) -> list[str]:
    """Return the paths of layers that are not recurrent and have arrays of their own."""
    found = dict.fromkeys(match[1] for match in weights.names(r"(.*)/vars/\d+"))
    return [path for path in found if path.rpartition("/")[2] != "cell"]


def _is_dense(weights: SourceWeights, path: str) -> bool:
    """Whether a layer is a Dense one: by its bias, or by the name that Keras gives to the class."""
    return f"{path}/vars/1" in weights or path.rpartition("/")[2].startswith("dense")


def _embedding(
    weights: SourceWeights, chosen: str | None, head: str | None, features: int
) -> np.ndarray | None:
    """Take the embedding, if there is one."""
    found = [path for path in _paths(weights) if path != head and not _is_dense(weights, path)]
    if chosen is None and not found:
        return None
    return weights.take(f"{one_module('embedding', found, chosen)}/vars/0", (None, features))


def _head(
    weights: SourceWeights, chosen: str | None, features: int
) -> tuple[np.ndarray, np.ndarray]:
    """Take the output layer; one without a bias has zeros."""
    path = one_module(
        "head", [path for path in _paths(weights) if _is_dense(weights, path)], chosen
    )
    W = weights.take(f"{path}/vars/0", (features, None))
    biased = f"{path}/vars/1" in weights
    return W, weights.take(f"{path}/vars/1", (W.shape[1],)) if biased else np.zeros(W.shape[1])
