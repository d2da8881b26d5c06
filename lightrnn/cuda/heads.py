"""Output layers on the GPU: raw outputs, losses and their gradients, from a network's features.

With many classes the outputs are computed some rows at a time: those of all rows would take more
memory than anything else. The losses of the rows are added last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..losses import Loss, log_softmax
from ..nn.adaptive import AdaptiveHead
from ..nn.layers import Layer
from . import gather, losses
from .driver import THREADS
from .matmul import add_product, bias_gradient, weight_gradient
from .memory import Matrix
from .program import Program, Sent
from .reductions import add_up

OUTPUTS = 1 << 26  # outputs that are held at a time
Read = Callable[[], np.ndarray]


class Rows(NamedTuple):
    """Rows over which a loss is computed, and the addresses of what it needs and leaves."""

    features: Matrix  # (n, D)
    n: int
    targets: int  # (n, k), or codes (n,) among the indices
    weights: int  # (n,)
    losses: int  # (n,)
    dfeatures: int  # (n, D), -1 if no gradient is wanted
    constant: int = -1  # (k,) of the loss, one for each output
    adds: bool = False  # whether the parameters' gradients hold those of other rows already


class HiddenLayer(NamedTuple):
    """A hidden layer of a head, its input, and the addresses of its arrays."""

    layer: Layer
    X: Matrix  # (n, D)
    sums: int  # (n, units), then what the gradient needs of them
    state: int  # (n, units)


class Head:
    """A linear head, whose matrix is its own or the embedding's.

    Parameters
    ----------
    host : LinearHead or AdaptiveHead
        The head on the CPU.
    """

    def __init__(self, host: Any) -> None:
        self.host = host
        self.layer = host.layer

    def sends(
        self,
        loss: Loss,
        targets: np.ndarray,
        weights: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Return the arrays that `learn` needs on the GPU: targets and weights, row by row."""
        if loss.name == "softmax":
            return {"targets": targets.astype(np.int64), "weights": weights}
        constant = np.broadcast_to(np.asarray(loss.constant, np.float64), self.host.n_outputs)
        return {"targets": targets.astype(np.float64), "weights": weights, "constant": constant}

    def outputs(self, program: Program, features: Matrix, count: int) -> Read:
        """Compute raw outputs; returns the function that reads them, (count, k)."""
        _, h = self._hidden(program, features, count)
        return self._raw(program, self.layer, h, count)

    def learn(
        self,
        program: Program,
        loss: Loss,
        features: Matrix,
        sent: dict[str, Sent],
        total: int,
        learn: bool,
        adds: bool = False,
    ) -> int:
        """Compute the loss of all rows and, with `learn`, all gradients.

        The loss is put to the address `total`. With `adds` the parameters' gradients are added to
        what is there.

        Returns
        -------
        int
            Address of the gradient of the features, -1 if there is none.
        """
        n = sent["weights"].size
        hidden, h = self._hidden(program, features, n)
        rows = self._rows(program, h, sent, n, learn)._replace(adds=adds)
        if "constant" in sent:
            rows = rows._replace(constant=sent["constant"].address)
        self._loss(program, self.layer, loss, rows)
        add_up(program, rows.losses, rows.n, total)
        dh = rows.dfeatures
        if learn:
            for run in reversed(hidden):
                dh = self._hidden_back(program, run, dh, n, adds)
        return dh

    # -- hidden layers -----------------------------------------------------------------------------

    def _hidden(
        self, program: Program, features: Matrix, count: int
    ) -> tuple[list[HiddenLayer], Matrix]:
        """Run the hidden layers; return them, and what the last layer reads."""
        runs: list[HiddenLayer] = []
        h = features
        for layer in self.host.hidden:
            size = count * layer.units
            run = HiddenLayer(layer, h, program.allocate(size), program.allocate(size))
            self._linear(program, layer, h, run.sums, count)
            arguments = gather.CellArguments(run.sums, size, run.state)
            program.over(gather.apply(layer.cell_name), size, arguments)
            runs.append(run)
            h = Matrix(run.state, layer.units)
        return runs, h

    def _hidden_back(
        self, program: Program, run: HiddenLayer, dstate: int, count: int, adds: bool
    ) -> int:
        """Set a hidden layer's gradients, or add to them; return that of its input."""
        layer = run.layer
        size = count * layer.units
        arguments = gather.CellArguments(run.sums, size, dstate)
        program.over(gather.apply_back(layer.cell_name), size, arguments)
        dsums = Matrix(run.sums, layer.units)
        self._back(program, layer, run.X, dsums, count, adds)
        dX = Matrix(program.allocate(count * layer.features), layer.features)
        W = program.context.addresses.weights(layer).W_ih
        shape = count, layer.features, layer.units
        add_product(program, dsums, W, dX, shape, turn_b=True)
        return dX.address

    # -- parts of it -------------------------------------------------------------------------------

    def _rows(
        self, program: Program, features: Matrix, sent: dict[str, Sent], losses: int, learn: bool
    ) -> Rows:
        """Return the rows of a batch, with memory for `losses` losses and for the gradient."""
        targets = sent["targets"]
        weights = sent["weights"]
        place = program.allocate(losses)
        dfeatures = program.allocate(weights.size * self._width(self.layer)) if learn else -1
        return Rows(features, weights.size, targets.address, weights.address, place, dfeatures)

    def _linear(
        self, program: Program, layer: Layer, features: Matrix, target: int, count: int
    ) -> None:
        """Run a linear layer."""
        weights = program.context.addresses.weights(layer)
        shape = count, layer.units, self._width(layer)
        outputs = Matrix(target, layer.units)
        add_product(
            program, features, weights.W_ih, outputs, shape, bias=weights.b_ih, turn_b=layer.tied
        )

    def _raw(
        self,
        program: Program,
        layer: Layer,
        features: Matrix,
        count: int,
    ) -> Read:
        """Compute a linear layer's outputs; returns the function that reads them."""
        address = program.allocate(count * layer.units)
        self._linear(program, layer, features, address, count)
        floats = program.context.memory.floats
        return lambda: floats.fetch(address, count * layer.units).reshape(count, -1)

    def _width(self, layer: Layer) -> int:
        """Return a layer's features without padding."""
        return self.host.features if layer.tied else layer.features

    def _loss(self, program: Program, layer: Layer, loss: Loss, rows: Rows) -> None:
        """Run a layer and a loss over rows, and back if the features' gradient is wanted."""
        k = layer.units
        D = self._width(layer)
        most = max(1, OUTPUTS // k)
        stride = rows.features.stride  # features of a chunk have no row index
        targets_of_row = 1 if loss.name == "softmax" else k
        with program.scratch():
            outputs = program.allocate(min(rows.n, most) * k)  # (n, k), then their gradient
            for begin in range(0, rows.n, most):
                some = Rows(
                    features=Matrix(rows.features.address + begin * stride, stride),
                    n=min(most, rows.n - begin),
                    targets=rows.targets + begin * targets_of_row,
                    weights=rows.weights + begin,
                    losses=rows.losses + begin,
                    dfeatures=rows.dfeatures + begin * D,
                    constant=rows.constant,
                )
                self._linear(program, layer, some.features, outputs, some.n)
                self._costs(program, loss, Matrix(outputs, k), some)
                if rows.dfeatures >= 0:
                    doutputs = Matrix(outputs, k)
                    adds = begin > 0 or rows.adds
                    self._back(program, layer, some.features, doutputs, some.n, adds)
                    target = Matrix(some.dfeatures, D)
                    W = program.context.addresses.weights(layer).W_ih
                    shape = some.n, D, k
                    add_product(program, doutputs, W, target, shape, turn_b=not layer.tied)

    def _costs(self, program: Program, loss: Loss, outputs: Matrix, rows: Rows) -> None:
        """Compute the losses of rows, and turn their outputs into the gradient."""
        arguments = losses.LossArguments(
            outputs.address,
            rows.n,
            outputs.stride,
            rows.targets,
            rows.weights,
            rows.losses,
            rows.constant,
        )
        if loss.name == "softmax":
            kernel = losses.softmax(program.dtype)
            program.blocks(kernel, rows.n, arguments, shared=THREADS)
        else:
            program.over(losses.by_output(loss.name, program.dtype), rows.n, arguments)

    def _back(
        self,
        program: Program,
        layer: Layer,
        features: Matrix,
        doutputs: Matrix,
        count: int,
        adds: bool,
    ) -> None:
        """Compute the gradients of a layer's parameters from that of its outputs."""
        gradient = program.context.addresses.gradients(layer)
        k = layer.units
        D = self._width(layer)
        W = gradient.W_ih
        if layer.tied:
            weight_gradient(program, doutputs, features, W, (k, D, count), adds=adds)
        else:
            weight_gradient(program, features, doutputs, W, (D, k, count), adds=adds)
        bias_gradient(program, doutputs, count, gradient.b_ih, k, adds=adds)


class Adaptive(Head):
    """The adaptive softmax; see `lightrnn.nn.adaptive.AdaptiveHead`."""

    def sends(
        self,
        loss: Loss,
        targets: np.ndarray,
        weights: np.ndarray,
    ) -> dict[str, np.ndarray]:
        """Return the head's codes, and for each cluster its rows and their codes in it."""
        codes = self.host.head_codes(targets)
        sends = {"targets": codes.astype(np.int64), "weights": weights}
        for i, (begin, *_) in enumerate(self.host.tails):
            found = np.flatnonzero(codes == self.host.cutoffs[0] + i)
            sends |= {
                f"rows{i}": found,
                f"targets{i}": targets[found] - begin,
                f"weights{i}": weights[found],
            }
        return sends

    def outputs(self, program: Program, features: Matrix, count: int) -> Read:
        """Compute log probabilities; returns the function that reads them, (count, k)."""
        reads = [self._raw(program, self.layer, features, count)]
        for _, _, down, tail in self.host.tails:
            low = Matrix(program.allocate(count * down.units), down.units)
            self._linear(program, down, features, low.address, count)
            reads.append(self._raw(program, tail, low, count))

        def read() -> np.ndarray:
            heads, *tails = (log_softmax(raw()) for raw in reads)
            first = self.host.cutoffs[0]
            rare = [tail + heads[:, first + i, None] for i, tail in enumerate(tails)]
            return np.hstack([heads[:, :first], *rare])

        return read

    def learn(
        self,
        program: Program,
        loss: Loss,
        features: Matrix,
        sent: dict[str, Sent],
        total: int,
        learn: bool,
        adds: bool = False,
    ) -> int:
        """Compute the loss of all rows and, with `learn`, all gradients; see `Head.learn`."""
        counts = [sent[f"rows{i}"].size for i in range(len(self.host.tails))]
        # A row of a cluster has two losses: the choice of the cluster, and that within it.
        all_losses = sent["weights"].size + sum(counts)
        rows = self._rows(program, features, sent, all_losses, learn)._replace(adds=adds)
        self._loss(program, self.layer, loss, rows)
        losses = rows.losses + rows.n
        for i, ((_, _, down, tail), count) in enumerate(zip(self.host.tails, counts, strict=True)):
            if count:
                of_cluster = Rows(
                    features=features._replace(row_index=sent[f"rows{i}"].address),
                    n=count,
                    targets=sent[f"targets{i}"].address,
                    weights=sent[f"weights{i}"].address,
                    losses=losses,
                    dfeatures=rows.dfeatures,
                    adds=adds,
                )
                self._cluster(program, loss, (down, tail), of_cluster)
            elif learn and not adds:  # no kernel writes the gradients of a cluster without rows
                self._no_gradient(program, down, tail)
            losses += count
        add_up(program, rows.losses, all_losses, total)
        return rows.dfeatures

    def _cluster(
        self, program: Program, loss: Loss, layers: tuple[Layer, Layer], rows: Rows
    ) -> None:
        """Run a cluster over its rows, and back, which adds to the gradient of the features."""
        down, tail = layers
        count = rows.n
        learn = rows.dfeatures >= 0
        with program.scratch():
            low = Matrix(program.allocate(count * down.units), down.units)  # (n, down.units)
            dlow = Matrix(program.allocate(count * down.units) if learn else -1, down.units)
            self._linear(program, down, rows.features, low.address, count)
            self._loss(program, tail, loss, rows._replace(features=low, dfeatures=dlow.address))
            if learn:
                self._back(program, down, rows.features, dlow, count, rows.adds)
                index = rows.features.row_index
                target = Matrix(rows.dfeatures, self.host.features, index)
                shape = count, self.host.features, down.units
                W = program.context.addresses.weights(down).W_ih
                add_product(program, dlow, W, target, shape, turn_b=True, adds=True)

    def _no_gradient(self, program: Program, *layers: Layer) -> None:
        """Set the gradients of layers to zero."""
        for layer in layers:
            gradient = program.context.addresses.gradients(layer)
            gather.let_be_zero(program, gradient.W_ih.address, layer.features * layer.units)
            gather.let_be_zero(program, gradient.b_ih, layer.units)


def make_head(host: Any) -> Head:
    """Make the head that does on the GPU what another does on the CPU."""
    return Adaptive(host) if isinstance(host, AdaptiveHead) else Head(host)
