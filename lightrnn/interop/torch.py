"""PyTorch's names and layout of weights, brought into our form.

torch keeps matrices (outputs, inputs) with one row per unit of each gate, the gates in our order,
and two biases per direction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..nn.state_dict import TORCH_NAMES, TORCH_SUFFIXES, Direction
from ..utils.checks import shown
from .foreign import (
    ForeignNetwork,
    Level,
    SourceWeights,
    cell_of,
    check_alike,
    in_order,
    one_module,
)

# Recurrent layers with more than lightrnn computes, by the names of their weights.
_UNSUPPORTED = {
    r".*weight_hr_l\d.*": "projections (proj_size)",
    r".*(?:peephole|w(?:eight)?_c[ifo](?![a-z])).*": "peepholes",
}
# The end of a weight's name. Three digits at most: no name can make the loop over layers long.
_LAYER = r"l(\d{1,3})(?:_reverse)?"
# Files of torch.nn.modules whose layers are computed here, or change no prediction.
_SUPPORTED_FILES = ("rnn", "linear", "sparse", "dropout", "container", "loss")
_OUTPUT_ACTIVATIONS = ("Softmax", "LogSoftmax", "Sigmoid")


def find_state_dict(source: Any) -> Mapping[str, Any]:
    """Return the weights by name of a module, a state_dict, or a checkpoint with one state_dict.

    Raises
    ------
    TypeError
        If `source` is none of these.
    ValueError
        If a module has layers that are not computed here, or a checkpoint has no state_dict or
        several.
    """
    if hasattr(source, "state_dict") and hasattr(source, "named_modules"):
        _check_modules(source)
        source = source.state_dict()
    if not isinstance(source, Mapping):
        raise TypeError(
            f"source must be a path, a state_dict or a module, got {shown(source)}. "
            "Pass model.state_dict()."
        )
    if _is_state_dict(source):
        return source
    inside = [value for value in source.values() if _is_state_dict(value)]
    if len(inside) != 1:
        raise ValueError(
            f"source must be a state_dict or hold one, got {shown(list(source))} with "
            f"{len(inside)} of them. Pass the state_dict itself."
        )
    return inside[0]


def _is_state_dict(value: Any) -> bool:
    """Whether a value is a mapping of names to arrays, and not empty."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(name, str) and hasattr(array, "shape") for name, array in value.items())


def _check_modules(module: Any) -> None:
    """Refuse what a state_dict does not show: layers without weights, or an activation but tanh."""
    for name, part in module.named_modules():
        if not _is_supported(type(part)):
            raise ValueError(
                f"source must have layers that are computed here, got {name!r} of class "
                f"{type(part).__name__}. They are nn.LSTM, nn.GRU, nn.RNN, nn.Linear, nn.Embedding "
                "and dropout."
            )
        nonlinearity = getattr(part, "nonlinearity", "tanh")
        # Any module may have an attribute `nonlinearity`; a recurrent one has a `hidden_size` too.
        if hasattr(part, "hidden_size") and nonlinearity != "tanh":
            raise ValueError(
                f"source must have recurrent layers with tanh, got {name!r} with "
                f"nonlinearity={nonlinearity!r}. Train it with tanh."
            )


def _is_supported(kind: type) -> bool:
    """Whether a class is the user's own, or one of torch's that is computed here."""
    package, _, file = kind.__module__.rpartition(".")
    own = package != "torch.nn.modules"  # it may only hold layers; its forward cannot be checked
    return own or file in _SUPPORTED_FILES or kind.__name__ in _OUTPUT_ACTIVATIONS


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
    weights = SourceWeights(state)
    _refuse_unsupported(weights)
    matches = weights.names(rf"(.*\.|)weight_[ih]h_{_LAYER}")
    found = dict.fromkeys(match[1] for match in matches)
    levels: list[Level] = []
    for name in in_order((prefix[:-1] for prefix in found), recurrent):
        prefix = f"{name}." if name else ""  # a state_dict of an nn.LSTM itself has no prefix
        levels += _module_levels(weights, prefix, levels[-1].width if levels else None)
    check_alike(levels)
    table = _embedding(weights, embedding, head, levels[0].n_features)
    W, b = _head(weights, head, levels[-1].width, table if tied else None)
    weights.finish()
    return ForeignNetwork(levels, W, b, table)


def _refuse_unsupported(weights: SourceWeights) -> None:
    """Refuse weights whose names belong to layers that are not computed here."""
    for pattern, feature in _UNSUPPORTED.items():
        for match in weights.names(pattern):
            raise ValueError(
                f"source must have recurrent layers without {feature}, got {match[0]!r}. "
                "They are not computed here; train the model without."
            )


def _module_levels(
    weights: SourceWeights,
    prefix: str,
    features: int | None,
) -> list[Level]:
    """Return a recurrent module's layers; the first one's input has `features`, None for any."""
    recurrent_name = f"{prefix}weight_hh_l0"
    rows, H = weights.shape(recurrent_name, 2)  # (G*H, H)
    cell = cell_of(recurrent_name, H, rows)
    if features is None:
        features = weights.shape(f"{prefix}weight_ih_l0", 2)[1]
    start = re.escape(prefix)
    matches = weights.names(rf"{start}weight_[ih]h_{_LAYER}")
    depth = 1 + max(int(match[1]) for match in matches)
    both = any(match[0].endswith("_reverse") for match in matches)
    biased = bool(weights.names(rf"{start}bias_[ih]h_{_LAYER}"))
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


def _modules(weights: SourceWeights, kind: str) -> list[str]:
    """Return the modules with a "weight" or a "bias"; recurrent layers have other names."""
    return [match[1] for match in weights.names(rf"(?:(.*)\.)?{kind}") if match[1] is not None]


def _embedding(
    weights: SourceWeights,
    chosen: str | None,
    head: str | None,
    features: int,
) -> np.ndarray | None:
    """Take the embedding (V, E), if there is one: a weight without a bias."""
    # A linear layer without a bias looks like an embedding, unless the user says it is the head.
    linear = {*_modules(weights, "bias"), head}
    found = [name for name in _modules(weights, "weight") if name not in linear]
    if chosen is None and not found:
        return None
    return weights.take(f"{one_module('embedding', found, chosen)}.weight", (None, features))


def _head(
    weights: SourceWeights,
    chosen: str | None,
    features: int,
    table: np.ndarray | None,
) -> tuple[np.ndarray | None, np.ndarray]:
    """Take the output layer's matrix and bias; with tied weights the matrix may be missing."""
    name = one_module("head", _modules(weights, "bias"), chosen)
    if table is not None and f"{name}.weight" not in weights:
        return None, weights.take(f"{name}.bias", (len(table),))
    W = weights.take(f"{name}.weight", (None, features)).T  # (D, k)
    return W, weights.take_or_zeros(f"{name}.bias", W.shape[1])
