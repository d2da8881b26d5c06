"""Two ways down: a step of the solver for every batch, or L-BFGS on all sequences at once.

Both run epochs on a network in place and tell a monitor of each; both stop at a loss or gradient that is not finite.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..exceptions import ConvergenceWarning, warn

if TYPE_CHECKING:
    from ..losses import Loss
    from ..nn.network import Network
    from ..nn.solvers import Outcome, Solver
    from .history import TrainingOptions
    from .minibatches import BatchSource
    from .monitor import Monitor
from .monitor import check_finite, shorter_gradient

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

    A step's outcome is asked for once `network.steps_in_flight` more have begun, so that a GPU need not wait for the next batch.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        solver: Solver,
        options: TrainingOptions,
        feed: BatchSource,
        monitor: Monitor,
    ) -> None:
        self.network, self.loss, self.solver, self.options = network, loss, solver, options
        self.feed, self.monitor = feed, monitor

    def __call__(self, epochs: int) -> bool:
        """Run epochs; return whether training ended before they were used up."""
        for _ in range(epochs):
            rate = self.monitor.history.learning_rate(self.options, 0.0)
            loss, norm = self._epoch()
            if self.monitor.end_epoch(loss, norm, rate):
                return True
        return False

    def _epoch(self) -> tuple[float, float]:
        """Return the mean loss and the mean gradient norm of one epoch."""
        network, options, epoch = self.network, self.options, _Sums()
        drawn = 0.0
        waiting: deque[tuple[int, float, Outcome]] = deque()
        for number, batch in self.feed.epoch(network):
            rate = self.monitor.history.learning_rate(options, drawn / self.feed.weight)
            drawn += batch.weight
            outcome = network.learn(
                batch, self.loss, self.solver, rate, options.clip_norm, options.threads
            )
            waiting.append((number, batch.weight, outcome))
            if len(waiting) > network.steps_in_flight:
                self._note(epoch, *waiting.popleft())
        while waiting:
            self._note(epoch, *waiting.popleft())
        self._watch(epoch.worst)
        return epoch.total / epoch.weight, epoch.norms / epoch.steps

    def _note(self, epoch: _Sums, number: int, weight: float, outcome: Outcome) -> None:
        """Add a step's outcome to its epoch's."""
        loss, norm = outcome()
        check_finite(self.network, loss, self.monitor, number)
        check_finite(self.network, norm, self.monitor, number)
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
        epoch, rate = len(self.monitor.history.losses) + 1, self.options.learning_rate_init
        warn(
            ConvergenceWarning,
            f"The gradient explodes: its norm reached {norm:.3g} in epoch {epoch}. Bring X to unit scale with "
            f"SequenceScaler, lower learning_rate_init (it is {rate:g}), or {shorter_gradient(self.options)}.",
        )
