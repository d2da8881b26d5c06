"""The adaptive softmax, for vocabularies whose outputs would take more time than all the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import cpu
from ..losses import Loss, log_softmax
from .layers import Layer
from .output_layer import LossTargets, linear, softmax_loss, softmax_loss_and_gradient
from .workspace import Workspace

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..cpu.recurrence import LayerWeights

    Gradients = dict[str, LayerWeights]


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

    hidden: tuple[Layer, ...] = ()  # it has none

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
        heads = log_softmax(linear(self.layer, workspace, h, start, stop))
        log_probabilities[:, :frequent] = heads[:, :frequent]
        for i, (begin, end, down, up) in enumerate(self.tails):
            # The reduced features are left in the rows of h that they come from.
            linear(down, workspace, h, start, stop)
            low = workspace.output_layer(down).state
            inside = log_softmax(linear(up, workspace, low, start, stop))
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
        value, dfeatures = softmax_loss_and_gradient(
            self.layer, workspace, h, start, wanted._replace(values=codes), gradients["head"]
        )
        for (begin, _, down, up), rows in self._members(codes):
            if not len(rows):
                continue
            low = self._reduced(workspace, h, start + rows, down)
            # The total stays the whole batch's, so that the parts of the loss add up.
            inside = wanted.some(rows, begin)
            more, dlow = softmax_loss_and_gradient(
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
        value = softmax_loss(self.layer, workspace, h, start, wanted._replace(values=codes))
        for (begin, _, down, up), rows in self._members(codes):
            if len(rows):
                low = self._reduced(workspace, h, start + rows, down)
                value += softmax_loss(up, workspace, low, 0, wanted.some(rows, begin))
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
        linear(down, workspace, some, 0, len(rows))
        return buffers.state
