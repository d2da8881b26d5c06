"""How a network learns: epochs over minibatches, or L-BFGS over all sequences at once, until it is time to stop.

`train` moves the parameters of a network and keeps a `History`: the loss of every epoch, the validation scores, and
what the schedule and the stopping rule remember between calls. It knows nothing of estimators and labels: sequences
and targets arrive checked and encoded.

An epoch counts as an improvement if what is watched (the training loss; with early stopping the validation score)
gained more than ``tol``; after ``n_iter_no_change`` epochs without one the training ends, or the adaptive schedule
divides the learning rate by five.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._base import warn
from ._descent import Descent, Lbfgs
from .progress import Progress

if TYPE_CHECKING:
    from .feeds import Feed
    from .losses import Loss
    from .network import Network
    from .solvers import Solver

_CUT = 5.0
_MOST_CUTS = 4


class Epoch(NamedTuple):
    """What a callback is told after an epoch.

    Attributes
    ----------
    epoch : int
        Its number, from 1.
    loss : float
        Mean training loss over the epoch.
    validation_score : float or None
        Score on the held-out sequences, if there are any.
    gradient_norm : float
        Mean norm of the gradient before clipping.
    learning_rate : float or None
        The step size used; None for lbfgs, which finds its own.
    seconds : float
        Wall time of the epoch.
    """

    epoch: int
    loss: float
    validation_score: float | None
    gradient_norm: float
    learning_rate: float | None
    seconds: float


@dataclass(frozen=True)
class Plan:
    """The estimator's arguments that concern training, checked; see `lightrnn.RNNClassifier` for their meaning."""

    solver: str
    learning_rate: str
    learning_rate_init: float
    alpha: float
    batch_size: int
    max_iter: int
    truncate: int | None
    clip_norm: float | None
    shuffle: bool
    tol: float
    n_iter_no_change: int
    early_stopping: bool
    callbacks: tuple[Callable[[Epoch], Any], ...]
    threads: int
    verbose: int


@dataclass
class History:
    """What training leaves behind, and what the next `partial_fit` goes on from."""

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best: float = -math.inf
    stale: int = 0
    cuts: int = 0
    exploded: bool = False

    def learning_rate(self, plan: Plan, done: float) -> float:
        """Return the step size when a share of the epoch, in [0, 1), is done.

        The cosine falls to zero within ``max_iter`` epochs, and starts anew if there are more of them: SGDR,
        Loshchilov & Hutter 2017, eq. 5.
        """
        if plan.learning_rate == "cosine":
            turn = math.pi * (len(self.losses) % plan.max_iter + done) / plan.max_iter
            return plan.learning_rate_init * 0.5 * (1.0 + math.cos(turn))
        return plan.learning_rate_init / _CUT**self.cuts


def train(
    network: Network,
    loss: Loss,
    solver: Solver | None,
    plan: Plan,
    feed: Feed,
    history: History,
    *,
    epochs: int,
    validate: Callable[[], float] | None = None,
) -> bool:
    """Train a network in place.

    Parameters
    ----------
    network, loss, solver, plan, feed : Network, Loss, Solver, Plan, Feed
        What learns, by what, how, from what. The solver is None for lbfgs.
    history : History
        Is extended.
    epochs : int
        The most epochs to run.
    validate : callable, optional
        Returns the score of the network as it is now; greater is better.

    Returns
    -------
    bool
        Whether training ended by itself: False if it ran out of epochs first.

    Raises
    ------
    ValueError
        If the loss or its gradient is not finite; epoch, batch and the first such parameter are named.

    Warns
    -----
    UserWarning
        If interrupted from the keyboard; the network then has the best weights so far.
    """
    progress = Progress(plan.verbose, epochs, feed.count, feed.unit)
    monitor = Monitor(network, plan, history, validate, progress)
    run = (
        Lbfgs(network, loss, plan, feed, monitor)
        if solver is None
        else Descent(network, loss, solver, plan, feed, monitor)
    )
    try:
        with np.errstate(all="ignore"):  # an overflow ends in a loss that is not finite, which is an error of ours
            ended = run(epochs)
        if plan.early_stopping:
            monitor.restore()
        return ended
    except KeyboardInterrupt:
        monitor.restore()
        warn(UserWarning, "Training was interrupted; the network has the best weights so far.")
        return True
    finally:
        monitor.progress.close()


class Monitor:
    """Looks at each epoch as it ends: history, best weights, progress, callbacks, and whether to stop."""

    def __init__(
        self, network: Network, plan: Plan, history: History, validate: Callable[[], float] | None, progress: Progress
    ) -> None:
        self.network, self.plan, self.history, self.validate, self.progress = network, plan, history, validate, progress
        self._best: np.ndarray | None = None
        self._started = perf_counter()

    def end_epoch(self, loss: float, norm: float, learning_rate: float | None) -> bool:
        """Take note of an epoch; return whether it was the last."""
        history = self.history
        history.losses.append(loss)
        score = None if self.validate is None else self.validate()
        if score is not None:
            history.scores.append(score)
        now = perf_counter()
        record = Epoch(len(history.losses), loss, score, norm, learning_rate, now - self._started)
        self._started = now
        self._compare(-loss if score is None or not self.plan.early_stopping else score)
        self.progress.update(record)
        asked_to = [callback(record) for callback in self.plan.callbacks]
        return self._exhausted() or any(asked_to)

    def restore(self) -> None:
        """Go back to the best weights seen, if an epoch has ended at all."""
        if self._best is not None:
            self.network.parameters[:] = self._best

    def _compare(self, value: float) -> None:
        """Keep the weights if they are the best so far, and count the epochs without an improvement."""
        history = self.history
        history.stale = 0 if value >= history.best + self.plan.tol and value > history.best else history.stale + 1
        if value > history.best or self._best is None:
            history.best = max(value, history.best)
            self._best = np.array(self.network.parameters)

    def _exhausted(self) -> bool:
        """Tell whether there were too many epochs without improvement, unless a lower learning rate may still help."""
        history, plan = self.history, self.plan
        if history.stale < plan.n_iter_no_change:
            return False
        if plan.learning_rate != "adaptive" or plan.solver == "lbfgs" or history.cuts == _MOST_CUTS:
            return True
        history.cuts += 1
        history.stale = 0
        return False
