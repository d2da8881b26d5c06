"""Record each epoch as it ends, keep the best weights, and decide whether training stops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from .history import Epoch, History, StopTraining, TrainingOptions, ends_by_schedule
from .progress import Progress

if TYPE_CHECKING:
    from .learning_check import LearningCheck
    from .trainable import TrainableNetwork

_MOST_CUTS = 4  # of the learning rate; the next time that training stalls, it ends


@dataclass(eq=False, repr=False)
class Monitor:
    """Records epochs: history, best weights, progress, callbacks, and whether to stop.

    Parameters
    ----------
    network : TrainableNetwork
        Is trained elsewhere.
    options : TrainingOptions
        Of these: tolerance, patience, early stopping, schedule and callbacks.
    history : History
        Is extended.
    validate : callable or None
        Returns the score of the network as it is now; greater is better.
    progress : Progress
        Shows the epochs.
    check : LearningCheck or None, default=None
        Warns if nothing is learned.
    """

    network: TrainableNetwork
    options: TrainingOptions
    history: History
    validate: Callable[[], float] | None
    progress: Progress
    check: LearningCheck | None = None

    def __post_init__(self) -> None:
        """Begin the first epoch."""
        self._best: np.ndarray | None = None  # a copy of the parameters
        self._best_epoch = self.history.epochs
        self.history.best_epoch = self._best_epoch
        self._started = cpu.compiling.clock()  # the current epoch

    def end_epoch(self, loss: float, norm: float, learning_rate: float | None) -> bool:
        """Record an epoch; return whether it was the last."""
        history = self.history
        self.check_parameters()
        history.losses.append(loss)
        score = self._score()
        if score is not None:
            history.scores.append(score)
        history.best_epoch = history.epochs
        now = cpu.compiling.clock()
        record = Epoch(history.epochs, loss, score, norm, learning_rate, now - self._started)
        self._started = now
        self._compare(-loss if score is None or not self.options.early_stopping else score)
        self.progress.update(record)
        if self.check:
            self.check.after_epoch(history.losses)
        # Every callback sees the epoch, also after one that stops training.
        stops = [_stops(callback, record) for callback in self.options.callbacks]
        exhausted = self._exhausted()
        history.stop_reason = (
            "callback" if any(stops) else "n_iter_no_change" if exhausted else "max_iter"
        )
        return exhausted or any(stops)

    def end(self) -> None:
        """Take the best weights where early stopping does, and look at what was learned."""
        if self.options.early_stopping:
            self.restore()
        if self.check:
            self.check.at_end(self.history.losses)

    def restore(self) -> None:
        """Set the network to the best weights so far, if an epoch has ended at all."""
        if self._best is not None:
            self.network.parameters[:] = self._best
        self.history.best_epoch = self._best_epoch

    def _score(self) -> float | None:
        """Return the validation score, None without validation data."""
        if self.validate is None:
            return None
        score = self.validate()
        if not math.isfinite(score):
            raise ValueError(
                f"The validation score must be finite, got {score} in epoch "
                f"{self.history.epochs}. Bring X_val and y_val to the scale of X and y, or let "
                "scoring return a finite number."
            )
        return score

    def _compare(self, value: float) -> None:
        """Keep the weights if they are the best so far, and count epochs without improvement."""
        history = self.history
        better = value > history.best
        improved = better and value >= history.best + self.options.tol
        history.stale = 0 if improved else history.stale + 1
        if better or self._best is None:  # a later fit may begin below an earlier one's best
            history.best = max(value, history.best)
            self._best = np.array(self.network.parameters)
            self._best_epoch = history.epochs

    def _exhausted(self) -> bool:
        """Return whether training has stalled and no lower learning rate is left to try."""
        history = self.history
        options = self.options
        # A schedule that ends is a stopping rule of its own: while the rate is high the loss may
        # not fall for many epochs, and does when the rate has become low.
        patient = options.early_stopping or not ends_by_schedule(
            options.learning_rate, options.solver
        )
        if not patient or history.stale < options.n_iter_no_change:
            return False
        adaptive = options.learning_rate == "adaptive" and options.solver != "lbfgs"
        if not adaptive or history.cuts == _MOST_CUTS:
            return True
        history.cuts += 1
        history.stale = 0
        return False

    def check_finite(self, value: float, batch: int) -> None:
        """Raise a ValueError if a loss or a gradient norm is not finite, with what it came from."""
        if math.isfinite(value):
            return
        network = self.network
        epoch = self.history.epochs + 1
        place = _first_non_finite(network.named(network.parameters))
        # With steps in flight the gradient may be that of a later step.
        if place is None and not network.steps_in_flight:
            place = _first_non_finite(network.named(network.gradient))
            place = place or "none, the outputs overflow"
        raise ValueError(
            f"The loss or its gradient must stay finite, got {value} in epoch {epoch}, batch "
            f"{batch}; the first parameter that is not finite: {place or 'none'}. "
            f"{self._remedy()}"
        )

    def check_parameters(self) -> None:
        """Raise a ValueError if a parameter is not finite: a step's loss is that before the step.

        So the last step of an epoch may break the network without breaking its loss.
        """
        parameters = self.network.parameters
        if np.isfinite(parameters).all():
            return
        place = _first_non_finite(self.network.named(parameters))
        raise ValueError(
            f"The parameters must stay finite, got {place} with others in epoch "
            f"{self.history.epochs + 1}. {self._remedy()}"
        )

    def _remedy(self) -> str:
        """Return the sentence that ends the message of an overflow."""
        if self.options.solver == "lbfgs":
            return (
                "Use solver='adam', which clips the gradient; with standardize=False bring X to "
                "unit scale."
            )
        return slower(self.options)


def _stops(callback: Callable[[Epoch], Any], record: Epoch) -> bool:
    """Call a callback; return whether it ends training."""
    try:
        return isinstance(callback(record), StopTraining)
    except StopTraining:
        return True


def slower(options: TrainingOptions) -> str:
    """Return the sentence with the remedies for a gradient that explodes."""
    shorter = (
        "set clip_norm=1.0"
        if options.clip_norm is None
        else "set truncate, so that the gradient goes back through fewer steps"
    )
    return (
        f"Lower learning_rate_init (it is {options.learning_rate_init:g}), or {shorter}; with "
        "standardize=False bring X to unit scale."
    )


def _first_non_finite(arrays: dict[str, np.ndarray]) -> str | None:
    return next((name for name, values in arrays.items() if not np.isfinite(values).all()), None)
