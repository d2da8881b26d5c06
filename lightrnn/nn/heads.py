"""Output layers: from a network's features to its raw outputs, their loss and its gradient.

`LinearHead` takes every loss. With softmax, outputs, loss and gradient are computed for some rows
at a time and never kept for all (`cpu/softmax.py`). `TiedHead` uses the embedding as its matrix.
`AdaptiveHead` is the adaptive softmax, for vocabularies whose outputs would take more time than the
rest of the network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import cpu
from ..losses import Loss, log_softmax
from .layers import Embedding, Layer
from .packing import blocks
from .workspace import LayerBuffers, Workspace, make_scratch

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..cpu.recurrence import LayerWeights, Scratch
    from ..cpu.softmax import Linear, Targets

    Gradients = dict[str, LayerWeights]

# Outputs that a softmax holds at a time: their rows must be enough to use a matrix that is read,
# and few enough for outputs to stay in the cache until their gradient has been used.
_LOGITS = 1 << 20
_MOST_ROWS = 256
_LEAST_ROWS = 16


class LossTargets(NamedTuple):
    """The targets of N rows of outputs, and what each row weighs in the loss."""

    values: np.ndarray  # (N,) class codes, or (N, k) numbers
    weights: np.ndarray  # (N,) float64
    total: float  # number of the whole batch's targets, of which these rows may be a part

    def part(self, start: int, stop: int) -> LossTargets:
        """Return the rows from `start` up to `stop`."""
        rows = slice(start, stop)
        return LossTargets(self.values[rows], self.weights[rows], self.total)

    def some(self, rows: np.ndarray, first_code: int) -> LossTargets:
        """Return some of the rows, their codes counted from `first_code`."""
        return LossTargets(self.values[rows] - first_code, self.weights[rows], self.total)


class LinearHead:
    """``outputs = features @ W + b``.

    Parameters
    ----------
    features, n_outputs : int
        Columns of the features and of the outputs.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, features: int, n_outputs: int, dtype: DTypeLike) -> None:
        self.layer = Layer("head", "linear", features, n_outputs, dtype)
        self.layers: tuple[Layer, ...] = (self.layer,)
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
        return _linear(self.layer, workspace, h, start, stop)

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
        if loss.name == "softmax":
            return _softmax_loss_and_gradient(
                self.layer, workspace, h, start, wanted, gradients["head"]
            )
        buffers = workspace.output_layer(self.layer)
        dtype = self.layer.dtype
        targets = wanted.values
        stop = start + len(targets)
        # (N, k)
        raw = self.outputs(workspace, h, start, stop)
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
        dfeatures = buffers.dX.at_least(buffers.rows, self.layer.input_width)
        buffers.backward(dfeatures, draw, gradients["head"])
        return value, dfeatures

    def score(self, workspace: Workspace, h: np.ndarray, start: int, wanted: LossTargets) -> float:
        """Return the cross-entropy alone; the arguments are those of `learn`."""
        return _softmax_loss(self.layer, workspace, h, start, wanted)


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


class Cluster(NamedTuple):
    """Rare classes of an adaptive softmax, and the two layers that choose among them."""

    begin: int  # the first class
    end: int  # one more than the last class
    down: Layer  # from the features to fewer
    up: Layer  # from these to the classes


class AdaptiveHead:
    """The adaptive softmax: frequent classes by themselves, rare ones in clusters [1]_.

    The head chooses among the frequent classes and the clusters; a cluster chooses among its
    classes, from features reduced to a quarter of their number, the next one to a sixteenth.
    Classes must be in falling order of frequency. Outputs are log probabilities.

    Parameters
    ----------
    features, n_outputs : int
        Number of features and of classes.
    dtype : dtype
        float32 or float64.
    cutoffs : tuple of int, optional
        The first class of each cluster; by default a twentieth and a quarter of all classes.

    References
    ----------
    .. [1] Grave, E., Joulin, A., Cisse, M., Grangier, D. and Jegou, H. (2017). Efficient softmax
       approximation for GPUs. ICML, section 4.
    """

    def __init__(
        self,
        features: int,
        n_outputs: int,
        dtype: DTypeLike,
        cutoffs: tuple[int, ...] | None = None,
    ) -> None:
        self.features = features
        self.n_outputs = n_outputs
        self.cutoffs = cutoffs or (max(1, n_outputs // 20), max(2, n_outputs // 4))
        self.layer = Layer("head", "linear", features, self.cutoffs[0] + len(self.cutoffs), dtype)
        self.tails: list[Cluster] = []
        # In the order in which their parameters are stored and drawn
        self.layers: tuple[Layer, ...] = (self.layer,)
        ends = (*self.cutoffs[1:], n_outputs)
        for i, (begin, end) in enumerate(zip(self.cutoffs, ends, strict=True)):
            # Rarer classes are given fewer dimensions: there is less to learn them from.
            size = max(1, features // 4 ** (i + 1))
            down = Layer(f"tail{i}.down", "linear", features, size, dtype)
            up = Layer(f"tail{i}", "linear", size, end - begin, dtype)
            self.tails.append(Cluster(begin, end, down, up))
            self.layers += (down, up)

    def refresh(self) -> None:
        """Prepare for `outputs` after a change of the parameters: nothing to do here."""

    def outputs(self, workspace: Workspace, h: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return the log probabilities of rows of features: see `LinearHead.outputs`."""
        log_probabilities = np.empty((stop - start, self.n_outputs), h.dtype)
        frequent = self.cutoffs[0]
        # (N, frequent classes + clusters)
        heads = log_softmax(_linear(self.layer, workspace, h, start, stop))
        log_probabilities[:, :frequent] = heads[:, :frequent]
        for i, (begin, end, down, up) in enumerate(self.tails):
            # The reduced features are left in the rows of h that they come from.
            _linear(down, workspace, h, start, stop)
            low = workspace.output_layer(down).state
            inside = log_softmax(_linear(up, workspace, low, start, stop))
            # p(class) = p(cluster) * p(class | cluster)
            log_probabilities[:, begin:end] = inside + heads[:, frequent + i, None]
        return log_probabilities

    def learn(
        self,
        workspace: Workspace,
        h: np.ndarray,
        start: int,
        wanted: LossTargets,
        loss: Loss,
        gradients: Gradients,
    ) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient by the features: see `LinearHead.learn`."""
        codes = self.head_codes(wanted.values)
        value, dfeatures = _softmax_loss_and_gradient(
            self.layer, workspace, h, start, wanted._replace(values=codes), gradients["head"]
        )
        for (begin, _, down, up), rows in self._members(codes):
            if not len(rows):
                continue
            low = self._reduced(workspace, h, start + rows, down)
            # The total stays the whole batch's, so that the parts of the loss add up.
            inside = wanted.some(rows, begin)
            more, dlow = _softmax_loss_and_gradient(
                up, workspace, low, 0, inside, gradients[up.name]
            )
            value += more
            buffers = workspace.output_layer(down)
            # (rows of the cluster, D padded)
            dsome = buffers.dX.at_least(len(rows), dfeatures.shape[1])
            buffers.backward(dsome, dlow, gradients[down.name])
            cpu.gather.add(dfeatures, start + rows, dsome, 0, self.features)
        return value, dfeatures

    def score(self, workspace: Workspace, h: np.ndarray, start: int, wanted: LossTargets) -> float:
        """Return the cross-entropy alone; the arguments are those of `learn`."""
        codes = self.head_codes(wanted.values)
        value = _softmax_loss(self.layer, workspace, h, start, wanted._replace(values=codes))
        for (begin, _, down, up), rows in self._members(codes):
            if len(rows):
                low = self._reduced(workspace, h, start + rows, down)
                value += _softmax_loss(up, workspace, low, 0, wanted.some(rows, begin))
        return value

    def _members(self, codes: np.ndarray) -> Iterator[tuple[Cluster, np.ndarray]]:
        """Yield each cluster with the rows of its classes, from the head's codes."""
        for i, cluster in enumerate(self.tails):
            yield cluster, np.flatnonzero(codes == self.cutoffs[0] + i)

    def head_codes(self, targets: np.ndarray) -> np.ndarray:
        """Return for each class the head's output that it belongs to: its own or its cluster's."""
        cluster = np.searchsorted(self.cutoffs, targets, side="right")  # 0 for frequent classes
        return np.where(cluster, self.cutoffs[0] + cluster - 1, targets)

    def _reduced(
        self, workspace: Workspace, h: np.ndarray, rows: np.ndarray, down: Layer
    ) -> np.ndarray:
        """Return some rows of features, reduced to a cluster's dimension."""
        buffers = workspace.output_layer(down)
        # (rows of the cluster, D padded)
        some = buffers.X.at_least(len(rows), down.input_width)
        cpu.gather.gather(some, 0, 0, h, rows, self.features)
        _linear(down, workspace, some, 0, len(rows))
        return buffers.state


Head = LinearHead | AdaptiveHead


def make_head(
    kind: str,
    features: int,
    n_outputs: int,
    dtype: DTypeLike,
    embedding: Embedding | None = None,
) -> Head:
    """Make the output layer of this kind: "linear", "tied" or "adaptive"."""
    if kind == "tied" and embedding is not None:
        return TiedHead(embedding, dtype)
    if kind == "adaptive":
        return AdaptiveHead(features, n_outputs, dtype)
    return LinearHead(features, n_outputs, dtype)


def _linear(
    layer: Layer,
    workspace: Workspace,
    h: np.ndarray,
    start: int,
    stop: int,
) -> np.ndarray:
    """Return a view of a layer's outputs for some rows of h."""
    buffers = workspace.output_layer(layer)
    buffers.reserve(blocks(start, stop - start))
    buffers.forward(h)
    return buffers.state[start:stop, : layer.units]


def _softmax_loss(
    layer: Layer,
    workspace: Workspace,
    h: np.ndarray,
    start: int,
    wanted: LossTargets,
) -> float:
    """Return the cross-entropy of the softmax of a layer's outputs for rows of h."""
    logits = _scratch(layer, workspace.output_layer(layer)).before
    return float(cpu.softmax.loss(h, start, _read(wanted), _as_linear(layer), logits))


def _softmax_loss_and_gradient(
    layer: Layer,
    workspace: Workspace,
    h: np.ndarray,
    start: int,
    wanted: LossTargets,
    gradients: LayerWeights,
) -> tuple[float, np.ndarray]:
    """Return the cross-entropy and its gradient with respect to h; add to that of the layer."""
    buffers = workspace.output_layer(layer)
    dh = buffers.dX.at_least(start + len(wanted.values), layer.input_width)
    backward = cpu.softmax.LinearBackward(layer.transposed, gradients, layer.tied)
    run = cpu.jit.machine_code(cpu.softmax.loss_and_gradient, layer.dtype)
    scratch = _scratch(layer, buffers)
    return run(dh, h, start, _read(wanted), _as_linear(layer), backward, scratch), dh


def _as_linear(layer: Layer) -> Linear:
    return cpu.softmax.Linear(layer.weights, layer.features, layer.units)


def _read(wanted: LossTargets) -> Targets:
    """Return the targets as machine code reads them: contiguous arrays of these types."""
    codes = np.ascontiguousarray(wanted.values, np.int64)
    weights = np.ascontiguousarray(wanted.weights, np.float64)
    return cpu.softmax.Targets(codes, weights, wanted.total)


def _scratch(layer: Layer, buffers: LayerBuffers) -> Scratch:
    """Return scratch arrays for the outputs of some rows."""
    if buffers.logits is None:
        rows = min(_MOST_ROWS, max(_LEAST_ROWS, _LOGITS // layer.width))
        buffers.logits = make_scratch(layer, rows, rows)
    return buffers.logits
