"""Output layers on the GPU: from a network's features to its raw outputs, and what they cost.

With many classes the outputs are computed some rows at a time: those of all rows would take more memory than anything
else. The losses of the rows are added up last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..losses import Loss, log_softmax
from ..nn.heads import AdaptiveHead
from ..nn.layers import Layer
from . import gather, losses
from .matmul import Matrix, add_product, bias_gradient, weight_gradient

if TYPE_CHECKING:
    from .forward_backward import CudaForwardBackward
    from .network import CudaNetwork

OUTPUTS = 1 << 26  # outputs that are held at a time
Sends = dict[str, np.ndarray]
Read = Callable[[], np.ndarray]


class Head:
    """A linear head, its matrix its own or the embedding's.

    Parameters
    ----------
    twin : CudaNetwork
        The network.
    """

    def __init__(self, twin: CudaNetwork) -> None:
        self.twin, self.layer = twin, twin.host.head.layer
        self.features, self.k = twin.host.head.features, self.layer.units

    def sends(self, loss: Loss, targets: np.ndarray, weights: np.ndarray) -> Sends:
        """Return what a pass must send: targets and weights row by row."""
        if loss.name == "softmax":
            return {"targets": targets.astype(np.int64), "weights": weights}
        return {
            "targets": targets.astype(np.float64),
            "weights": weights,
            "constant": np.array([loss.constant]),
        }

    def outputs(self, run: CudaForwardBackward, features: Matrix, count: int) -> Read:
        """Compute raw outputs; returns the function that reads them, (count, k)."""
        return self._raw(run, self.layer, features, count)

    def learn(self, run: CudaForwardBackward, loss: Loss, count: int, *, learn: bool = True) -> int:
        """Compute the loss of all rows, and all gradients; returns the place of the features' one."""
        losses, sent = run.program.room(count), run.sent
        dfeatures = run.program.room(count * self.features) if learn else -1
        targets, weights = sent["targets"], sent["weights"]
        self._loss(
            run, self.layer, run.features, count, (loss, targets, weights, losses), dfeatures
        )
        self.twin.total(run.program, losses, count, 0)
        return dfeatures

    # -- parts of it --------------------------------------------------------------------------------------------------

    def _linear(
        self, run: CudaForwardBackward, layer: Layer, features: Matrix, target: int, count: int
    ) -> None:
        """Run a linear layer."""
        weights, shape = (
            self.twin.addresses.weights(layer),
            (count, layer.units, self._width(layer)),
        )
        add_product(
            run,
            features,
            weights.W_ih,
            Matrix(target, layer.units),
            shape,
            weights.b_ih,
            turn_b=layer.tied,
        )

    def _raw(self, run: CudaForwardBackward, layer: Layer, features: Matrix, count: int) -> Read:
        place = run.program.room(count * layer.units)
        self._linear(run, layer, features, place, count)
        return lambda: self.twin.memory.floats.fetch(place, count * layer.units).reshape(count, -1)

    def _width(self, layer: Layer) -> int:
        """Return a layer's features without padding."""
        return self.features if layer.tied else layer.features

    def _loss(
        self,
        run: CudaForwardBackward,
        layer: Layer,
        features: Matrix,
        count: int,
        wanted: tuple[Loss, int, int, int],
        dfeatures: int,
    ) -> None:
        """Run a layer and a loss over rows, and back where `dfeatures` is a place."""
        loss, targets, weights, losses = wanted
        k, D, most = layer.units, self._width(layer), max(1, OUTPUTS // layer.units)
        with run.program.scratch():
            outputs = run.program.room(min(count, most) * k)
            for begin in range(0, count, most):
                n = min(most, count - begin)
                rows_ = Matrix(features.start + begin * features.pitch, features.pitch)
                self._linear(run, layer, rows_, outputs, n)
                at = (
                    targets + begin * (1 if loss.name == "softmax" else k),
                    weights + begin,
                    losses + begin,
                )
                self._costs(run, loss, outputs, n, k, at)
                if dfeatures >= 0:
                    self._back(run, layer, rows_, outputs, n, begin > 0)
                    target, W = (
                        Matrix(dfeatures + begin * D, D),
                        self.twin.addresses.weights(layer).W_ih,
                    )
                    add_product(
                        run, Matrix(outputs, k), W, target, (n, D, k), turn_b=not layer.tied
                    )

    def _costs(
        self,
        run: CudaForwardBackward,
        loss: Loss,
        outputs: int,
        n: int,
        k: int,
        at: tuple[int, int, int],
    ) -> None:
        """Turn outputs into their gradient."""
        if loss.name == "softmax":
            run.program.blocks(
                losses.softmax(run.dtype),
                n,
                self.twin.threads,
                outputs,
                k,
                k,
                *at,
                shared=self.twin.threads,
            )
        else:
            run.program.over(
                losses.by_output(loss.name, run.dtype), n, outputs, n, k, *at, run.sent["constant"]
            )

    def _back(
        self,
        run: CudaForwardBackward,
        layer: Layer,
        features: Matrix,
        doutputs: int,
        n: int,
        adds: bool,
    ) -> None:
        """From the gradient of a layer's outputs to that of its parameters."""
        gradient, k, D = self.twin.addresses.gradients(layer), layer.units, self._width(layer)
        out = Matrix(doutputs, k)
        if layer.tied:
            weight_gradient(run, out, features, gradient.W_ih, (k, D, n), adds)
        else:
            weight_gradient(run, features, out, gradient.W_ih, (D, k, n), adds)
        bias_gradient(run, out, n, gradient.b_ih, k, adds)


class Adaptive(Head):
    """The adaptive softmax; see `lightrnn.nn.heads.AdaptiveHead`."""

    def sends(self, loss: Loss, targets: np.ndarray, weights: np.ndarray) -> Sends:
        """Return codes of the head, and which rows belong to each cluster, with their codes in it."""
        host: Any = self.twin.host.head
        codes = host.head_codes(targets)
        sends = {"targets": codes.astype(np.int64), "weights": weights}
        for i, (begin, *_) in enumerate(host.tails):
            found = np.flatnonzero(codes == host.cutoffs[0] + i)
            sends |= {
                f"rows{i}": found,
                f"targets{i}": targets[found] - begin,
                f"weights{i}": weights[found],
            }
        return sends

    def outputs(self, run: CudaForwardBackward, features: Matrix, count: int) -> Read:
        """Compute log probabilities."""
        host: Any = self.twin.host.head
        reads = [self._raw(run, self.layer, features, count)]
        for _, _, down, tail in host.tails:
            low = run.program.room(count * down.units)
            self._linear(run, down, features, low, count)
            reads.append(self._raw(run, tail, Matrix(low, down.units), count))

        def read() -> np.ndarray:
            heads, *tails = (log_softmax(raw()) for raw in reads)
            first = host.cutoffs[0]
            return np.hstack(
                [
                    heads[:, :first],
                    *(tail + heads[:, first + i, None] for i, tail in enumerate(tails)),
                ]
            )

        return read

    def learn(self, run: CudaForwardBackward, loss: Loss, count: int, *, learn: bool = True) -> int:
        """Compute the loss of all rows, and all gradients; returns the place of the features' one."""
        host: Any = self.twin.host.head
        program = run.program
        counts = [run.counts[f"rows{i}"] for i in range(len(host.tails))]
        losses, dfeatures = (
            program.room(count + sum(counts)),
            program.room(count * self.features) if learn else -1,
        )
        wanted = loss, run.sent["targets"], run.sent["weights"], losses
        self._loss(run, self.layer, run.features, count, wanted, dfeatures)
        at = losses + count
        for i, ((_, _, down, tail), n) in enumerate(zip(host.tails, counts, strict=True)):
            if n:
                wanted = loss, run.sent[f"targets{i}"], run.sent[f"weights{i}"], at
                self._cluster(run, (down, tail), run.sent[f"rows{i}"], n, wanted, dfeatures)
            elif learn:
                self._no_gradient(run, down, tail)
            at += n
        self.twin.total(program, losses, count + sum(counts), 0)
        return dfeatures

    def _cluster(
        self,
        run: CudaForwardBackward,
        layers: tuple[Layer, Layer],
        index: int,
        n: int,
        wanted: tuple[Loss, int, int, int],
        dfeatures: int,
    ) -> None:
        """Run a cluster over the rows that belong to it, and back."""
        down, tail = layers
        features = run.features._replace(rows=index)
        with run.program.scratch():
            low = run.program.room(n * down.units)
            dlow = run.program.room(n * down.units) if dfeatures >= 0 else -1
            self._linear(run, down, features, low, n)
            self._loss(run, tail, Matrix(low, down.units), n, wanted, dlow)
            if dfeatures >= 0:
                self._back(run, down, features, dlow, n, False)
                target, shape = (
                    Matrix(dfeatures, self.features, index),
                    (n, self.features, down.units),
                )
                W = self.twin.addresses.weights(down).W_ih
                add_product(run, Matrix(dlow, down.units), W, target, shape, turn_b=True, adds=True)

    def _no_gradient(self, run: CudaForwardBackward, *layers: Layer) -> None:
        """Set the gradients of layers to zero."""
        for layer in layers:
            gradient = self.twin.addresses.gradients(layer)
            for place, size in (
                (gradient.W_ih.start, layer.features * layer.units),
                (gradient.b_ih, layer.units),
            ):
                run.program.over(gather.fill(run.dtype), size, place, size)


def make_head(twin: CudaNetwork) -> Any:
    """Make the head of a network."""
    return Adaptive(twin) if isinstance(twin.host.head, AdaptiveHead) else Head(twin)
