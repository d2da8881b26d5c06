"""Warn of training that learns nothing: its loss stays that of predicting without X."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..exceptions import ConvergenceWarning, warn
from .history import TrainingOptions
from .prior import Prior

if TYPE_CHECKING:
    from ..losses import Loss
    from .minibatches import BatchSource

# A small set leaves the prior only after some steps of the solver: judged after 30 of them, a fit
# of 20 series warned that came to an accuracy of .97.
_FEWEST_EPOCHS = 10
_FEWEST_STEPS = 100
_MOST = 1000  # relevant differences that a loss may be: with outliers, it does not show others


def has_learned(losses: list[float], prior: Prior, horizon: int) -> bool:
    """Return whether the losses of some epochs fell below the prior's, or are on their way.

    A loss has fallen if it is lower by what is relevant and twice the scatter of the epochs. It is
    on its way if it falls by what is relevant when the slope of the later half of the epochs holds
    on.

    Parameters
    ----------
    losses : list of float
        Mean training losses of at least six epochs.
    prior : Prior
        The best prediction without X.
    horizon : int
        Number of epochs for which the slope is extrapolated.

    Returns
    -------
    bool

    Examples
    --------
    >>> prior = Prior(1.0, 0.01, "the mean of y")
    >>> has_learned([1.02, 1.0, 1.01, 0.99, 1.0, 1.0, 1.01, 1.0, 1.01, 1.0], prior, 20)
    False
    >>> has_learned([1.02, 1.01, 1.01, 1.0, 1.0, 1.0, 0.99, 0.99, 0.98, 0.98], prior, 20)
    True
    """
    late = np.array(losses[len(losses) // 2 :])
    epochs = np.arange(len(late)) - (len(late) - 1) / 2
    slope = epochs @ late / (epochs @ epochs)
    rest = late - late.mean() - slope * epochs
    scatter = math.sqrt(rest @ rest / (len(late) - 2))
    fallen = prior.loss - min(losses) > prior.relevant + 2 * scatter
    return bool(fallen or -slope * horizon > prior.relevant)


@dataclass(eq=False, repr=False)
class LearningCheck:
    """Compares the loss with the prior's: after a tenth of the epochs, and in the end.

    Parameters
    ----------
    batches : BatchSource
        Knows the prior.
    loss : Loss
        Is minimised.
    options : TrainingOptions
        The estimator's arguments.
    """

    batches: BatchSource
    loss: Loss
    options: TrainingOptions

    def __post_init__(self) -> None:
        """Decide when to look."""
        steps = math.ceil(self.batches.count / self.options.batch_size)  # in an epoch
        needed = 0 if self.options.solver == "lbfgs" else math.ceil(_FEWEST_STEPS / steps)
        self._fewest = max(_FEWEST_EPOCHS, needed)
        self._tenth = max(self._fewest, math.ceil(self.options.max_iter / 10))
        self._epochs = 0
        self._warned = False

    def after_epoch(self, losses: list[float]) -> None:
        """Count an epoch, the last of these; look at all that were counted if they are a tenth."""
        self._epochs += 1
        if self._epochs == self._tenth:
            self.at_end(losses)

    def at_end(self, losses: list[float]) -> None:
        """Look at the losses of all epochs that were counted, and warn if nothing was learned."""
        if self._warned or self._epochs < self._fewest:
            return
        losses = losses[-self._epochs :]  # those of earlier calls stand before them
        prior = self.batches.prior(self.loss)
        # A prior without loss, that of a constant y, cannot be improved on.
        visible = 0 < prior.loss < _MOST * prior.relevant
        if not visible or has_learned(losses, prior, self.options.max_iter):
            return
        self._warned = True
        late = np.mean(losses[len(losses) // 2 :])
        epochs = f"{len(losses)} of {self.options.max_iter} epochs"
        warn(
            ConvergenceWarning,
            f"Nothing was learned in {epochs}: the loss is {late:.4g}, where "
            f"predicting {prior.of} alone has {prior.loss:.4g}. {_remedies(self.options)}"
            f"{prior.advice}",
        )


def _remedies(options: TrainingOptions) -> str:
    """Return the sentence with what to try."""
    rate = f"a lower or higher learning_rate_init (it is {options.learning_rate_init:g})"
    first = "another solver" if options.solver == "lbfgs" else rate
    decay = f", a lower alpha (it is {options.alpha:g})" if options.alpha else ""
    return (
        f"Try {first}{decay}, more units, a larger patch where sequences are long, or more epochs; "
        "with standardize=False bring X to unit scale."
    )
