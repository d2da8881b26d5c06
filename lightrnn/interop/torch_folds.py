"""Modules of a state_dict that are put into the weights of the layer above them.

A linear layer before the recurrent ones, a BatchNorm that no longer learns, and buffers that scale
the features are affine functions of the columns that a layer reads, ``x @ W + b``. So is what a
layer makes of its input, and the two are one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..nn.state_dict import TORCH_SUFFIXES
from .foreign import Affine, doubles, normalization

_EPSILON = 1e-5  # torch's, of a BatchNorm
_NORMALIZED = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_SCALER = re.compile(r"((?:.*\.)?(?:x_|input_|inputs_|feature_|features_)?)(mean|mu)")
_SCALES = {"mean": ("std", "scale", "sigma"), "mu": ("sigma", "std")}


class Fold(NamedTuple):
    """Weights that are put into a layer, and the names that they have in the source."""

    module: str  # for messages
    names: tuple[str, ...]
    affine: Affine


def fold(
    state: Mapping[str, Any], recurrent: Sequence[str], head: Sequence[str], tied: bool
) -> tuple[dict[str, Any], list[str]]:
    """Return a state_dict without modules that other weights can take in, and their names.

    Parameters
    ----------
    state : mapping of str to array-like
        Weights by torch's names.
    recurrent : sequence of str
        The recurrent modules, from first to last.
    head : sequence of str
        The linear layers after the recurrent ones, as far as they are known.
    tied : bool
        Whether the output layer's matrix is the embedding's, into which nothing can be put.

    Returns
    -------
    state : dict
        A state_dict of the same function.
    modules : list of str
        Names of the modules that were taken in.
    """
    found = dict(state)
    modules = []
    order = list(state)
    first = recurrent[0]
    input_name = f"{_prefix(first)}weight_ih_l0"
    needed = (input_name, *(f"{_prefix(name)}weight_hh_l0" for name in recurrent))
    if any(np.ndim(found.get(name, 0)) != 2 for name in needed):
        return found, []  # which is refused where weights are taken
    for one in _normalizations(found):
        consumer = _consumer(found, order, one, recurrent, head)
        if consumer is None or (tied and consumer not in recurrent):
            continue
        if consumer in recurrent:
            _into_recurrent(found, consumer, one)
        else:
            _into(found, f"{consumer}.weight", f"{consumer}.bias", one)
        modules.append(one.module)
    for one in _folds_of_input(found, recurrent[-1], input_name, head):
        _into_recurrent(found, first, one)
        modules.append(one.module)
    return found, modules


def _prefix(module: str) -> str:
    """Return the beginning of the names of a module's weights."""
    return f"{module}." if module else ""


def _size(array: Any) -> int:
    """Return the number of values of an array or tensor, whose `size` is a method."""
    return math.prod(np.shape(array))


# -- what can be put into another layer -----------------------------------------------------------


def _folds_of_input(
    state: dict[str, Any], last: str, input_name: str, head: Sequence[str]
) -> Iterator[Fold]:
    """Yield what stands before the first recurrent layer, the nearest to it first."""
    while (linear := _linear_before(state, last, input_name, head)) is not None:
        bias = f"{linear}.bias"
        W = doubles(state, f"{linear}.weight").T
        b = doubles(state, bias) if bias in state else np.zeros(W.shape[1])
        yield Fold(linear, (f"{linear}.weight", bias), Affine(W, b))
    F = np.shape(state[input_name])[1]
    for name in list(state):
        match = _SCALER.fullmatch(name)
        scales = [f"{match[1]}{end}" for end in _SCALES[match[2]]] if match else []
        for scale in scales:
            if scale in state and {_size(state[name]), _size(state[scale])} <= {1, F}:
                mean, divisor = (
                    np.broadcast_to(doubles(state, each).reshape(-1), (F,))
                    for each in (name, scale)
                )
                yield Fold(name, (name, scale), Affine(np.diag(1 / divisor), -mean / divisor))
                return


def _linear_before(
    state: Mapping[str, Any], last: str, input_name: str, head: Sequence[str]
) -> str | None:
    """Return a linear module that gives what the first recurrent layer reads, if there is one.

    Its columns must not be those of an output layer, which reads the `last` recurrent module,
    unless another module is named as that.
    """
    H = np.shape(state[f"{_prefix(last)}weight_hh_l0"])[1]
    both = f"{_prefix(last)}weight_hh_l0_reverse" in state
    F = np.shape(state[input_name])[1]
    for name, value in state.items():
        module, _, end = name.rpartition(".")
        shape = tuple(np.shape(value))
        if end == "weight" and len(shape) == 2 and shape[0] == F and module not in head:
            biased = f"{module}.bias" in state
            if biased and (head or shape[1] != H * (1 + both)):
                return module
    return None


def _normalizations(state: Mapping[str, Any]) -> Iterator[Fold]:
    """Yield the BatchNorms."""
    for name in list(state):
        module, _, end = name.rpartition(".")
        if end != "running_mean" or f"{module}.running_var" not in state:
            continue
        names = tuple(f"{module}.{part}" for part in _NORMALIZED)
        # Gain and shift are there, or neither.
        learned = [doubles(state, part) for part in names[:2] if names[0] in state]
        mean, variance = (doubles(state, part) for part in names[2:4])
        scale, shift = normalization(mean, variance, _EPSILON, *learned)
        yield Fold(module, names, Affine(np.diag(scale), shift))


def _consumer(
    state: Mapping[str, Any],
    order: Sequence[str],
    one: Fold,
    recurrent: Sequence[str],
    head: Sequence[str],
) -> str | None:
    """Return the module that reads what a BatchNorm gives: the only one of its size, or the next.

    A state_dict has modules in the order in which they were made. A matrix without a bias that
    stands before is an embedding.
    """
    place = order.index(one.names[2])
    widths: dict[str, int] = {}
    for name, value in state.items():
        module, _, end = name.rpartition(".")
        if module in recurrent and end == "weight_ih_l0":
            widths[module] = np.shape(value)[1]
        elif end == "weight" and np.ndim(value) == 2 and (not head or module in head):
            if f"{module}.bias" in state or order.index(name) > place:
                widths[module] = np.shape(value)[1]
    fitting = [module for module, width in widths.items() if width == len(one.affine.W)]
    if len(fitting) > 1:
        fitting = [m for m in fitting if _place(order, m) > place] or fitting
    return min(fitting, key=lambda module: _place(order, module), default=None)


def _place(order: Sequence[str], module: str) -> int:
    """Return where a module's first weight stands."""
    return next(i for i, name in enumerate(order) if name.startswith(_prefix(module)))


# -- putting it in --------------------------------------------------------------------------------


def _into_recurrent(state: dict[str, Any], module: str, one: Fold) -> None:
    """Put an affine function into both directions of a recurrent module's first layer."""
    prefix = _prefix(module)
    suffixes = [f"_l0{suffix}" for suffix in TORCH_SUFFIXES]
    if not any(f"{prefix}bias_ih_l0" in name for name in state):
        for name in [
            name for name in state if re.match(rf"{re.escape(prefix)}weight_[ih]h_l", name)
        ]:
            # A module has all biases or none; one layer needs them now.
            state[name.replace("weight_", "bias_")] = np.zeros(np.shape(state[name])[0])
    for suffix in suffixes:
        if f"{prefix}weight_ih{suffix}" in state:
            _into(state, f"{prefix}weight_ih{suffix}", f"{prefix}bias_ih{suffix}", one)


def _into(state: dict[str, Any], weight: str, bias: str, one: Fold) -> None:
    """Put an affine function into a layer's matrix (outputs, inputs) and bias."""
    W = doubles(state, weight)
    b = doubles(state, bias) if bias in state else np.zeros(len(W))
    state[bias] = b + W @ one.affine.b
    state[weight] = W @ one.affine.W.T
    for name in one.names:
        state.pop(name, None)
