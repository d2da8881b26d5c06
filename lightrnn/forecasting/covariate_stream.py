"""The covariates and the calendar of a stream."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import cpu
from ..data.arrays import as_array, as_numbers
from ..utils.checks import shown
from .covariates import calendar
from .forms import FrameForm
from .windows import Encoding

# Steps whose place in the calendar is computed at a time.
_DATES = 1024


class CovariateStream:
    """The covariates and the calendar of a stream, written beside its values.

    Parameters
    ----------
    encoding : Encoding
        How series are read.
    form : FrameForm or None
        Their dates.

    Attributes
    ----------
    any : bool
        Whether there are some.
    ahead : int
        For how many steps, from the next one on, covariates have been given.
    """

    def __init__(self, encoding: Encoding, form: FrameForm | None) -> None:
        covariates = encoding.covariates
        self._covariates = covariates
        self._horizon = encoding.horizon
        self._form = form
        self._moments = np.array([covariates.mean, covariates.scale])
        self._least = 1 + (encoding.horizon if covariates.ahead == "always" else 0)
        self._dates = slice(encoding.width - covariates.width_of_dates, encoding.width)
        self._cycles = np.empty((0, 0))  # those of some steps, from this one on:
        self._first = 0
        self.ahead = 0
        self.any = bool(covariates.n_columns or covariates.cycles)
        if covariates.cycles and form is None:
            raise ValueError(
                "start must be the date of the first value, got None. The forecaster reads the "
                f"{' and the '.join(covariates.cycles)} of its dates."
            )

    def write(self, steps: np.ndarray, row: int, count: int, age: int, x: Any) -> None:
        """Write what is beside a step: of this one, and of those ahead."""
        if not self._covariates.n_columns:
            if x is not None:
                raise ValueError(
                    f"x must be None, got {shown(x)}. The forecaster was fitted without covariates."
                )
        else:
            rows = self._rows(x)
            if len(rows):
                cpu.forecast_step.write_covariates(steps, rows, self._moments, row, age)
                self.ahead = max(self.ahead, len(rows))
        if self._covariates.cycles:
            # The network reads the date of the step that follows.
            steps[row + 1, self._dates] = self._calendar(count + 1)

    def _rows(self, x: Any) -> np.ndarray:
        """Return covariates as checked rows (k, C), none if those given before reach far enough."""
        C = self._moments.shape[1]
        least = self._least
        if x is None and self.ahead >= least:
            return np.empty((0, C))
        given = [x] if np.ndim(x) == 0 else x
        array = None if x is None else as_numbers(as_array(given, "x", ""), "x")
        if array is not None and array.ndim < 2:
            array = array.reshape(-1, C) if C == 1 or array.shape == (C,) else array
        if array is None or array.ndim != 2 or array.shape[1] != C:
            raise ValueError(
                f"x must be the {C} covariates of this step, got {shown(x)}. Give (C,), or (k, C) "
                "with those of the steps ahead."
            )
        if not least <= max(len(array), self.ahead) or len(array) > 1 + self._horizon:
            most = 1 + self._horizon
            count = f"{most} rows" if least == most else f"from {least} to {most} rows"
            raise ValueError(
                f"x must have {count}, got {len(array)}. The "
                "first is that of this step, the others are those of the horizon."
            )
        # A copy, for the kernel is compiled for one order of elements alone.
        return np.array(array, np.float64, order="C")

    def _calendar(self, count: int) -> np.ndarray:
        """Return the calendar's inputs of a step."""
        if not self._first <= count < self._first + len(self._cycles):
            self._first = count
            dates: Any = self._form and self._form.dates(0, count, _DATES)
            self._cycles = calendar(dates, self._covariates.cycles, _DATES)
        return self._cycles[count - self._first]
