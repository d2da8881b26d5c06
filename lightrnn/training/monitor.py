"""Record each epoch as it ends, keep the best weights, and decide whether training stops."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from .history import Epoch, History, TrainingOptions
from .progress import Progress

if TYPE_CHECKING:
    from ..nn.network import Network

_MOST_CUTS = 4


class Monitor:
    """Looks at each epoch as it ends: history, best weights, progress, callbacks, and whether to stop."""

    def __init__(
        self,
        network: Network,
        options: TrainingOptions,
        history: History,
        validate: Callable[[], float] | None,
        progress: Progress,
    ) -> None:
        self.network, self.options, self.history, self.validate, self.progress = (
            network,
            options,
            history,
            validate,
            progress,
        )
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
        self._compare(-loss if score is None or not self.options.early_stopping else score)
        self.progress.update(record)
        asked_to = [callback(record) for callback in self.options.callbacks]
        return self._exhausted() or any(asked_to)

    def restore(self) -> None:
        """Go back to the best weights seen, if an epoch has ended at all."""
        if self._best is not None:
            self.network.parameters[:] = self._best

    def _compare(self, value: float) -> None:
        """Keep the weights if they are the best so far, and count the epochs without an improvement."""
        history = self.history
        history.stale = (
            0
            if value >= history.best + self.options.tol and value > history.best
            else history.stale + 1
        )
        if value > history.best or self._best is None:
            history.best = max(value, history.best)
            self._best = np.array(self.network.parameters)

    def _exhausted(self) -> bool:
        """Tell whether there were too many epochs without improvement, unless a lower learning rate may still help."""
        history, options = self.history, self.options
        if history.stale < options.n_iter_no_change:
            return False
        if (
            options.learning_rate != "adaptive"
            or options.solver == "lbfgs"
            or history.cuts == _MOST_CUTS
        ):
            return True
        history.cuts += 1
        history.stale = 0
        return False


def check_finite(network: Network, value: float, monitor: Monitor, batch: int) -> None:
    """Stop at a loss or a gradient norm that is NaN or infinite, and say where it came from."""
    if math.isfinite(value):
        return
    place = _first_non_finite(network.named(network.parameters))
    if place is None and not network.steps_in_flight:  # else the gradient is of a later step
        place = _first_non_finite(network.named(network.gradient)) or "none, the outputs overflow"
    raise ValueError(
        f"The loss or its gradient must stay finite, got {value} in epoch {len(monitor.history.losses) + 1}, "
        f"batch {batch}; the first parameter that is not finite: {place or 'none'}. "
        f"Lower learning_rate_init (it is {monitor.options.learning_rate_init:g}), bring X to unit scale with "
        f"SequenceScaler, or {shorter_gradient(monitor.options)}."
    )


def shorter_gradient(options: TrainingOptions) -> str:
    """Remedy for a gradient that explodes on its way back through time."""
    if options.clip_norm is None:
        return "set clip_norm=1.0"
    return "set truncate, so that the gradient goes back through fewer steps"


def _first_non_finite(arrays: dict[str, np.ndarray]) -> str | None:
    return next((name for name, values in arrays.items() if not np.isfinite(values).all()), None)
