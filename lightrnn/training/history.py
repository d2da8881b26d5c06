"""The training options, the record of an epoch, and the history that a later fit continues."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ..exceptions import ConvergenceWarning, warn

KEPT = 10_000  # records of earlier epochs that `partial_fit` keeps
STOP_REASONS = ("max_iter", "n_iter_no_change", "tol", "line_search", "callback", "interrupted")
_CUT = 5.0  # by which the adaptive schedule divides the learning rate, as scikit-learn's MLPs do


class StopTraining(Exception):
    """Raised by a callback to end training after the epoch that it was called with.

    Examples
    --------
    >>> from lightrnn.training import StopTraining
    >>> def stop(record):
    ...     if record.loss < 0.1:
    ...         raise StopTraining
    """


# Returned by a callback, it ends training. Its class is its own, so that no result that a function
# happens to have, such as the number of characters written, ends it. A copy of it does: workers of
# joblib get their callbacks by pickle.
STOP = StopTraining("A callback ended training.")


class Epoch(NamedTuple):
    """Record of an epoch, which callbacks are called with.

    Attributes
    ----------
    epoch : int
        Number of the epoch, from 1.
    loss : float
        Mean training loss over the epoch.
    validation_score : float or None
        Score of the held-out sequences, greater is better, as `scoring` defines it: by default the
        negative loss. None without any.
    gradient_norm : float
        Mean norm of the gradient before clipping.
    learning_rate : float or None
        Step size at the epoch's start; None for lbfgs, which finds its own.
    seconds : float
        Wall time of the epoch, without that of compiling kernels.

    Examples
    --------
    A callback that returns `STOP`, or raises `StopTraining`, ends training. Any other result is
    ignored.

    >>> from lightrnn.training import STOP
    >>> def stop(record):
    ...     return STOP if record.loss < 0.1 else None
    >>> stop(Epoch(1, 0.05, None, gradient_norm=0.3, learning_rate=0.003, seconds=0.2)) is STOP
    True
    """

    epoch: int
    loss: float
    validation_score: float | None
    gradient_norm: float
    learning_rate: float | None
    seconds: float


def ends_by_schedule(learning_rate: str, solver: str) -> bool:
    """Return whether the schedule of the step size comes to its end after `max_iter` epochs."""
    return learning_rate == "cosine" and solver != "lbfgs"


def warn_of_the_end(
    solver: str, learning_rate: str, max_iter: int, tol: float, **others: Any
) -> None:
    """Warn that training ran out of epochs, unless its schedule ends there."""
    if ends_by_schedule(learning_rate, solver):
        return
    other = "set learning_rate='cosine', which comes to rest within max_iter epochs"
    if solver == "lbfgs":
        other = f"tol (it is {tol:g})"
    warn(
        ConvergenceWarning,
        f"Maximum iterations ({max_iter}) reached and the training hasn't converged yet. Raise "
        f"max_iter, or {other}.",
    )


@dataclass(frozen=True)
class TrainingOptions:
    """The checked arguments of an estimator that concern training: see `lightrnn.RNNClassifier`."""

    solver: str
    learning_rate: str
    learning_rate_init: float
    alpha: float
    batch_size: int
    max_iter: int
    truncate: int | None
    clip_norm: float | None
    shuffle: bool
    tol: float  # minimum decrease of the loss that counts as improvement
    n_iter_no_change: float
    early_stopping: bool
    callbacks: tuple[Callable[[Epoch], Any], ...]
    threads: int
    verbose: int


@dataclass
class History:
    """The course of training so far, which the next `partial_fit` continues.

    Its lists are its own. Those of `partial_fit` keep the last `KEPT` records, so that neither a
    call nor a saved file grows with the number of calls before.
    """

    losses: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    best: float = -math.inf  # greater is better: a score, or a loss with its sign changed
    stale: int = 0  # epochs since the last improvement
    cuts: int = 0  # of the learning rate by the adaptive schedule
    exploded: bool = False  # whether the warning was given, which comes once
    dropped: int = 0  # epochs before those of `losses`
    stop_reason: str | None = None  # one of STOP_REASONS
    best_epoch: int | None = None  # whose weights the network has

    def __post_init__(self) -> None:
        """Copy the lists."""
        self.losses = list(self.losses)
        self.scores = list(self.scores)

    @property
    def epochs(self) -> int:
        """The number of epochs run."""
        return self.dropped + len(self.losses)

    def continued(self) -> History:
        """Return a copy for the next `partial_fit`, with the last records."""
        losses = self.losses[1 - KEPT :]  # one more is about to come
        dropped = self.epochs - len(losses)
        return replace(self, losses=losses, scores=self.scores[1 - KEPT :], dropped=dropped)

    def learning_rate(self, options: TrainingOptions, done: float) -> float:
        """Return the step size when the fraction `done` of the epoch, in [0, 1), is over.

        The cosine falls to zero within ``max_iter`` epochs and restarts if more follow [1]_.

        References
        ----------
        .. [1] Loshchilov, I. and Hutter, F. (2017). SGDR: Stochastic gradient descent with warm
           restarts. ICLR, equation 5.
        """
        if options.learning_rate == "cosine":
            turn = math.pi * (self.epochs % options.max_iter + done) / options.max_iter
            return options.learning_rate_init * 0.5 * (1.0 + math.cos(turn))
        return options.learning_rate_init / _CUT**self.cuts
