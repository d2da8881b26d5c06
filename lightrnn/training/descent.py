"""Gradient descent over minibatches: one step of the solver per batch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..exceptions import ConvergenceWarning, warn
from .monitor import Monitor, slower

if TYPE_CHECKING:
    from ..losses import Loss
    from ..nn.solvers import Outcome, Solver
    from .minibatches import BatchSource

# Norm of the gradient of a mean loss above which it is taken to explode: a gradient that only adds
# up over thousands of steps stays below.
_EXPLODES = 1e4


@dataclass
class _Sums:
    """Sums over the steps of an epoch."""

    total: float = 0.0  # of the losses, each times the number of its batch's targets
    targets: int = 0
    norms: float = 0.0
    worst: float = 0.0  # the largest norm
    steps: int = 0


@dataclass(eq=False, repr=False)
class Descent:
    """Run epochs of one solver step per batch.

    A step's outcome is read once `network.steps_in_flight` more have begun, so that a GPU need not
    wait for the next batch.

    Parameters
    ----------
    loss : Loss
        Is minimised.
    solver : Solver
        Takes the steps.
    batches : BatchSource
        Yields the batches of each epoch.
    monitor : Monitor
        Holds the network and the options; records each epoch and decides when to stop.
    """

    loss: Loss
    solver: Solver
    batches: BatchSource
    monitor: Monitor

    def __call__(self, epochs: int) -> None:
        """Run epochs until training ends."""
        for _ in range(epochs):
            rate = self._rate(0.0)
            loss, norm = self._epoch()
            if self.monitor.end_epoch(float(loss), float(norm), rate):
                return

    def _rate(self, done: float) -> float:
        return self.monitor.history.learning_rate(self.monitor.options, done)

    def _epoch(self) -> tuple[float, float]:
        """Return the mean loss and the mean gradient norm of one epoch."""
        network = self.monitor.network
        options = self.monitor.options
        epoch = _Sums()
        drawn = 0  # targets of the batches so far; `epoch` lags behind by those in flight
        waiting: deque[tuple[int, int, Outcome]] = deque()
        for number, batch in self.batches.epoch(network):
            rate = self._rate(drawn / self.batches.n_targets)
            drawn += batch.n_targets
            outcome = network.learn(
                batch, self.loss, self.solver, rate, options.clip_norm, options.threads
            )
            waiting.append((number, batch.n_targets, outcome))
            if len(waiting) > network.steps_in_flight:
                self._note(epoch, *waiting.popleft())
        while waiting:
            self._note(epoch, *waiting.popleft())
        self._watch(epoch.worst)
        return epoch.total / epoch.targets, epoch.norms / epoch.steps

    def _note(self, epoch: _Sums, number: int, targets: int, outcome: Outcome) -> None:
        """Add a step's outcome to its epoch's sums."""
        loss, norm = outcome()
        self.monitor.check_finite(loss, number)
        self.monitor.check_finite(norm, number)
        epoch.total += loss * targets
        epoch.targets += targets
        epoch.norms += norm
        epoch.worst = max(epoch.worst, norm)
        epoch.steps += 1
        self.monitor.progress.advance(
            epoch.targets / self.batches.n_targets,
            epoch.total / epoch.targets,
        )

    def _watch(self, norm: float) -> None:
        """Warn of a gradient that explodes, once."""
        history = self.monitor.history
        if norm < _EXPLODES or history.exploded:
            return
        history.exploded = True
        warn(
            ConvergenceWarning,
            f"The gradient explodes: its norm reached {norm:.3g} in epoch "
            f"{history.epochs + 1}. {slower(self.monitor.options)}",
        )
