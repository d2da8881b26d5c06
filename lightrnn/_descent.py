"""Two ways down: a step of the solver for every batch, or L-BFGS on all sequences at once.

Both run epochs on a network in place and tell a monitor of each; both stop at a loss or gradient that is not finite.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._base import ConvergenceWarning, warn

if TYPE_CHECKING:
    from .feeds import Feed
    from .losses import Loss
    from .network import Network
    from .solvers import Outcome, Solver
    from .training import Monitor, Plan

LBFGS_BATCH = 256
_EXPLODES = 1e4  # norm of the gradient of a mean loss; one that only adds up over thousands of steps stays below


@dataclass
class _Sums:
    """Sums over the steps of an epoch."""

    total: float = 0.0
    weight: float = 0.0
    norms: float = 0.0
    worst: float = 0.0
    steps: int = 0


class Descent:
    """One step of the solver for every batch of a feed.

    A step's outcome is asked for once `network.ahead` more have begun, so that a GPU need not wait for the next batch.
    """

    def __init__(self, network: Network, loss: Loss, solver: Solver, plan: Plan, feed: Feed, monitor: Monitor) -> None:
        self.network, self.loss, self.solver, self.plan = network, loss, solver, plan
        self.feed, self.monitor = feed, monitor

    def __call__(self, epochs: int) -> bool:
        for _ in range(epochs):
            rate = self.monitor.history.learning_rate(self.plan, 0.0)
            loss, norm = self._epoch()
            if self.monitor.end_epoch(loss, norm, rate):
                return True
        return False

    def _epoch(self) -> tuple[float, float]:
        """Return the mean loss and the mean gradient norm of one epoch."""
        network, plan, epoch = self.network, self.plan, _Sums()
        drawn = 0.0
        waiting: deque[tuple[int, float, Outcome]] = deque()
        for number, batch in self.feed.epoch(network):
            rate = self.monitor.history.learning_rate(plan, drawn / self.feed.weight)
            drawn += batch.weight
            outcome = network.learn(batch, self.loss, self.solver, rate, plan.clip_norm, plan.threads)
            waiting.append((number, batch.weight, outcome))
            if len(waiting) > network.ahead:
                self._note(epoch, *waiting.popleft())
        while waiting:
            self._note(epoch, *waiting.popleft())
        self._watch(epoch.worst)
        return epoch.total / epoch.weight, epoch.norms / epoch.steps

    def _note(self, epoch: _Sums, number: int, weight: float, outcome: Outcome) -> None:
        """Add a step's outcome to its epoch's."""
        loss, norm = outcome()
        _check_finite(self.network, loss, self.monitor, number)
        _check_finite(self.network, norm, self.monitor, number)
        epoch.total += loss * weight
        epoch.weight += weight
        epoch.norms += norm
        epoch.worst = max(epoch.worst, norm)
        epoch.steps += 1
        self.monitor.progress.advance(epoch.weight / self.feed.weight, epoch.total / epoch.weight)

    def _watch(self, norm: float) -> None:
        """Warn of a gradient that explodes, once."""
        if norm < _EXPLODES or self.monitor.history.exploded:
            return
        self.monitor.history.exploded = True
        epoch, rate = len(self.monitor.history.losses) + 1, self.plan.learning_rate_init
        warn(
            ConvergenceWarning,
            f"The gradient explodes: its norm reached {norm:.3g} in epoch {epoch}. Bring X to unit scale with "
            f"SequenceScaler, lower learning_rate_init (it is {rate:g}), or {_shorter_gradient(self.plan)}.",
        )


class Lbfgs:
    """The mean loss over all sequences and 0.5 * alpha * |parameters|^2, minimised by `scipy.optimize.minimize`.

    The batches only bound the memory: their gradients are summed. SciPy works in float64 whatever the network's dtype.
    """

    def __init__(self, network: Network, loss: Loss, plan: Plan, feed: Feed, monitor: Monitor) -> None:
        self.network, self.loss, self.plan, self.feed, self.monitor = network, loss, plan, feed, monitor
        self._norm = math.nan

    def __call__(self, epochs: int) -> bool:
        from scipy.optimize import minimize

        # Below the rounding of the network's dtype the loss is noise, which a line search cannot descend.
        options = {"maxiter": epochs, "maxfun": 50 * epochs, "maxls": 50, "gtol": self.plan.tol}
        options["ftol"] = max(2.2e-9, 8.0 * np.finfo(self.network.parameters.dtype).eps)
        start = self.network.parameters.astype(np.float64)
        result = minimize(
            self._objective, start, method="L-BFGS-B", jac=True, callback=self._end_iteration, options=options
        )
        self.network.parameters[:] = result.x
        return bool(result.status != 1)

    def _end_iteration(self, intermediate_result: Any) -> None:
        self.network.parameters[:] = intermediate_result.x
        if self.monitor.end_epoch(float(intermediate_result.fun), self._norm, None):
            raise StopIteration

    def _objective(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the penalised loss and its gradient."""
        network, alpha = self.network, self.plan.alpha
        network.parameters[:] = point
        total, weight = 0.0, 0.0
        gradient = np.zeros_like(point)
        for number, batch in enumerate(self.feed.whole(network, LBFGS_BATCH), 1):
            loss = network.loss_and_gradient(batch, self.loss, self.plan.threads)
            _check_finite(network, loss, self.monitor, number)
            total += loss * batch.weight
            weight += batch.weight
            gradient += batch.weight * network.gradient.astype(np.float64)
        gradient = gradient / weight + alpha * point
        self._norm = float(np.linalg.norm(gradient))
        return total / weight + 0.5 * alpha * float(point @ point), gradient


def _check_finite(network: Network, value: float, monitor: Monitor, batch: int) -> None:
    """Stop at a loss or a gradient norm that is NaN or infinite, and say where it came from."""
    if math.isfinite(value):
        return
    place = _first_non_finite(network.named(network.parameters))
    if place is None and not network.ahead:  # else the gradient is of a later step
        place = _first_non_finite(network.named(network.gradient)) or "none, the outputs overflow"
    raise ValueError(
        f"The loss or its gradient must stay finite, got {value} in epoch {len(monitor.history.losses) + 1}, "
        f"batch {batch}; the first parameter that is not finite: {place or 'none'}. "
        f"Lower learning_rate_init (it is {monitor.plan.learning_rate_init:g}), bring X to unit scale with "
        f"SequenceScaler, or {_shorter_gradient(monitor.plan)}."
    )


def _shorter_gradient(plan: Plan) -> str:
    """Remedy for a gradient that explodes on its way back through time."""
    if plan.clip_norm is None:
        return "set clip_norm=1.0"
    return "set truncate, so that the gradient goes back through fewer steps"


def _first_non_finite(arrays: dict[str, np.ndarray]) -> str | None:
    return next((name for name, values in arrays.items() if not np.isfinite(values).all()), None)
