"""Keras's files and layout of weights, brought into our form.

Keras keeps matrices (inputs, outputs) as we do, with the gates of `KERAS_GATES`; a GRU with
``reset_after`` has a bias (2, 3*H), the input's and the state's. A ``.keras`` file also says how
the layers are joined and what they compute, and that is checked; a ``.weights.h5`` file holds
arrays alone.
"""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections.abc import Iterator, Sequence
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..cells import CELLS
from ..nn.state_dict import Direction
from ..utils.archive import DAMAGE, Arrays, check_members
from ..utils.extras import import_extra
from ..utils.files import StrPath, open_regular
from .foreign import (
    Affine,
    ForeignNetwork,
    Level,
    SourceWeights,
    UnsupportedError,
    cell_of,
    check_alike,
    in_order,
    one_module,
    reorder_gates,
)
from .formats import unreadable
from .head_layers import chain, joined
from .keras_chain import SIDES, Config, Place, array_names, fold, named
from .keras_config import KERAS_GATES, Description, describe
from .tensor_files import ZIP_START, read_json

# Arrays that predictions do not need: the optimizer's, the metrics', the random generators'.
_IGNORED = re.compile(r"(?:optimizer|compile_metrics|metrics)/.*|.*seed_generator.*")
# No model has more groups and arrays, or deeper ones.
_MOST_OBJECTS = 10_000
_DEEPEST = 32
_ARRAYS = "model.weights.h5"
_LAYERS_OF_2 = "_layer_checkpoint_dependencies"


class KerasFile(NamedTuple):
    """A file's arrays by their path in it, and its model's configuration, if it has one."""

    arrays: Arrays
    description: Description | None = None


def read_file(path: StrPath) -> KerasFile:
    """Read a ``.weights.h5`` or a ``.keras`` file with h5py.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If h5py is not installed.
    ValueError
        If it is of another format or damaged, or its model has what is not computed here.
    """
    return _read(path, repr(os.fspath(path)))


def read_model(model: Any) -> KerasFile:
    """Return what Keras writes of a model."""
    with TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.keras")
        model.save(path)
        return _read(path, f"the model {model.name!r}")


def _read(path: StrPath, name: str) -> KerasFile:
    """Read a file, which messages call by a name."""
    import_extra("h5py", "to read HDF5 files")
    with open_regular(path) as file:
        return _read_open(path, file, name)


def _read_open(path: StrPath, file: BinaryIO, name: str) -> KerasFile:
    """Read an open file; an OSError, such as h5py's, now means that it is damaged."""
    size = os.fstat(file.fileno()).st_size
    try:
        if file.read(len(ZIP_START)) != ZIP_START:
            return _read_hdf5(path, size)
        with zipfile.ZipFile(file) as archive:
            check_members(archive, size)
            with archive.open("config.json") as member:
                model = read_json(member, archive.getinfo("config.json").file_size)
            description = describe(model)
            content = archive.read(_ARRAYS)
            arrays = _arrays(io.BytesIO(content), len(content))
            # Functional models of Keras 2 have their layers in a folder of another name.
            arrays = {name.replace(_LAYERS_OF_2, "layers"): arrays[name] for name in arrays}
            return KerasFile(arrays, description)
    except UnsupportedError as error:
        raise ValueError(
            "source must be a chain of layers that are computed here, "
            f"got {name} with {error}. They are an Embedding, LSTM, GRU (reset_after) "
            "or SimpleRNN layers with their default activations, Bidirectional or not, Dropout, "
            "a global pooling, normalisations with fixed statistics, and Dense layers with one "
            "activation between them."
        ) from None
    except (*DAMAGE, MemoryError) as error:
        known = ("an HDF5 file", "a .keras file")
        raise unreadable(path, "a .keras or .weights.h5 file", known, error) from error


def _read_hdf5(path: StrPath, size: int) -> KerasFile:
    """Read a file of arrays alone, or a whole model as Keras 2 and `save("model.h5")` write it."""
    import h5py

    with h5py.File(path, "r") as file:
        config = file.attrs.get("model_config")
    if config is None:
        return KerasFile(_arrays(path, size))
    content = config if isinstance(config, bytes) else str(config).encode()
    model = read_json(io.BytesIO(content), len(content))
    description = describe(model)
    with h5py.File(path, "r") as file:
        arrays = _of_whole_model(file["model_weights"], model, size)
    return KerasFile(arrays, description)


def _of_whole_model(group: Any, model: Config, size: int) -> Arrays:
    """Return a whole model's arrays by the paths that they have in files of Keras 3.

    Each layer has a group of its name, with the names of its arrays in their order; a model within
    the model has those that are trained before the others.
    """
    datasets = dict(_datasets(group))
    inner: dict[str, list[Place]] = {}
    for place, name in named(model):
        inner.setdefault(name, []).append(place)
    arrays = {}
    for name, places in inner.items():
        both = zip(*map(array_names, places), strict=True)
        names = [one for part in both for each in part for one in each]
        given = [_text(one) for one in group[name].attrs["weight_names"]] if name in group else []
        if len(given) != len(names):
            raise ValueError(f"{len(given)} arrays of the layer {name!r:.60}, not {len(names)}")
        for wanted, one in zip(names, given, strict=True):
            dataset = datasets[f"{name}/{one}"]
            _check_dataset(wanted, dataset, size)
            arrays[wanted] = dataset[()]
            size -= arrays[wanted].nbytes
    return arrays


def _text(name: Any) -> str:
    """Return a name in a file as text."""
    return name.decode() if isinstance(name, bytes) else str(name)


def _arrays(source: Any, size: int) -> Arrays:
    """Return the model's arrays in a file of this size, not those of optimizer and metrics."""
    import h5py

    found: Arrays = {}
    with h5py.File(source, "r") as file:
        for name, dataset in _datasets(file):
            _check_dataset(name, dataset, size)
            found[name] = dataset[()]
            size -= found[name].nbytes
    return found


def _datasets(file: Any) -> Iterator[tuple[str, Any]]:
    """Yield the paths and datasets of a model in an HDF5 file; links to other files are left out.

    HDF5's own walk over a file goes as deep as its groups do, and the stack does not.
    """
    import h5py

    waiting = [("", file)]
    count = 0
    while waiting:
        path, group = waiting.pop()
        count += len(group)
        if path.count("/") > _DEEPEST or count > _MOST_OBJECTS:
            raise ValueError(f"groups as deep, or as many, as in no model, at {path!r:.60}")
        below = []
        for name in group:
            inner = f"{path}{name}"
            if (
                _IGNORED.match(f"{inner}/")
                or group.get(name, getlink=True, getclass=True) is not h5py.HardLink
            ):
                continue
            item = group[name]
            if isinstance(item, h5py.Dataset):
                yield inner, item
            elif isinstance(item, h5py.Group):
                below.append((f"{inner}/", item))
        waiting += below[::-1]


def _check_dataset(name: str, item: Any, left: int) -> None:
    """Refuse an array that is not stored plainly, or is larger than the bytes left of the file."""
    if name.startswith("model_weights/") or name.endswith(":0"):
        raise UnsupportedError(
            "weights in the format of Keras 2: load them by Keras and save the model as .keras"
        )
    # HDF5 can refer to other files, and declare huge arrays of which it stores little or nothing;
    # a chunk may be larger than its array, and a few compressed bytes may fill it.
    plain = not (item.external or item.is_virtual or item.chunks)
    if not plain or item.id.get_storage_size() != item.nbytes or item.nbytes > left:
        raise ValueError(f"{name!r:.60} of shape {item.shape} is not stored plainly in the file")
    if item.dtype.kind not in "fiub":
        raise ValueError(f"{name!r:.60} of dtype {item.dtype}")


def read_keras(
    file: KerasFile,
    *,
    recurrent: str | Sequence[str] | None = None,
    head: str | None = None,
    embedding: str | None = None,
) -> ForeignNetwork:
    """Bring a file's arrays into our form.

    Parameters
    ----------
    file : KerasFile
        The result of `read_file`.
    recurrent : str or sequence of str, optional
        Paths of the recurrent layers from first to last; by default those found.
    head, embedding : str, optional
        Paths of the output layer and of the embedding; by default those found.

    Raises
    ------
    ValueError
        If an array is missing, misshapen or left over, or belongs to a layer that is not computed
        here.
    """
    told = file.description
    weights = SourceWeights(fold(file.arrays, told.folds) if told else file.arrays)
    matches = weights.names(rf"(.*?)(?:/(?:{'|'.join(SIDES)}))?/cell/vars/\d+")
    found = dict.fromkeys(match[1] for match in matches)  # each layer once, in the file's order
    if told is not None:
        recurrent = recurrent or told.recurrent
        head = head or told.head
        embedding = embedding or told.embedding
    levels: list[Level] = []
    for path in in_order(found, recurrent, weights.arrays):
        width = levels[-1].width if levels else None
        levels.append(_level(weights, path, width, described=told is not None))
    check_alike(levels)
    table = _embedding(weights, embedding, head, levels[0].n_features)
    *hidden, (W, b) = _head(weights, head, levels[-1].width)
    weights.finish()
    network = ForeignNetwork(levels, W, b, table, hidden=tuple(hidden))
    if told is None:
        return network
    if told.head_activation == "linear":
        network = joined(network)
    elif hidden:
        network = network._replace(head_activation=told.head_activation)
    return network._replace(
        activation=told.activation, target=told.target, pooling=told.pooling, padded=told.padded
    )


def _level(
    weights: SourceWeights,
    path: str,
    features: int | None,
    described: bool,
) -> Level:
    """Return a layer whose input has this many columns, None for any.

    `described` says whether there is a configuration, which was checked.
    """
    both = f"{path}/{SIDES[1]}/cell/vars/1" in weights
    sides = [f"{path}/{side}" for side in SIDES] if both else [path]
    prefixes = [f"{side}/cell/vars/" for side in sides]
    recurrent_name = f"{prefixes[0]}1"
    H, columns = weights.shape(recurrent_name, 2)
    cell = cell_of(recurrent_name, H, columns)
    if features is None:
        features = weights.shape(f"{prefixes[0]}0", 2)[0]
    sizes = (features, H, columns)
    return Level(
        cell, tuple(_direction(weights, prefix, cell, sizes, described) for prefix in prefixes)
    )


def _direction(
    weights: SourceWeights,
    prefix: str,
    cell: str,
    sizes: tuple[int, int, int],
    described: bool,
) -> Direction:
    """Take one direction: its arrays are numbered 0 (input), 1 (state) and 2 (biases)."""
    features, H, columns = sizes
    biases = np.zeros((2, columns))
    if f"{prefix}2" in weights:
        biases = _biases(weights, f"{prefix}2", cell, columns)
    elif CELLS[cell].two_biases and not described:  # only the shape of its biases would show it
        raise ValueError(
            f"source must say whether the GRU {prefix!r} without biases has reset_after=True, "
            "got a file of weights alone. Save the whole model as .keras."
        )
    W_ih = weights.take(f"{prefix}0", (features, columns))
    W_hh = weights.take(f"{prefix}1", (H, columns))
    arrays = (W_ih, W_hh, *biases)
    return Direction(
        *(reorder_gates(array, KERAS_GATES[cell], CELLS[cell].gates) for array in arrays)
    )


def _biases(
    weights: SourceWeights,
    name: str,
    cell: str,
    columns: int,
) -> np.ndarray:
    """Take the biases of the input and of the state, (2, columns); zeros if Keras has but one."""
    if not CELLS[cell].two_biases:
        return np.stack([weights.take(name, (columns,)), np.zeros(columns)])
    if np.ndim(weights.arrays[name]) == 1:
        raise ValueError(
            f"source must have GRUs with reset_after=True, got {name!r} with one bias, not two: "
            "reset_after=False. That GRU is another function; train it with Keras's default."
        )
    return weights.take(name, (2, columns))


def _paths(weights: SourceWeights) -> list[str]:
    """Return the paths of layers that are not recurrent and have arrays of their own."""
    matches = weights.names(r"(.*)/vars/\d+")
    vectors = {match[1] for match in matches if _is_vector(weights, f"{match[1]}/vars/0")}
    # A recurrent layer's arrays are those of its cell, in a folder of this name.
    found = dict.fromkeys(match[1] for match in matches)
    return [path for path in found if path.rpartition("/")[2] != "cell" and path not in vectors]


def _is_vector(weights: SourceWeights, name: str) -> bool:
    """Whether there is an array of one axis, as a normalisation has first."""
    return name in weights and np.ndim(weights.arrays[name]) == 1


def _is_dense(weights: SourceWeights, path: str) -> bool:
    """Whether a layer is a Dense one: by its bias, or by the name that Keras gives to the class."""
    return f"{path}/vars/1" in weights or path.rpartition("/")[2].startswith("dense")


def _embedding(
    weights: SourceWeights,
    chosen: str | None,
    head: str | None,
    features: int,
) -> np.ndarray | None:
    """Take the embedding (V, E), if there is one."""
    found = [path for path in _paths(weights) if path != head and not _is_dense(weights, path)]
    if chosen is None and not found:
        return None
    return weights.take(f"{one_module('embedding', found, chosen)}/vars/0", (None, features))


def _head(weights: SourceWeights, chosen: str | None, features: int) -> list[Affine]:
    """Take the Dense layers, from first to last; one without a bias has zeros."""
    found = [path for path in _paths(weights) if _is_dense(weights, path)]
    given = ((path, f"{path}/vars/0") for path in sorted(found, key=_age))
    matrices = {path: np.shape(weights.arrays[name]) for path, name in given if name in weights}
    shapes = {path: shape for path, shape in matrices.items() if len(shape) == 2}
    path_of_all = chain(shapes, features, chosen) if len(shapes) == len(found) else []
    layers = []
    for path in path_of_all or [one_module("head", found, chosen)]:
        W = weights.take(f"{path}/vars/0", (features, None))
        features = W.shape[1]
        layers.append(Affine(W, weights.take_or_zeros(f"{path}/vars/1", features)))
    return layers


def _age(path: str) -> list[int]:
    """Return the numbers in a path, by which Keras counts layers of a kind."""
    return [int(number) for number in re.findall(r"\d{1,9}", path)]
