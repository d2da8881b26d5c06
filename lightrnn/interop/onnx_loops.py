"""Recurrent layers that tf2onnx has written as a Loop over the steps, as it does with Keras's GRU.

What a loop computes is found by running it on random numbers: it is the GRU or RNN with the
matrices in it, if that layer gives the same states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..utils.archive import Arrays
from .foreign import UnsupportedError
from .onnx_numbers import Numbers

_GATES = {"GRU": 3, "RNN": 1}
_CLOSE = 1e-4


class Candidate(NamedTuple):
    """A layer that a loop may be: its operator, its node's attributes, and its weights."""

    operator: str
    attributes: dict[str, Any]
    W: np.ndarray  # (1, gates * H, F)
    R: np.ndarray  # (1, gates * H, H)
    B: np.ndarray  # (1, 2 * gates * H)


def captured(body: Any) -> list[str]:
    """Return the names that the body of a loop reads from around it."""
    inside = {value.name for value in [*body.input, *body.initializer]}
    inside |= {name for node in body.node for name in node.output}
    read = [name for node in body.node for name in node.input]
    read += [value.name for value in body.output]
    return list(dict.fromkeys(name for name in read if name and name not in inside))


def follow(
    values: Mapping[str, Any],
    arrays: Iterable[np.ndarray],
    run: Callable[[Arrays], list[np.ndarray]],
    run_layer: Callable[[Candidate, Any], list[Any]],
) -> list[Any]:
    """Return what a loop gives for named numbers.

    Parameters
    ----------
    values : mapping of str to object
        All that the loop reads, by name.
    arrays : iterable of ndarray
        Constants within the loop.
    run : callable
        Runs the loop on arrays in place of the values.
    run_layer : callable
        Returns the outputs of a layer for arrays or named numbers X (T, B, F).

    Raises
    ------
    UnsupportedError
        If it is no layer that is computed here.
    """
    named = [name for name, value in values.items() if isinstance(value, Numbers)]
    if len(named) != 1 or values[named[0]].names.ndim != 3:
        raise UnsupportedError("the operator 'Loop' over other numbers than a layer's input")
    X = values[named[0]]
    rng = np.random.default_rng(0)
    given, other = (rng.normal(size=X.names.shape).astype(np.float32) for _ in range(2))
    constants = {name: value for name, value in values.items() if name != named[0]}
    found, varied = (run({**constants, named[0]: each}) for each in (given, other))
    weights = [*map(np.asarray, constants.values()), *arrays]
    for candidate in _candidates(weights, X.names.shape[-1]):
        states = run_layer(candidate, given)
        places = [_place(out, again, states) for out, again in zip(found, varied, strict=True)]
        if None not in places and {"Y", "Y_h"} & set(places):
            Y, Y_h = (found.names for found in run_layer(candidate, X)[:2])
            # The evaluator joins the outputs of all steps without an axis of steps.
            names = {"Y": Y.reshape(*X.names.shape[:2], -1), "Y_h": Y_h[0]}
            return [
                Numbers(names[place]) if place in names else out
                for place, out in zip(places, found, strict=True)
            ]
    raise UnsupportedError(
        "the operator 'Loop' that is no GRU (reset_after) or SimpleRNN with tanh; give the Keras "
        "model itself to from_keras"
    )


def _place(out: np.ndarray, again: np.ndarray, states: list[Any]) -> str | None:
    """Return which of a layer's outputs an array is, "" for one that is the same for all X."""
    for name, expected in zip(("Y", "Y_h"), states, strict=False):
        alike = out.size == expected.size
        if alike and np.allclose(out.reshape(-1), expected.reshape(-1), rtol=0, atol=_CLOSE):
            return name
    return "" if np.array_equal(out, again) else None


def _candidates(arrays: list[np.ndarray], F: int) -> Iterator[Candidate]:
    """Yield the layers whose weights are among arrays in Keras's form."""
    matrices = [array for array in arrays if array.ndim == 2 and array.dtype.kind == "f"]
    for (operator, gates), W, R in product(_GATES.items(), matrices, matrices):
        H = len(R)
        if W.shape != (F, gates * H) or R.shape != (H, gates * H) or W is R:
            continue
        biases = [array for array in arrays if array.size == (1 + (operator == "GRU")) * gates * H]
        for bias in [*biases, np.zeros(2 * gates * H, np.float32)]:
            B = np.zeros((1, 2 * gates * H), np.float32)
            B[0, : bias.size] = bias.reshape(-1)
            attributes = {"hidden_size": H}
            if operator == "GRU":
                attributes["linear_before_reset"] = 1
            yield Candidate(operator, attributes, W.T[None], R.T[None], B)
