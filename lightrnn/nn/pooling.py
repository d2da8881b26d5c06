"""Pooling: from the last level's states at all steps of a sequence to one row, which is classified.

Without it the output layer reads the state at the sequence's last step alone, and the gradient has
to find its way back from there. Pooled states give every step a short way to the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from .parameters import Parameter

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

POOLINGS = ("last", "mean", "max", "attention")


class Pooling:
    """The mean or the maximum of each unit over all steps, or a mean weighted by attention.

    Attention weights each step by the softmax, over the sequence's steps, of the product of its
    state with a learned query w. It is the structured self-attention of [1]_ with one query and
    without the hidden layer; w begins as zeros, so that attention begins as the mean.

    Parameters
    ----------
    kind : {"mean", "max", "attention"}
        How states are pooled.
    features : int
        Columns of the states, D.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    columns : int
        Those of a pooled row: D padded, and a register for what the next step needs.
    weights : ndarray (D padded,)
        View of w, once `bind` has been called; empty unless `kind` is "attention".

    References
    ----------
    .. [1] Lin, Z. et al. (2017). A structured self-attentive sentence embedding. ICLR, section 2.1.
    """

    name = "attention"

    def __init__(self, kind: str, features: int, dtype: DTypeLike) -> None:
        self.kind = kind
        self.features = features
        self.dtype = np.dtype(dtype)
        self.width = cpu.host.padded(features, dtype)
        self.columns = self.width + cpu.host.lanes(dtype)
        self.parameters: tuple[Parameter, ...] = ()
        if kind == "attention":
            cuts = cpu.host.panel_cuts(self.width, dtype)
            self.parameters = (Parameter("attention.w", None, (0,), features, self.width, cuts),)

    def initialize(self) -> dict[str, np.ndarray]:
        """Return zeros: every step has the same weight at first."""
        return {parameter.name: np.zeros(parameter.shape) for parameter in self.parameters}

    def parts(self, blocks: dict[str, np.ndarray]) -> np.ndarray:
        """Return the part of w in a vector of the network's layout, from its blocks."""
        nothing = np.zeros(0, self.dtype)
        return blocks["attention.w"] if self.parameters else nothing

    def bind(self, blocks: dict[str, np.ndarray]) -> None:
        """Take the view of w from the blocks of the network's vector."""
        self.weights = self.parts(blocks)

    def views(self, pooled: np.ndarray) -> dict[str, np.ndarray]:
        """Return views of what pooled rows hold by name: h (n, D), weight (n, 1), score (n, 1)."""
        ends = {"weight": cpu.pooling.WEIGHT}
        if self.parameters:
            ends["score"] = cpu.pooling.SCORE
        views = {name: pooled[:, self.width + column, None] for name, column in ends.items()}
        named = {"h": pooled[:, : self.features]} | views
        return {f"pooling.{name}": view for name, view in named.items()}

    def forward(
        self, pooled: np.ndarray, rows: np.ndarray, start: int, members: np.ndarray
    ) -> None:
        """Add rows to the pooled rows of their sequences.

        Parameters
        ----------
        pooled : ndarray (B, columns)
            Zeros, or the result for the sequences' earlier steps.
        rows : ndarray (rows, >= D padded)
            States, each sequence's in the order of its steps.
        start : int
            The first of them.
        members : ndarray of int64 (n,)
            Sequence of each row from there on.
        """
        if self.kind == "max":
            cpu.pooling.greatest(pooled, rows, start, members)
        else:
            cpu.pooling.mean(pooled, rows, start, members, self.weights)

    def backward(
        self, drows: np.ndarray, dpooled: np.ndarray, gradient: np.ndarray, *run: Any
    ) -> None:
        """Set the gradient of the rows, and add to that of w.

        Parameters
        ----------
        drows : ndarray (rows, D padded)
            Set to the gradient of the rows.
        dpooled : ndarray (B, D padded)
            That of the pooled values; it is overwritten.
        gradient : ndarray (D padded,)
            That of w is added to it; empty unless `kind` is "attention".
        *run
            The arguments of `forward`, which has filled `pooled`.
        """
        if self.kind == "max":
            cpu.pooling.greatest_back(drows, dpooled, *run)
        else:
            cpu.pooling.mean_back(drows, gradient, dpooled, *run, self.weights)


def make_pooling(kind: str, features: int, dtype: DTypeLike) -> Pooling | None:
    """Make the pooling of this kind; None for "last", which pools nothing."""
    return None if kind == "last" else Pooling(kind, features, dtype)
