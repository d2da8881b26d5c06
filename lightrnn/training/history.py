"""The training options, the record of an epoch, and the history that a later fit continues."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    pass


_CUT = 5.0


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
class TrainingOptions:
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

    def learning_rate(self, options: TrainingOptions, done: float) -> float:
        """Return the step size when a share of the epoch, in [0, 1), is done.

        The cosine falls to zero within ``max_iter`` epochs, and starts anew if there are more of them: SGDR,
        Loshchilov & Hutter 2017, eq. 5.
        """
        if options.learning_rate == "cosine":
            turn = math.pi * (len(self.losses) % options.max_iter + done) / options.max_iter
            return options.learning_rate_init * 0.5 * (1.0 + math.cos(turn))
        return options.learning_rate_init / _CUT**self.cuts
