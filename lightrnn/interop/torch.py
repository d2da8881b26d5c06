"""PyTorch's names and layout of weights, brought into our form.

torch keeps matrices (outputs, inputs) with one row per unit of each gate, the gates in our order,
and two biases per direction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np

from ..nn.state_dict import TORCH_NAMES, TORCH_SUFFIXES, Direction
from ..utils.checks import shown
from .foreign import (
    ONE_LINEAR,
    SAVE_WEIGHTS,
    Affine,
    ForeignNetwork,
    Level,
    SourceWeights,
    cell_of,
    check_alike,
    in_order,
    one_module,
)
from .head_layers import chain
from .live import is_module
from .torch_folds import fold
from .torch_modules import check_modules
from .torch_pickle import Opaque

# Recurrent layers with more than lightrnn computes, by parts of the names of their weights.
_UNSUPPORTED = {
    re.compile(r"weight_hr_l\d"): "projections (proj_size)",
    re.compile(r"peephole|w(?:eight)?_c[ifo](?![a-z])"): "peepholes",
}
# A weight's name within its module. Three digits at most: no name can make the loop over layers
# long.
_RECURRENT = re.compile(r"(weight|bias)_[ih]h_l(\d{1,3})(_reverse)?")
_OF_CELL = re.compile(r"(weight|bias)_[ih]h")  # a cell reads step by step from a state of zeros
# Names of weights of classes in a loss, and of an embedding where its shape does not show it.
_OF_LOSS = re.compile(r"loss|crit|class_?weight|pos_?weight", re.IGNORECASE)
_OF_EMBEDDING = re.compile(r"emb|token|vocab|wte", re.IGNORECASE)


def find_state_dict(source: Any, ignore: str | Sequence[str] = ()) -> Mapping[str, Any]:
    """Return the weights by name of a module, a state_dict, or a checkpoint with one state_dict.

    Weights whose names match one of the patterns `ignore` are left out.

    Raises
    ------
    TypeError
        If `source` is none of these.
    ValueError
        If a module has layers that are not computed here, or a checkpoint has no state_dict or
        several.
    """
    if is_module(source):
        check_modules(source)
        source = source.state_dict()
    if not isinstance(source, Mapping):
        raise TypeError(
            f"source must be a path, a state_dict or a module, got {shown(source)}. "
            "Pass model.state_dict()."
        )
    if _is_state_dict(source):
        return _without(source, ignore)
    # By identity, since a file can name one dict under many keys.
    values = {id(value): value for value in source.values()}.values()
    found = [value for value in values if _is_state_dict(value)]
    # A few plain values may stand among the weights themselves.
    arrays = {name: value for name, value in source.items() if _is_weight(name, value)}
    found += [arrays] if arrays else []
    if len(found) > 1:  # statistics of the data, for example
        found = [value for value in found if any("weight_hh" in name for name in value)] or found
    if len(found) != 1:
        raise ValueError(_not_one(source, len(found)))
    return _without(found[0], ignore)


def _without(state: Mapping[str, Any], ignore: str | Sequence[str]) -> Mapping[str, Any]:
    """Return a state_dict without the weights that match a pattern."""
    patterns = [ignore] if isinstance(ignore, str) else list(ignore)
    if not all(isinstance(pattern, str) for pattern in patterns):
        raise TypeError(
            f"ignore must be patterns of names, got {shown(ignore)}. Give strings, such as "
            "['similarity_*']."
        )
    return {
        name: array
        for name, array in state.items()
        if not any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def _not_one(source: Mapping[Any, Any], count: int) -> str:
    """Return the message about a dict with no state_dict, or several."""
    for key, value in source.items():
        if isinstance(value, Opaque) and not count:
            return (
                f"source must hold tensors and plain values alone, got {shown(key)} "
                f"with the class or function {value.name!r}. {SAVE_WEIGHTS}"
            )
    keys = shown([key for key in source if isinstance(key, str)])
    return (
        f"source must be a state_dict or hold one, got {keys} with {count} of them. "
        "Name it, state_dict='...', or pass the state_dict itself."
    )


def _is_state_dict(value: Any) -> bool:
    """Whether a value is a mapping of names to arrays, and not empty."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(_is_weight(name, array) for name, array in value.items())


def _is_weight(name: Any, array: Any) -> bool:
    """Whether a dict's item is an array with a name; a NumPy scalar is none."""
    return isinstance(name, str) and hasattr(array, "shape") and not isinstance(array, np.generic)


def read_torch(
    state: Mapping[str, Any],
    *,
    recurrent: str | Sequence[str] | None = None,
    head: str | None = None,
    embedding: str | None = None,
    tied: bool = False,
) -> ForeignNetwork:
    """Bring a state_dict into our form.

    Parameters
    ----------
    state : mapping of str to array-like
        Weights by torch's names.
    recurrent : str or sequence of str, optional
        Names of the recurrent modules from first to last; by default those found.
    head, embedding : str, optional
        Names of the output layer and of the embedding; by default those found.
    tied : bool, default=False
        Whether the output layer's matrix is the embedding's, so that it may be missing.

    Raises
    ------
    ValueError
        If a weight is missing, misshapen or left over, or belongs to a layer that is not computed
        here.
    """
    state = {_name_in_layer(name): array for name, array in state.items()}
    modules = _modules(state)
    _refuse_unsupported(modules)
    found = [name for name, ends in modules.items() if any(map(_RECURRENT.fullmatch, ends))]
    names = in_order(found, recurrent, state)
    linear_layers = [] if tied else _chain(state, names, head)
    heads = linear_layers if head is None else [head, *linear_layers]
    state, folded = fold(state, names, heads, tied)
    weights = SourceWeights(state)
    modules = _modules(weights.arrays)
    levels: list[Level] = []
    for name in names:
        width = levels[-1].width if levels else None
        levels += _module_levels(weights, name, modules.get(name, []), width)
    check_alike(levels)
    attention = None
    if "attention.weight" in weights and "attention" not in (head, embedding):
        attention = weights.take("attention.weight", (1, levels[-1].width))[0]
        del modules["attention"]
    linear = _linear_modules(weights, modules)
    width = levels[-1].width
    hidden: list[Affine] = []
    for name in linear_layers[:-1]:
        matrix = weights.take(f"{name}.weight", (None, width)).T
        hidden.append(Affine(matrix, weights.take(f"{name}.bias", (matrix.shape[1],))))
        width = matrix.shape[1]
        del linear[name]
    output = linear_layers[-1] if hidden else _head_name(linear, head, embedding, width, tied=tied)
    table = _embedding(weights, linear, embedding, output, levels[0].n_features)
    W, b = _head(weights, linear, output, width, table if tied else None)
    _drop_loss(weights, levels, len(b))
    weights.finish()
    network = ForeignNetwork(levels, W, b, table, attention=attention, folded=tuple(folded))
    return network._replace(hidden=tuple(hidden))


def _chain(state: Mapping[str, Any], recurrent: Sequence[str], head: str | None) -> list[str]:
    """Return the linear layers of a head of several, from first to last; none of another head.

    A state_dict has modules in the order in which they were made, mostly that of their use: one
    layer behind the recurrent ones is all of the head if another one stands before them and gives
    what they read.
    """
    last = f"{recurrent[-1]}." if recurrent[-1] else ""
    first = f"{recurrent[0]}." if recurrent[0] else ""
    found = np.shape(state.get(f"{last}weight_hh_l0", 0))
    width = found[-1] * (1 + (f"{last}weight_hh_l0_reverse" in state)) if found else 0
    order = {name: number for number, name in enumerate(state)}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, array in state.items():
        module, _, end = name.rpartition(".")
        if end == "weight" and np.ndim(array) == 2 and f"{module}.bias" in state:
            shapes[module] = tuple(np.shape(array))[::-1]
    begin = next((i for name, i in order.items() if name.startswith(last)), 0)
    after = {m: shape for m, shape in shapes.items() if order[f"{m}.weight"] > begin}
    read = np.shape(state.get(f"{first}weight_ih_l0", 0))[-1:]
    projected = any(shapes[module][1:] == read for module in shapes.keys() - after.keys())
    paths = ((1 + (not projected), after), (2, shapes))
    found = ((least, chain(some, width, head)) for least, some in paths)
    return next((path for least, path in found if len(path) >= least), [])


def _name_in_layer(name: str) -> str:
    """Return the name that a weight of a cell, such as nn.LSTMCell, has in a layer."""
    return f"{name}_l0" if _OF_CELL.fullmatch(name.rpartition(".")[2]) else name


def _modules(names: Iterable[str]) -> dict[str, list[str]]:
    """Return the names of weights within their module, the part after the last dot, by module."""
    modules: dict[str, list[str]] = {}
    for name in names:
        module, _, end = name.rpartition(".")
        modules.setdefault(module, []).append(end)
    return modules


def _refuse_unsupported(modules: Mapping[str, list[str]]) -> None:
    """Refuse weights whose names belong to layers that are not computed here."""
    for module, ends in modules.items():
        for end in ends:
            name = f"{module}.{end}"
            for pattern, feature in _UNSUPPORTED.items():
                if pattern.search(name):
                    raise ValueError(
                        f"source must have recurrent layers without {feature}, got {shown(name)}. "
                        "They are not computed here; train the model without."
                    )


def _module_levels(
    weights: SourceWeights,
    module: str,
    ends: Iterable[str],
    features: int | None,
) -> list[Level]:
    """Return a recurrent module's layers; the first one's input has `features`, None for any."""
    prefix = f"{module}." if module else ""  # a state_dict of an nn.LSTM itself has no prefix
    recurrent_name = f"{prefix}weight_hh_l0"
    rows, H = weights.shape(recurrent_name, 2)  # (G*H, H)
    cell = cell_of(recurrent_name, H, rows)
    if features is None:
        features = weights.shape(f"{prefix}weight_ih_l0", 2)[1]
    matches = list(filter(None, map(_RECURRENT.fullmatch, ends)))
    depth = 1 + max(int(match[2]) for match in matches)
    both = any(match[3] for match in matches)
    biased = any(match[1] == "bias" for match in matches)
    levels = []
    for number in range(depth):
        directions = tuple(
            _direction(weights, prefix, f"_l{number}{suffix}", (rows, features, H), biased)
            for suffix in TORCH_SUFFIXES[: 1 + both]
        )
        levels.append(Level(cell, directions))
        features = levels[-1].width
    return levels


def _direction(
    weights: SourceWeights,
    prefix: str,
    suffix: str,
    sizes: tuple[int, int, int],
    biased: bool,
) -> Direction:
    """Take one direction: its weights' names have this prefix and suffix."""
    rows, features, H = sizes
    shapes = ((rows, features), (rows, H), (rows,), (rows,))
    arrays = []
    for name, shape in zip(TORCH_NAMES, shapes, strict=True):
        if biased or len(shape) == 2:
            # torch keeps matrices (outputs, inputs); a bias is its own transpose.
            arrays.append(weights.take(f"{prefix}{name}{suffix}", shape).T)
        else:
            arrays.append(np.zeros(shape))
    return Direction(*arrays)


class _LinearModule(NamedTuple):
    """A module that may be the output layer or the embedding."""

    shape: tuple[int, ...]  # of its matrix; empty where it has none, as with tied weights
    biased: bool


def _linear_modules(
    weights: SourceWeights,
    modules: Mapping[str, list[str]],
) -> dict[str, _LinearModule]:
    """Return the modules with a matrix, or with a bias and no weight, by their names."""
    found = {}
    for name, ends in modules.items():
        shape = np.shape(weights.arrays[f"{name}.weight"]) if name and "weight" in ends else ()
        if name and (len(shape) == 2 or ("bias" in ends and not shape)):
            found[name] = _LinearModule(shape, "bias" in ends)
    return found


def _head_name(
    linear: Mapping[str, _LinearModule],
    chosen: str | None,
    embedding: str | None,
    width: int,
    *,
    tied: bool,
) -> str | None:
    """Return the name of the output layer, which reads `width` columns; None if it has no weights.

    With tied weights the output layer may be the embedding and nothing else.
    """
    if chosen is not None:
        return chosen
    biased = [name for name, module in linear.items() if module.biased]
    plain = [name for name in linear if name not in biased and name != embedding]
    if tied and not biased and len(linear) == 1:
        return None
    # A linear layer without a bias looks like an embedding, but for its shape or its name.
    found = biased or [name for name in plain if linear[name].shape[1] == width] or plain
    if len(found) > 1:
        found = [name for name in found if linear[name].shape[1:] in ((), (width,))] or found
    if len(found) > 1 and not biased:
        found = [name for name in found if not _OF_EMBEDDING.search(name)] or found
    return one_module("head", found, None)


def _embedding(
    weights: SourceWeights,
    linear: Mapping[str, _LinearModule],
    chosen: str | None,
    head: str | None,
    features: int,
) -> np.ndarray | None:
    """Take the embedding (V, E), if there is one: a weight without a bias."""
    plain = [name for name, module in linear.items() if not module.biased and name != head]
    # Others are linear layers, which are left over.
    found = [
        name for name in plain if linear[name].shape[1] == features or _OF_EMBEDDING.search(name)
    ]
    if chosen is None and not found:
        return None
    return weights.take(f"{one_module('embedding', found, chosen)}.weight", (None, features))


def _head(
    weights: SourceWeights,
    linear: Mapping[str, _LinearModule],
    name: str | None,
    features: int,
    table: np.ndarray | None,
) -> tuple[np.ndarray | None, np.ndarray]:
    """Take the output layer's matrix and bias; with tied weights the matrix may be missing."""
    if table is not None and (name is None or f"{name}.weight" not in weights):
        return None, weights.take_or_zeros(f"{name}.bias", len(table))
    columns = linear[name].shape[1:] if name is not None and name in linear else ()
    before = [other for other, module in linear.items() if module.shape[:1] == columns]
    if columns not in ((), (features,)) and before:
        raise ValueError(
            "source must have one linear layer, which reads the last recurrent layer, "
            f"got {shown(before[0])} before {shown(name)}. {ONE_LINEAR}"
        )
    W = weights.take(f"{name}.weight", (None, features)).T  # (D, k)
    return W, weights.take_or_zeros(f"{name}.bias", W.shape[1])


def _drop_loss(weights: SourceWeights, levels: Sequence[Level], outputs: int) -> None:
    """Pass over the weights of classes that a loss has: no prediction needs them."""
    widths = {levels[0].n_features, *(level.width for level in levels)}
    for name in list(weights.left):
        module, _, end = name.rpartition(".")
        shape = np.shape(weights.arrays[name])
        # One weight per output, as no normalisation in the network has.
        per_class = end == "weight" and shape == (outputs,) and outputs not in widths
        of_loss = per_class or _OF_LOSS.search(name)
        if len(shape) == 1 and of_loss and f"{module}.bias" not in weights:
            del weights.left[name]
