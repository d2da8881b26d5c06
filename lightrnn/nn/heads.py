"""The output layer: from a network's features to its raw outputs, and what they cost.

`LinearHead` takes every loss; with softmax, outputs, loss and gradient are computed some rows at a time and never kept
for all (`cpu/softmax.py`). `TiedHead` uses the embedding as its matrix. `AdaptiveHead` is the adaptive softmax, for
vocabularies whose outputs would cost more than the rest of the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..losses import Loss, log_softmax
from .batches import blocks
from .layers import Embedding, Layer
from .workspace import make_scratch

if TYPE_CHECKING:
    from ..cpu.recurrence import Scratch
    from .workspace import Workspace

_LOGITS = 1 << 20  # outputs that are held at a time
_MOST_ROWS, _LEAST_ROWS = 256, 16  # of these


class LinearHead:
    """``outputs = features @ W + b``.

    Parameters
    ----------
    features, n_outputs : int
        Columns in and out.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, features: int, n_outputs: int, dtype: np.typing.DTypeLike) -> None:
        self.layer = Layer("head", "linear", features, n_outputs, dtype)
        self.layers = (self.layer,)
        self.features, self.n_outputs = features, n_outputs

    def refresh(self) -> None:
        """Follow a change of the parameters before outputs are computed."""

    def outputs(self, room: Workspace, h: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return the raw outputs (stop - start, n_outputs) of rows of h, until the workspace is used again."""
        run = room.run(self.layer)
        run.reserve(blocks(start, stop - start))
        run.forward(h)
        return run.state[start:stop, : self.n_outputs]

    def learn(
        self,
        room: Workspace,
        h: np.ndarray,
        start: int,
        targets: np.ndarray,
        weights: np.ndarray,
        whole: float,
        loss: Loss,
        gradients: dict[str, Any],
    ) -> tuple[float, np.ndarray]:
        """Return ``sum(weights * loss) / whole`` over rows of h from `start` on, and its gradient by h.

        Parameters
        ----------
        room : Workspace
            Where arrays are.
        h : ndarray (>= start + N, >= features)
            Features.
        start : int
            The first row that counts.
        targets, weights : ndarray (N, ...), ndarray of float64 (N,)
            What the loss wants.
        whole : float
            Sum of all the batch's weights.
        loss : Loss
            What outputs cost.
        gradients : dict
            The layers' parts of a gradient, which are set.

        Returns
        -------
        float, ndarray (>= start + N, features padded)
            The loss and its gradient.
        """
        if loss.name == "softmax":
            return self._softmax(room, h, start, targets, weights, whole, gradients)
        run, dtype = room.run(self.layer), self.layer.dtype
        raw = self.outputs(room, h, start, start + len(targets))
        if targets.dtype.kind == "f":
            targets = targets.astype(dtype, copy=False)
        value, draw = loss(raw, targets, (weights / whole).astype(dtype, copy=False))
        dh = room.rows("draw", run.rows, self.layer.width)
        dh[start : start + len(raw), : self.n_outputs] = draw
        dX = room.rows("dfeatures", run.rows, cpu.host.padded(self.features, dtype))
        run.backward(dX, dh, gradients["head"])
        return value, dX

    def score(
        self,
        room: Workspace,
        h: np.ndarray,
        start: int,
        targets: np.ndarray,
        weights: np.ndarray,
        whole: float,
    ) -> float:
        """Return the cross-entropy alone."""
        return softmax_loss(self.layer, room, h, start, targets, weights, whole)

    def _softmax(
        self,
        room: Workspace,
        h: np.ndarray,
        start: int,
        targets: np.ndarray,
        weights: np.ndarray,
        whole: float,
        gradients: dict[str, Any],
    ) -> tuple[float, np.ndarray]:
        dh = room.rows(
            "dfeatures", start + len(targets), cpu.host.padded(self.features, self.layer.dtype)
        )
        return softmax_loss(
            self.layer, room, h, start, targets, weights, whole, dh, gradients["head"]
        ), dh


class TiedHead(LinearHead):
    """A linear head whose matrix is the embedding's, transposed [1]_; only the bias is its own.

    References
    ----------
    .. [1] Press, O. and Wolf, L. (2017). Using the output embedding to improve language models. EACL.
    """

    def __init__(self, embedding: Embedding, dtype: np.typing.DTypeLike) -> None:
        super().__init__(embedding.size, embedding.n_tokens, dtype)
        self.embedding = embedding
        self.layer.tie(embedding)

    def refresh(self) -> None:
        """Transpose the embedding."""
        self.layer.transpose()


class AdaptiveHead:
    """The adaptive softmax [1]_: frequent classes by themselves, rare ones in clusters of ever fewer dimensions.

    The head chooses among the frequent classes and the clusters; a cluster chooses among its classes, from features
    reduced to a quarter, the next to a sixteenth. Classes must be in falling order of frequency. Outputs are log
    probabilities.

    Parameters
    ----------
    features, n_outputs : int
        Columns in and classes.
    dtype : dtype
        float32 or float64.
    cutoffs : tuple of int
        Where the clusters begin.

    References
    ----------
    .. [1] Grave, E., Joulin, A., Cisse, M., Grangier, D. and Jegou, H. (2017). Efficient softmax approximation for
       GPUs. ICML, section 4.
    """

    def __init__(
        self,
        features: int,
        n_outputs: int,
        dtype: np.typing.DTypeLike,
        cutoffs: tuple[int, ...] | None = None,
    ) -> None:
        self.features, self.n_outputs = features, n_outputs
        self.cutoffs = cutoffs or (max(1, n_outputs // 20), max(2, n_outputs // 4))
        self.layer = Layer("head", "linear", features, self.cutoffs[0] + len(self.cutoffs), dtype)
        self.tails = []
        for i, (begin, end) in enumerate(
            zip(self.cutoffs, (*self.cutoffs[1:], n_outputs), strict=True)
        ):
            size = max(1, features // 4 ** (i + 1))
            down = Layer(f"tail{i}.down", "linear", features, size, dtype)
            self.tails.append(
                (begin, end, down, Layer(f"tail{i}", "linear", size, end - begin, dtype))
            )
        self.layers = (self.layer, *(layer for _, _, *pair in self.tails for layer in pair))

    def refresh(self) -> None:
        """Nothing depends on the parameters but the layers themselves."""

    def outputs(self, room: Workspace, h: np.ndarray, start: int, stop: int) -> np.ndarray:
        """Return the log probabilities (stop - start, n_outputs) of rows of h."""
        out = np.empty((stop - start, self.n_outputs), h.dtype)
        heads = log_softmax(_linear(self.layer, room, h, start, stop))
        out[:, : self.cutoffs[0]] = heads[:, : self.cutoffs[0]]
        for i, (begin, end, down, tail) in enumerate(self.tails):
            _linear(down, room, h, start, stop)
            inside = _linear(tail, room, room.run(down).state, start, stop)
            out[:, begin:end] = log_softmax(inside) + heads[:, self.cutoffs[0] + i, None]
        return out

    def learn(
        self,
        room: Workspace,
        h: np.ndarray,
        start: int,
        targets: np.ndarray,
        weights: np.ndarray,
        whole: float,
        loss: Loss,
        gradients: dict[str, Any],
    ) -> tuple[float, np.ndarray]:
        """Return the loss and its gradient by h: see `LinearHead.learn`."""
        dh = room.rows(
            "dfeatures", start + len(targets), cpu.host.padded(self.features, self.layer.dtype)
        )
        codes = self.head_codes(targets)
        value = softmax_loss(
            self.layer, room, h, start, codes, weights, whole, dh, gradients["head"]
        )
        for i, (begin, _, down, tail) in enumerate(self.tails):
            rows = np.flatnonzero(codes == self.cutoffs[0] + i)
            if not len(rows):
                for layer in (down, tail):
                    for part in gradients[layer.name]:
                        part[:] = 0
                continue
            low = self._reduced(room, h, start, rows, down)
            dlow = room.rows(
                f"{tail.name}.dfeatures", len(rows), cpu.host.padded(down.units, down.dtype)
            )
            value += softmax_loss(
                tail,
                room,
                low,
                0,
                targets[rows] - begin,
                weights[rows],
                whole,
                dlow,
                gradients[tail.name],
            )
            dsome = room.rows(f"{down.name}.dX", len(rows), dh.shape[1])
            room.run(down).backward(dsome, dlow, gradients[down.name])
            cpu.gather.add(dh, rows + start, dsome, 0, self.features)
        return value, dh

    def score(
        self,
        room: Workspace,
        h: np.ndarray,
        start: int,
        targets: np.ndarray,
        weights: np.ndarray,
        whole: float,
    ) -> float:
        """Return the cross-entropy alone."""
        codes = self.head_codes(targets)
        value = softmax_loss(self.layer, room, h, start, codes, weights, whole)
        for i, (begin, _, down, tail) in enumerate(self.tails):
            rows = np.flatnonzero(codes == self.cutoffs[0] + i)
            if len(rows):
                low = self._reduced(room, h, start, rows, down)
                value += softmax_loss(
                    tail, room, low, 0, targets[rows] - begin, weights[rows], whole
                )
        return value

    def head_codes(self, targets: np.ndarray) -> np.ndarray:
        """Return which output of the head each class belongs to: its own or its cluster's."""
        cluster = np.searchsorted(self.cutoffs, targets, side="right")
        return np.where(cluster, self.cutoffs[0] + cluster - 1, targets)

    def _reduced(
        self, room: Workspace, h: np.ndarray, start: int, rows: np.ndarray, down: Layer
    ) -> np.ndarray:
        """Return some rows of h brought down to a cluster's dimensions."""
        some = room.rows(
            f"{down.name}.features", len(rows), cpu.host.padded(self.features, down.dtype)
        )
        cpu.gather.gather(some, 0, 0, h, rows + start, self.features)
        _linear(down, room, some, 0, len(rows))
        return room.run(down).state


Head = LinearHead | AdaptiveHead


def make_head(
    kind: str,
    features: int,
    n_outputs: int,
    dtype: np.typing.DTypeLike,
    embedding: Embedding | None = None,
) -> Head:
    """Make the output layer of this kind: "linear", "tied" or "adaptive"."""
    if kind == "tied" and embedding is not None:
        return TiedHead(embedding, dtype)
    if kind == "adaptive":
        return AdaptiveHead(features, n_outputs, dtype)
    return LinearHead(features, n_outputs, dtype)


def _linear(layer: Layer, room: Workspace, h: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Run a layer on rows of h and return what it gives."""
    run = room.run(layer)
    run.reserve(blocks(start, stop - start))
    run.forward(h)
    return run.state[start:stop, : layer.units]


def softmax_loss(
    layer: Layer,
    room: Workspace,
    h: np.ndarray,
    start: int,
    targets: np.ndarray,
    weights: np.ndarray,
    whole: float,
    dh: np.ndarray | None = None,
    gradients: Any = None,
) -> float:
    """Run a layer, the softmax and its cross-entropy over rows of h; with `dh` and `gradients` the way back too."""
    learn = dh is not None
    width = cpu.host.padded(layer.features, layer.dtype)
    return cpu.softmax.softmax_loss(
        dh if learn else room.rows("nothing", 0, width),
        h,
        start,
        targets,
        weights,
        whole,
        layer.weights,
        layer.transposed
        if learn
        else cpu.recurrence.Transposed(layer.weights.W_ih, layer.weights.W_hh),
        gradients if learn else layer.weights,
        _scratch(layer, room),
        layer.features,
        layer.units,
        layer.tied,
        learn,
    )


def _scratch(layer: Layer, room: Workspace) -> Scratch:
    """Room for the outputs of some rows."""
    scratch = room.scratch.get(layer.name)
    if scratch is None:
        rows = min(_MOST_ROWS, max(_LEAST_ROWS, _LOGITS // layer.width))
        scratch = room.scratch[layer.name] = make_scratch(layer, rows, rows)
    return scratch
