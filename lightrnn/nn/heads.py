"""Output layers: from a network's features to its raw outputs, their loss and its gradient.

`LinearHead` takes every loss, and may have hidden layers. With softmax, outputs, loss and gradient
are computed for some rows at a time and never kept for all (`cpu/softmax.py`). `TiedHead` uses the
embedding as its matrix. `AdaptiveHead` is the adaptive softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import cpu
from ..cells import HEAD_CELLS
from ..losses import Loss
from .adaptive import AdaptiveHead
from .layers import Embedding, Layer
from .output_layer import LossTargets, linear, softmax_loss, softmax_loss_and_gradient
from .workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..cpu.recurrence import LayerWeights

    Gradients = dict[str, LayerWeights]


class LinearHead:
    """``outputs = h @ W + b``, with h the features, or what hidden layers make of them.

    Parameters
    ----------
    features, n_outputs : int
        Columns of the features and of the outputs.
    dtype : dtype
        float32 or float64.
    sizes : sequence of int, default=()
        Units of each hidden layer.
    activation : {"relu", "tanh", "sigmoid", "gelu"}, default="relu"
        Of these.

    Attributes
    ----------
    hidden : tuple of Layer
        The hidden layers.
    layer : Layer
        The last one.
    """

    def __init__(
        self,
        features: int,
        n_outputs: int,
        dtype: DTypeLike,
        sizes: Sequence[int] = (),
        activation: str = "relu",
    ) -> None:
        columns = [features, *sizes]
        self.hidden = tuple(
            Layer(f"head{number}", HEAD_CELLS[activation], columns[number], units, dtype)
            for number, units in enumerate(sizes)
        )
        self.layer = Layer("head", "linear", columns[-1], n_outputs, dtype)
        self.layers: tuple[Layer, ...] = (*self.hidden, self.layer)
        self.features = features
        self.n_outputs = n_outputs

    def refresh(self) -> None:
        """Prepare for `outputs` after a change of the parameters: nothing to do here."""

    def outputs(self, workspace: Workspace, h: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return the raw outputs of rows of features.

        Parameters
        ----------
        workspace : Workspace
            Arrays to use.
        h : ndarray (>= stop, >= features)
            Features, of which the rows from `start` up to `stop` are read.
        start, stop : int
            Those rows.

        Returns
        -------
        ndarray (stop - start, n_outputs)
            A view, until the workspace is used again.
        """
        h = self.last_hidden(workspace, h, start, stop)
        return linear(self.layer, workspace, h, start, stop)

    def last_hidden(self, workspace: Workspace, h: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return what the last layer reads in the place of rows of features, in the same rows."""
        for layer in self.hidden:
            linear(layer, workspace, h, start, stop)
            h = workspace.output_layer(layer).state
        return h

    # Both kinds of head have `learn` and `score` with the same arguments, so that a network need
    # not know which one it has.

    def learn(
        self,
        workspace: Workspace,
        h: np.ndarray,
        start: int,
        wanted: LossTargets,
        loss: Loss,
        gradients: Gradients,
    ) -> tuple[float, np.ndarray]:
        """Return ``sum(weights * loss) / total`` and its gradient with respect to the features.

        Parameters
        ----------
        workspace : Workspace
            Arrays to use.
        h : ndarray (>= start + N, >= features)
            Features, of which the rows from `start` on are read.
        start : int
            The first of those rows.
        wanted : LossTargets
            Targets and weights of the N rows.
        loss : Loss
            Loss of the outputs.
        gradients : dict of str to LayerWeights
            Gradients of the parameters, by layer; those of this head's layers are added to.

        Returns
        -------
        float, ndarray (>= start + N, features padded)
            The loss and its gradient.
        """
        h = self.last_hidden(workspace, h, start, start + len(wanted.values))
        value, dh = self._learn(workspace, h, start, wanted, loss, gradients["head"])
        for layer in reversed(self.hidden):
            buffers = workspace.output_layer(layer)
            dfeatures = buffers.dX.at_least(buffers.rows, layer.input_width)
            buffers.backward(dfeatures, dh, gradients[layer.name])
            dh = dfeatures
        return value, dh

    def _learn(
        self,
        workspace: Workspace,
        h: np.ndarray,
        start: int,
        wanted: LossTargets,
        loss: Loss,
        gradient: LayerWeights,
    ) -> tuple[float, np.ndarray]:
        """Do as `learn` with the last layer alone, whose input h is."""
        if loss.name == "softmax":
            return softmax_loss_and_gradient(self.layer, workspace, h, start, wanted, gradient)
        buffers = workspace.output_layer(self.layer)
        dtype = self.layer.dtype
        targets = wanted.values
        stop = start + len(targets)
        # (N, k)
        raw = linear(self.layer, workspace, h, start, stop)
        # Numbers of the wider dtype would make all that follows wider and slower.
        if targets.dtype.kind == "f":
            targets = targets.astype(dtype, copy=False)
        shares = (wanted.weights / wanted.total).astype(dtype, copy=False)
        # (rows, k padded); the padding stays zero
        draw = buffers.dh.at_least(buffers.rows, self.layer.width)
        if isinstance(loss.constant, tuple):
            targets = np.ascontiguousarray(targets.reshape(len(shares), -1))
            quantiles = np.array(loss.constant, dtype)
            value = cpu.losses.quantile_loss(draw, buffers.state, start, targets, shares, quantiles)
        else:
            value, draw[start:stop, : self.n_outputs] = loss(raw, targets, shares)
        dh = buffers.dX.at_least(buffers.rows, self.layer.input_width)
        buffers.backward(dh, draw, gradient)
        return value, dh

    def score(self, workspace: Workspace, h: np.ndarray, start: int, wanted: LossTargets) -> float:
        """Return the cross-entropy alone; the arguments are those of `learn`."""
        h = self.last_hidden(workspace, h, start, start + len(wanted.values))
        return softmax_loss(self.layer, workspace, h, start, wanted)


class TiedHead(LinearHead):
    """A linear head whose matrix is the embedding's, transposed [1]_; only the bias is its own.

    Parameters
    ----------
    embedding : Embedding
        The embedding, as wide as the features.
    dtype : dtype
        float32 or float64.

    References
    ----------
    .. [1] Press, O. and Wolf, L. (2017). Using the output embedding to improve language models.
       EACL.
    """

    def __init__(self, embedding: Embedding, dtype: DTypeLike) -> None:
        super().__init__(embedding.size, embedding.n_tokens, dtype)
        self.embedding = embedding
        self.layer.tie(embedding)

    def refresh(self) -> None:
        """Transpose the embedding, which `outputs` reads, after a change of the parameters."""
        self.layer.transpose()


Head = LinearHead | AdaptiveHead


def make_head(
    kind: str,
    features: int,
    n_outputs: int,
    dtype: DTypeLike,
    embedding: Embedding | None = None,
    sizes: Sequence[int] = (),
    activation: str = "relu",
) -> Head:
    """Make the output layer of this kind: "linear", "tied" or "adaptive".

    Hidden layers of these sizes come before a linear one.
    """
    if kind == "tied" and embedding is not None:
        return TiedHead(embedding, dtype)
    if kind == "adaptive":
        return AdaptiveHead(features, n_outputs, dtype)
    return LinearHead(features, n_outputs, dtype, sizes, activation)
