"""A training step of lightrnn, as `fit` takes it with each minibatch."""

import math
from collections.abc import Sequence

import numpy as np

from lightrnn.losses import make_loss
from lightrnn.nn.batches import Batch
from lightrnn.nn.network import Network
from lightrnn.nn.solvers import make_solver
from lightrnn.training.truncation import chunks


class Training:
    """A network with its loss and solver."""

    def __init__(self, cell: str, features: int, units: int, outputs: int, threads: int) -> None:
        self.rng = np.random.default_rng(0)
        self.network = Network(cell, features, (units,), outputs)
        self.network.initialize(self.rng)
        self.loss = make_loss("softmax")
        self.solver = make_solver("adam", self.network.layout.size, "float32")
        self.threads = threads

    def step(self, X: Sequence[np.ndarray], y: np.ndarray, weights: np.ndarray) -> float:
        """Train on one minibatch."""
        network = self.network
        masks = network.dropout_masks(len(X), self.rng)
        for batch in chunks(Batch.of(X, y, weights, masks), None, network):
            loss = network.loss_and_gradient(batch, self.loss, self.threads)
            # Learning rate and clipping as on torch's side.
            norm = self.solver.step(network.parameters, network.gradient, 1e-3, 1.0)
        assert math.isfinite(loss + norm)
        return loss
