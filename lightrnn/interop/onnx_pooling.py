"""Pooling in ONNX's operators: the states of each sequence's own steps become one row."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class PooledNames(NamedTuple):
    """Names of what is pooled of a sequence, and of what the next steps need; see `cpu/pooling.py`.

    They are h (batch, D), and weight and score (batch, 1).
    """

    h: str
    weight: str
    score: str


class PoolingNodes:
    """Adds the nodes of a pooling to a graph.

    Parameters
    ----------
    add : callable
        Adds a node, ``add(operator, *inputs, **attributes)``, and returns the name of its result.
    constant : callable
        Adds an array, ``constant(name, values)``, and returns its name.
    lengths : str
        Name of the number of steps of each sequence (batch,).
    w : str
        Name of attention's query (D,); "" for others.
    """

    def __init__(
        self, add: Callable[..., str], constant: Callable[..., str], lengths: str, w: str
    ) -> None:
        self._add = add
        self._lengths = lengths
        self._w = w
        self._first = constant("pooling.first_axis", [0])
        self._time = constant("pooling.time_axis", [1])
        self._last = constant("pooling.last_axis", [2])
        self._zero = constant("pooling.zero", [0.0])
        self._one = constant("pooling.one", [1])
        self._lowest = constant("pooling.lowest", [float(np.finfo(np.float32).min)])

    def pooled(self, kind: str, rows: str, before: PooledNames | None) -> PooledNames:
        """Pool the states (batch, time, D) of each sequence, and what is pooled of earlier steps.

        Parameters
        ----------
        kind : {"mean", "max", "attention"}
            How states are pooled.
        rows : str
            The states; those beyond a sequence's length mean nothing.
        before : PooledNames or None
            What is pooled of earlier steps, of weight 0 if there are none.
        """
        mask = self._mask(rows)
        if kind == "max":
            return self._maximum(rows, mask, before)
        return self._mean(rows, mask, before)

    def _mask(self, rows: str) -> str:
        """Return whether each step belongs to its sequence, (batch, time, 1)."""
        add = self._add
        length = add("Squeeze", add("Gather", add("Shape", rows), self._time))
        steps = add("Range", add("Squeeze", self._first), length, add("Squeeze", self._one))
        inside = add("Less", steps, add("Unsqueeze", self._lengths, self._time))
        return add("Unsqueeze", inside, self._last)

    def _maximum(self, rows: str, mask: str, before: PooledNames | None) -> PooledNames:
        """Return the maxima."""
        h = self._greatest(rows, mask, keepdims=0)
        if before is None:
            return PooledNames(h, "", "")
        begun = self._add("Greater", before.weight, self._zero)
        h = self._add("Where", begun, self._add("Max", h, before.h), h)
        lengths = self._add("Cast", self._add("Unsqueeze", self._lengths, self._time), to=1)
        return PooledNames(h, self._add("Add", before.weight, lengths), before.score)

    def _greatest(self, values: str, mask: str, keepdims: int) -> str:
        """Return the greatest values over each sequence's steps."""
        inside = self._add("Where", mask, values, self._lowest)
        return self._add("ReduceMax", inside, axes=[1], keepdims=keepdims)

    def _mean(self, rows: str, mask: str, before: PooledNames | None) -> PooledNames:
        """Return the means, weighted by attention if there is a query."""
        add = self._add
        # Zeros: an infinite state of a step beyond the end would become NaN with a weight of 0.
        rows = add("Where", mask, rows, self._zero)
        weights = add("Cast", mask, to=1)
        greatest = ""
        if self._w:
            scores = add("MatMul", rows, add("Unsqueeze", self._w, self._time))
            greatest = self._greatest(scores, mask, keepdims=0)  # (batch, 1)
            if before is not None:
                begun = add("Greater", before.weight, self._zero)
                greatest = add("Where", begun, add("Max", greatest, before.score), greatest)
            relative = add("Sub", scores, add("Unsqueeze", greatest, self._time))
            weights = add("Where", mask, add("Exp", relative), self._zero)
        total = add("ReduceSum", weights, self._time, keepdims=0)  # (batch, 1)
        h = add("ReduceSum", add("Mul", rows, weights), self._time, keepdims=0)  # (batch, D)
        if before is None:
            return PooledNames(add("Div", h, total), "", "")
        weight = before.weight
        if self._w:
            power = add("Exp", add("Sub", before.score, greatest))
            weight = add("Where", begun, add("Mul", weight, power), self._zero)
        total = add("Add", total, weight)
        h = add("Div", add("Add", h, add("Mul", before.h, weight)), total)
        return PooledNames(h, total, greatest or before.score)
