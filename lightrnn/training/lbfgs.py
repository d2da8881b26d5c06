"""Full-batch training with L-BFGS."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ..losses import Loss
    from ..nn.network import Network
    from .history import TrainingOptions
    from .minibatches import BatchSource
    from .monitor import Monitor
from .monitor import check_finite

LBFGS_BATCH = 256


class Lbfgs:
    """The mean loss over all sequences and 0.5 * alpha * |parameters|^2, minimised by `scipy.optimize.minimize`.

    The batches only bound the memory: their gradients are summed. SciPy works in float64 whatever the network's dtype.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        options: TrainingOptions,
        feed: BatchSource,
        monitor: Monitor,
    ) -> None:
        self.network, self.loss, self.options, self.feed, self.monitor = (
            network,
            loss,
            options,
            feed,
            monitor,
        )
        self._norm = math.nan

    def __call__(self, epochs: int) -> bool:
        """Run iterations; return whether training ended before they were used up."""
        from scipy.optimize import minimize

        # Below the rounding of the network's dtype the loss is noise, which a line search cannot descend.
        options = {"maxiter": epochs, "maxfun": 50 * epochs, "maxls": 50, "gtol": self.options.tol}
        options["ftol"] = max(2.2e-9, 8.0 * np.finfo(self.network.parameters.dtype).eps)
        start = self.network.parameters.astype(np.float64)
        result = minimize(
            self._objective,
            start,
            method="L-BFGS-B",
            jac=True,
            callback=self._end_iteration,
            options=options,
        )
        self.network.parameters[:] = result.x
        return bool(result.status != 1)

    def _end_iteration(self, intermediate_result: Any) -> None:
        self.network.parameters[:] = intermediate_result.x
        if self.monitor.end_epoch(float(intermediate_result.fun), self._norm, None):
            raise StopIteration

    def _objective(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the penalised loss and its gradient."""
        network, alpha = self.network, self.options.alpha
        network.parameters[:] = point
        total, weight = 0.0, 0.0
        gradient = np.zeros_like(point)
        for number, batch in enumerate(self.feed.whole(network, LBFGS_BATCH), 1):
            loss = network.loss_and_gradient(batch, self.loss, self.options.threads)
            check_finite(network, loss, self.monitor, number)
            total += loss * batch.weight
            weight += batch.weight
            gradient += batch.weight * network.gradient.astype(np.float64)
        gradient = gradient / weight + alpha * point
        self._norm = float(np.linalg.norm(gradient))
        return total / weight + 0.5 * alpha * float(point @ point), gradient
