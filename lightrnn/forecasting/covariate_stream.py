"""The covariates and the calendar of a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..data.arrays import as_array, as_numbers
from ..utils.checks import shown
from .covariates import calendar

if TYPE_CHECKING:
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
        start = cpu.series.WIDTH
        self._columns = slice(start, start + covariates.n_columns)
        self._present = start + covariates.n_columns
        self._dates = slice(self._present + 1, encoding.width)
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
                previous = steps[row - 1, self._columns] if age else np.zeros(rows.shape[1])
                self._write(steps[row : row + len(rows)], rows, previous)
                self.ahead = max(self.ahead, len(rows))
        if self._covariates.cycles:
            # The network reads the date of the step that follows.
            steps[row + 1, self._dates] = self._calendar(count + 1)

    def _write(self, steps: np.ndarray, rows: np.ndarray, previous: np.ndarray) -> None:
        """Write rows of covariates, scaled; what is missing stays as it was."""
        present = np.isfinite(rows)
        scaled = (rows - self._covariates.mean) / self._covariates.scale
        if not present.all():
            for values, there in zip(scaled, present, strict=True):
                np.copyto(values, previous, where=~there)
                previous = values
        steps[:, self._columns] = scaled
        steps[:, self._present] = 1.0

    def _rows(self, x: Any) -> np.ndarray:
        """Return covariates as checked rows (k, C), none if those given before reach far enough."""
        C = self._covariates.n_columns
        least = 1 + (self._horizon if self._covariates.ahead == "always" else 0)
        if x is None and self.ahead >= least:
            return np.empty((0, C))
        array = None if x is None else as_numbers(as_array(x, "x", ""), "x").astype(np.float64)
        if array is not None and array.ndim < 2:
            array = array.reshape(-1, C) if C == 1 or array.shape == (C,) else array
        if array is None or array.ndim != 2 or array.shape[1] != C:
            raise ValueError(
                f"x must be the {C} covariates of this step, got {shown(x)}. Give (C,), or (k, C) "
                "with those of the steps ahead."
            )
        if not least <= max(len(array), self.ahead) or len(array) > 1 + self._horizon:
            raise ValueError(
                f"x must have from {least} to {1 + self._horizon} rows, got {len(array)}. The "
                "first is that of this step, the others are those of the horizon."
            )
        return array

    def _calendar(self, count: int) -> np.ndarray:
        """Return the calendar's inputs of a step."""
        if not self._first <= count < self._first + len(self._cycles):
            self._first = count
            dates: Any = self._form and self._form.dates(0, count, _DATES)
            self._cycles = calendar(dates, self._covariates.cycles, _DATES)
        row: np.ndarray = self._cycles[count - self._first]
        return row


__all__ = ["CovariateStream"]
