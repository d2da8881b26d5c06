"""PyTorch's names and layout of weights, and ours.

torch keeps (outputs, inputs) matrices with gates i, f, g, o and r, z, n by rows, and two biases a direction.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..utils.checks import shown
from .foreign import (
    Direction,
    ForeignNetwork,
    SourceWeights,
    cell_of,
    check_alike,
    in_order,
    one_module,
)

if TYPE_CHECKING:
    pass
from ..nn.state_dict import _SUFFIXES

_PEEPHOLES = r".*(?:peephole|w(?:eight)?_c[ifo](?![a-z])).*"
_PARTS = ("rnn", "linear", "sparse", "dropout", "container", "loss")  # modules of torch.nn.modules
_LINKS = ("Softmax", "LogSoftmax", "Sigmoid")


def state_of(source: Any) -> Mapping[str, Any]:
    """Return the mapping of weights in a module, a state_dict, or a checkpoint that holds one beside other things.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If a module computes what is not computed here, or a checkpoint holds no state_dict, or several.
    """
    if hasattr(source, "state_dict") and hasattr(source, "named_modules"):
        _check_modules(source)
        source = source.state_dict()
    if not isinstance(source, Mapping):
        raise TypeError(
            f"source must be a path, a state_dict or a module, got {shown(source)}. Pass model.state_dict()."
        )
    if _is_state(source):
        return source
    inside = {
        key: held for key, held in source.items() if isinstance(held, Mapping) and _is_state(held)
    }
    if len(inside) != 1:
        raise ValueError(
            f"source must be a state_dict or hold one, got {shown(list(source))} with {len(inside)} of them. "
            "Pass the state_dict itself."
        )
    return next(iter(inside.values()))


def _is_state(mapping: Mapping[Any, Any]) -> bool:
    """Whether a mapping has names and arrays alone."""
    return bool(mapping) and all(
        isinstance(k, str) and hasattr(v, "shape") for k, v in mapping.items()
    )


def _check_modules(module: Any) -> None:
    """Refuse what a state_dict does not tell: a nonlinearity that is not tanh, a layer of torch's without weights."""
    for name, part in module.named_modules():
        if not _is_computed(type(part)):
            raise ValueError(
                f"source must have layers that are computed here, got {name!r} of class {type(part).__name__}. "
                "They are nn.LSTM, nn.GRU, nn.RNN, nn.Linear, nn.Embedding and dropout."
            )
        kind = getattr(part, "nonlinearity", "tanh")
        if hasattr(part, "hidden_size") and kind != "tanh":
            raise ValueError(
                f"source must have recurrent layers with tanh, got {name!r} with nonlinearity={kind!r}. "
                "Train it with tanh; nothing here computes another."
            )


def _is_computed(kind: type) -> bool:
    """Whether a module's class is the user's own, or one of torch's that is computed here or follows the outputs."""
    place, _, part = kind.__module__.rpartition(".")
    return place != "torch.nn.modules" or part in _PARTS or kind.__name__ in _LINKS


def read_torch(
    state: Mapping[str, Any],
    *,
    recurrent: str | Sequence[str] | None = None,
    head: str | None = None,
    embedding: str | None = None,
    tied: bool = False,
) -> ForeignNetwork:
    """Turn a state_dict into our form.

    Parameters
    ----------
    state : mapping of str to array-like
        Weights by torch's names.
    recurrent, head, embedding : str, or sequence of str for the first
        Names of the modules; by default those that their weights give away.
    tied : bool
        Whether the output layer's matrix is the embedding's, so that it may be missing.

    Raises
    ------
    ValueError
        If a weight is missing, misshapen or left over, or belongs to what is not computed here.
    """
    weights = SourceWeights(state)
    _refuse(weights)
    found = dict.fromkeys(
        match[1] for match in weights.names(r"(.*\.|)weight_[ih]h_l\d{1,3}(?:_reverse)?")
    )
    modules = in_order((prefix[:-1] for prefix in found), recurrent)
    levels: list[tuple[Direction, ...]] = []
    cells = [_module(weights, f"{name}." if name else "", levels) for name in modules]
    cell = check_alike(levels, cells)
    table = _embedding(weights, embedding, head, len(levels[0][0].W_ih))
    D = sum(len(direction.W_hh) for direction in levels[-1])
    W, b = _head(weights, head, D, table if tied else None)
    weights.finish()
    return ForeignNetwork(cell, levels, W, b, table)


def _refuse(weights: SourceWeights) -> None:
    """Refuse by name what is not computed here."""
    for pattern, what in (
        (r".*weight_hr_l\d.*", "projections (proj_size)"),
        (_PEEPHOLES, "peepholes"),
    ):
        for match in weights.names(pattern):
            raise ValueError(
                f"source must have recurrent layers without {what}, got {match[0]!r}. They are not computed here; "
                "train the model without."
            )


def _module(weights: SourceWeights, prefix: str, levels: list[tuple[Direction, ...]]) -> str:
    """Add a module's layers to `levels`; return its cell."""
    first = f"{prefix}weight_hh_l0"
    rows, H = weights.shape(first, 2)
    cell = cell_of(first, (H, rows))
    named = re.escape(prefix)
    depth = 1 + max(
        int(match[1]) for match in weights.names(rf"{named}weight_[ih]h_l(\d{{1,3}})(?:_reverse)?")
    )
    both = bool(weights.names(rf"{named}weight_[ih]h_l\d{{1,3}}_reverse"))
    biased = bool(weights.names(rf"{named}bias_[ih]h_l\d{{1,3}}(?:_reverse)?"))
    features = (
        sum(len(d.W_hh) for d in levels[-1])
        if levels
        else weights.shape(f"{prefix}weight_ih_l0", 2)[1]
    )
    for number in range(depth):
        ends = [f"_l{number}{suffix}" for suffix in _SUFFIXES[: 1 + both]]
        levels.append(
            tuple(_direction(weights, (prefix, end), (rows, features, H), biased) for end in ends)
        )
        features = H * len(ends)
    return cell


def _direction(
    weights: SourceWeights, place: tuple[str, str], sizes: tuple[int, int, int], biased: bool
) -> Direction:
    """Take one direction, from what stands before and behind its arrays' names; one without biases has zeros."""
    (prefix, end), (rows, features, H) = place, sizes
    b = [
        weights.take(f"{prefix}bias_{part}{end}", (rows,)) if biased else np.zeros(rows)
        for part in ("ih", "hh")
    ]
    return Direction(
        weights.take(f"{prefix}weight_ih{end}", (rows, features)).T,
        weights.take(f"{prefix}weight_hh{end}", (rows, H)).T,
        b[0],
        b[1],
    )


def _modules(weights: SourceWeights, kind: str) -> list[str]:
    """Return the names of modules that have a weight or bias of their own, not one of a recurrent layer."""
    return [match[1] for match in weights.names(rf"(?:(.*)\.)?{kind}") if match[1] is not None]


def _embedding(
    weights: SourceWeights, chosen: str | None, head: str | None, features: int
) -> np.ndarray | None:
    """Take the embedding, if there is one: a weight without a bias."""
    biased = {*_modules(weights, "bias"), head}
    found = [name for name in _modules(weights, "weight") if name not in biased]
    if chosen is None and not found:
        return None
    return weights.take(f"{one_module('embedding', found, chosen)}.weight", (None, features))


def _head(
    weights: SourceWeights, chosen: str | None, features: int, table: np.ndarray | None
) -> tuple[np.ndarray | None, np.ndarray]:
    """Take the output layer: a weight and a bias; the weight may be the embedding's, and the bias zeros."""
    name = one_module("head", _modules(weights, "bias"), chosen)
    if table is not None and f"{name}.weight" not in weights:
        return None, weights.take(f"{name}.bias", (len(table),))
    W = weights.take(f"{name}.weight", (None, features)).T
    biased = f"{name}.bias" in weights
    return W, weights.take(f"{name}.bias", (W.shape[1],)) if biased else np.zeros(W.shape[1])
