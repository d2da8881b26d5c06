"""The data of a fit, and what is chosen by the windows that are held out of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np

from ..losses import Loss, make_loss
from .backtest import naive_error
from .columns import Quantiles
from .holdout import HeldOut, hold_out, stops
from .linear import PENALTIES, add_linear, design, solved
from .series import Panel
from .windows import Encoding, Windows

# Origins of which each encoding's linear forecast is learned, to compare them.
_ORIGINS = 12_000
# The error of another scale than "standard" counts for so much more, and that without a calendar.
_MARGIN = 1.05


@dataclass(frozen=True, eq=False)
class Task:
    """The data of a fit, which its networks share.

    Attributes
    ----------
    first, whole : Windows
        The series without the windows that are held out, and all of them.
    held_out : HeldOut
        These windows; there may be none.
    quantiles : tuple of float
        What is learned of each step of the horizon.
    linear : ndarray or None
        The linear part of forecasts, which the networks correct.
    name : str
        What is shown of a network while it is trained, if there are several.
    """

    first: Windows
    whole: Windows
    held_out: HeldOut
    quantiles: Quantiles
    linear: np.ndarray | None = None
    name: str = ""

    @classmethod
    def of(cls, panel: Panel, candidates: list[Encoding], quantiles: Quantiles) -> Self:
        """Return the task to learn from a panel, encoded in the best of several ways."""
        kept = stops(panel.lengths, candidates[0])
        # One by one, for each holds all series twice.
        choices = (_compared(panel, kept, encoding) for encoding in candidates)

        def weighed(choice: _Choice) -> float:
            # Of ways that do equally well, by few windows, the usual one is the safest.
            encoding = choice.first.encoding
            usual = encoding.scale == "standard", encoding.covariates == candidates[0].covariates
            return choice.error * _MARGIN ** usual.count(False)

        _, first, held_out, penalty, matrix = min(choices, key=weighed)
        # The same series, with a linear part of its own.
        whole = copy.copy(held_out.windows)
        linear = None
        if matrix is not None:
            add_linear(first, matrix)
            add_linear(held_out.windows, matrix)
            linear = solved(whole, (penalty,))[0]
            add_linear(whole, linear)
        return cls(first, whole, held_out, quantiles, linear)

    @property
    def n_outputs(self) -> int:
        """The number of outputs of a network."""
        return self.whole.encoding.horizon * len(self.quantiles)

    def loss(self) -> Loss:
        """Return the loss of the outputs: step by step of the horizon, its quantiles."""
        return make_loss("quantile", quantile=self.quantiles * self.whole.encoding.horizon)


class _Choice(NamedTuple):
    """An encoding with its best linear forecast."""

    error: float  # on the windows that are held out; that of the season before is 1
    first: Windows
    held_out: HeldOut
    penalty: float
    matrix: np.ndarray | None  # None where the season before is the better forecast


def _compared(panel: Panel, kept: np.ndarray, encoding: Encoding) -> _Choice:
    """Return the best linear forecast of an encoding."""
    past = panel.until(kept)
    first = Windows(past, encoding)
    held_out = hold_out(Windows(panel, encoding), panel, kept)
    if not held_out.runs:
        return _Choice(0.0, first, held_out, 0.0, None)
    errors = _errors(held_out, past)
    best = _Choice(1.0, first, held_out, 0.0, None)
    X = design(held_out.windows, held_out.origins)
    for penalty, matrix in zip(PENALTIES, solved(first, PENALTIES, _ORIGINS), strict=True):
        choice = best._replace(error=errors(X @ matrix), penalty=penalty, matrix=matrix)
        best = min(best, choice, key=lambda choice: choice.error)
    return best


def _errors(held_out: HeldOut, past: Panel) -> Callable[[np.ndarray], float]:
    """Return the function of scaled forecasts (m, horizon) that measures their error.

    It is the mean absolute error in units of each series' seasonal naive one, as in MASE. Where all
    values are positive, the error in percent (sMAPE) counts as much, as in the M4 competition. Both
    are divided by those of the season before.
    """
    windows = held_out.windows
    origins = held_out.origins
    naive = np.array([naive_error(y, windows.encoding.season) for y in past.values])
    size = naive[windows.series(origins)][:, None]
    truth = windows.decoded(held_out.targets[..., None], origins)[..., 0]
    positive = all(np.nanmin(y) > 0 for y in past.values)

    def measured(scaled: np.ndarray) -> np.ndarray:
        forecast = windows.decoded(scaled[..., None], origins)[..., 0]
        error = np.abs(forecast - truth)
        means = [np.nanmean(error / size)]
        if positive:
            means.append(np.nanmean(error / (np.abs(forecast) + np.abs(truth))))
        return np.array(means)

    base = measured(np.zeros_like(truth))
    base = np.where(base > 0, base, 1.0)
    return lambda scaled: float((measured(scaled) / base).mean())
