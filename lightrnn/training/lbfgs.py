"""Full-batch training with L-BFGS."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu

if TYPE_CHECKING:
    from ..losses import Loss
    from .minibatches import BatchSource
    from .monitor import Monitor

_REASONS = {0: "tol", 1: "max_iter", 2: "line_search"}  # by SciPy's code
LBFGS_BATCH = 256  # sequences whose gradient is computed at once: bounds the memory alone


@dataclass(eq=False, repr=False)
class Lbfgs:
    """Minimise the mean loss over all sequences and 0.5 * alpha * |parameters|^2 by SciPy.

    SciPy works in float64 whatever the network's dtype.

    Parameters
    ----------
    loss : Loss
        Is minimised.
    batches : BatchSource
        Yields all sequences in parts, whose gradients are summed.
    monitor : Monitor
        Holds the network and the options; records each iteration and decides when to stop.
    """

    loss: Loss
    batches: BatchSource
    monitor: Monitor
    _norm = math.nan  # of the gradient at the last point

    def __call__(self, epochs: int) -> None:
        """Run iterations until training ends."""
        minimize = cpu.once.imported("scipy.optimize").minimize

        parameters = self.monitor.network.parameters
        result = minimize(
            self._objective,
            parameters.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            callback=self._end_iteration,
            options={
                "maxiter": epochs,
                "maxfun": 50 * epochs,  # not to end before maxiter: a line search may take many
                "maxls": 50,
                "gtol": self.monitor.options.tol,
                # Differences below the rounding of the network's dtype are noise to a line search.
                "ftol": max(2.2e-9, 8.0 * np.finfo(parameters.dtype).eps),
            },
        )
        self.monitor.network.parameters[:] = result.x
        # Other codes are those of an iteration after which the monitor ended training.
        reason = _REASONS.get(result.status)
        if reason:
            self.monitor.history.stop_reason = reason

    def _end_iteration(self, intermediate_result: Any) -> None:
        """Record an iteration; SciPy goes by the argument's name, and stops at StopIteration."""
        self.monitor.network.parameters[:] = intermediate_result.x
        if self.monitor.end_epoch(float(intermediate_result.fun), self._norm, None):
            raise StopIteration

    def _objective(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the penalised loss and its gradient."""
        network = self.monitor.network
        options = self.monitor.options
        network.parameters[:] = point
        total = 0.0
        n_targets = 0
        gradient = np.zeros_like(point)
        for number, batch in enumerate(self.batches.whole(network, LBFGS_BATCH), 1):
            loss = network.loss_and_gradient(batch, self.loss, options.threads)
            self.monitor.check_finite(loss, number)
            total += loss * batch.n_targets
            n_targets += batch.n_targets
            gradient += batch.n_targets * network.gradient.astype(np.float64)
        gradient /= n_targets
        self.monitor.check_finite(float(np.linalg.norm(gradient)), number)
        gradient += options.alpha * point
        self._norm = float(np.linalg.norm(gradient))
        penalty = 0.5 * options.alpha * float(point @ point)
        if not math.isfinite(self._norm + penalty):
            raise ValueError(
                f"alpha must leave the penalty and its gradient finite, got {options.alpha:g}. "
                "Lower alpha."
            )
        return total / n_targets + penalty, gradient
