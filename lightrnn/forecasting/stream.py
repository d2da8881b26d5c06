"""`ForecastStream`: a series that is read value by value, and forecast after each of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from .. import cpu
from ..utils.checks import shown
from .calibration import places
from .covariate_stream import CovariateStream
from .fitted import Fitted
from .forms import FrameForm
from .networks import Networks
from .scaling import fill_before
from .series import LARGEST, Panel

# Fewest steps between two moves of the last ones to the front of their buffer.
_BETWEEN = 256
# Types of what pandas, and a masked array of NumPy, have in place of a missing number.
_MISSING = ("NAType", "NaTType", "MaskedConstant")


class ForecastStream:
    """One series, read value by value; made by ``forecaster.stream()``.

    After each value the forecast is, to the last bit, the one of `RNNForecaster.predict` for the
    series so far. A step costs the same time and memory however long the series is: networks carry
    one state on for each step of a season. A stream has copies of the weights, so further fitting
    does not change it. It belongs to one thread at a time.

    There is one exception, where X was as long as y in `fit`: `predict` hides the horizon's
    covariates at all steps, or at none. So should the steps of a stream.

    Parameters
    ----------
    fitted : Fitted
        Everything that a fit has learned.
    wanted : dict of str to float
        The quantile of each column of a forecast.
    form : FrameForm or None
        The dates of the series, from the first step on, if it has some.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNForecaster
    >>> y = 10 + np.arange(60) % 7.0
    >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
    >>> stream = model.stream()
    >>> forecasts = [stream.step(value) for value in y]
    >>> bool((forecasts[-1] == model.predict()).all())
    True
    """

    def __init__(
        self, fitted: Fitted, wanted: Mapping[str, float], form: FrameForm | None = None
    ) -> None:
        encoding = fitted.encoding
        self._encoding = encoding
        self._names = list(wanted)
        self._places = places(tuple(wanted.values()), fitted.quantiles)
        self._least = 0.0 if encoding.scale == "log" else -LARGEST
        self._others = CovariateStream(encoding, form)
        self._lay_out(fitted)
        self._rest = self.snapshot()

    def _lay_out(self, fitted: Fitted) -> None:
        """Make the arrays of a step, and bind the kernel to them."""
        encoding = self._encoding
        table = encoding.linear_table() if fitted.linear is not None else encoding.table()
        back = -int(table[:, [cpu.series.INPUT.offset, cpu.series.INPUT.base]].min())
        # The last rows that a step reads.
        self._behind = max(encoding.memory, 2 * encoding.season, back) + 1
        rows = 2 * self._behind + _BETWEEN + encoding.horizon
        self._steps = np.zeros((rows, encoding.width))
        self._full = rows - encoding.horizon - 1
        # The row of the next step, the number of steps since the first value, and that of all.
        self._row, self._age, self._count = self._behind, 0, 0
        self._networks = Networks(fitted.nets, encoding.season)
        w = len(self._places)
        numbers = np.concatenate([part.ravel() for part in self._constants(fitted, len(table))])
        # A view of what a step computes.
        forecast = numbers[-w * encoding.horizon :]
        self._forecast = forecast if w == 1 else forecast.reshape(w, -1)
        plan = self._networks.plan(table, fitted.factor.shape[1], w, fitted.linear is not None)
        plan = np.concatenate([fitted.options(), plan])
        arrays = self._networks.arrays
        step = cpu.jit.machine_code(cpu.forecast_step.step, arrays.dtype)
        self._take = partial(step, arrays, self._steps, numbers, plan)

    def _constants(self, fitted: Fitted, inputs: int) -> list[np.ndarray]:
        """Return the `Constants` of the kernel, and zeros for what it computes."""
        horizon, q = fitted.factor.shape
        linear = np.empty(0) if fitted.linear is None else fitted.linear
        computed = inputs + linear[:1].size + (1 + 2 * q + len(self._places)) * horizon
        factor = fitted.kernel_factor()
        return [*self._networks.moments(), linear, factor, self._places, np.zeros(computed)]

    def step(self, value: float | None, x: Any = None) -> Any:
        """Read the next value, and forecast those that follow.

        Parameters
        ----------
        value : float or None
            The value; NaN or None if it is missing.
        x : array-like (C,) or (k, C), default=None
            Covariates of this step, and of the k - 1 next ones as far as they are known ahead, up
            to the horizon. None where there are none, or where the steps before gave them.

        Returns
        -------
        forecast : ndarray (horizon,), or dict of str to ndarray (horizon,)
            The medians, or the columns that `level` or `quantiles` of the stream name. It is NaN
            until the first value that is not missing.

        Raises
        ------
        ValueError, TypeError
            If value or x is invalid. The stream is then as it was before the call.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = 10 + np.arange(60) % 7.0
        >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
        >>> list(model.stream(y, level=80).step(14.0))
        ['lightrnn', 'lightrnn-lo-80', 'lightrnn-hi-80']
        """
        begun = self._advance(value, x)
        forecast = self._forecast.copy() if begun else np.full_like(self._forecast, np.nan)
        return forecast if forecast.ndim == 1 else dict(zip(self._names, forecast, strict=True))

    def _advance(self, value: float | None, x: Any) -> bool:
        """Take a step; return whether there has been a value yet."""
        number = value if type(value) is float else _number(value)
        row = self._row
        age = self._age
        if not self._least < number <= LARGEST:
            self._check(number)
        if self._others.any or x is not None:
            self._others.write(self._steps, row, self._count, age, x)
        begun = age > 0 or number == number
        if begun:
            if age == 0:
                self._begin(row, number)
            if self._take(row, age, number):
                raise ValueError(
                    "value must give finite outputs, but the network overflows. Pass NaN instead "
                    "of values far from all others."
                )
            self._age = age + 1
        self._count += 1
        self._row = row + 1
        if self._others.ahead:
            self._others.ahead -= 1
        if row == self._full:
            self._move()
        return begun

    def _begin(self, row: int, number: float) -> None:
        """Make what lies before the first value of it."""
        season = self._encoding.season
        steps = self._steps
        steps[row, cpu.series.STEP.target] = number
        cpu.series.scale(steps, row, row, row + 1, self._encoding.options())
        fill_before(steps, row + 1 - season, row, season)

    def _check(self, number: float) -> None:
        """Raise a ValueError if a value cannot be read and is not missing."""
        if abs(number) == math.inf:
            raise ValueError(
                f"value must be finite or missing, got {number}. Pass NaN if it is not known."
            )
        if abs(number) > LARGEST:
            raise ValueError(
                f"value must be at most {LARGEST:g}, got {number:g}. Divide all by a constant."
            )
        if number <= self._least == 0:
            raise ValueError(
                f"value must be positive where scale is 'log', got {number:g}. Fit with "
                "scale='standard'."
            )

    def _move(self) -> None:
        """Move the last steps, and those ahead, to the front of the buffer."""
        start = self._row - self._behind
        kept = self._steps[start:].copy()
        self._steps[: len(kept)] = kept
        self._steps[len(kept) :] = 0.0
        self._row = self._behind

    # -- state ------------------------------------------------------------------------------------

    def begin(self, panel: Panel) -> None:
        """Read a series that is already there, with its covariates.

        Parameters
        ----------
        panel : Panel
            One series.
        """
        series = panel.values[0]
        horizon = self._encoding.horizon
        X = None if panel.covariates is None else panel.covariates[0]
        ahead = horizon if X is not None and len(X) >= len(series) + horizon else 0
        for t, value in enumerate(series.tolist()):
            self._advance(value, None if X is None else X[t : t + 1 + ahead])
        self._rest = self.snapshot()

    def reset(self) -> None:
        """Return to the state in which the stream was made.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = 10 + np.arange(60) % 7.0
        >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
        >>> stream = model.stream(y)
        >>> first = stream.step(14.0)
        >>> stream.reset()
        >>> bool((stream.step(14.0) == first).all())
        True
        """
        self._set(self._rest)

    def snapshot(self) -> tuple[np.ndarray, ...]:
        """Return a copy of the whole state, for `restore`.

        Returns
        -------
        snapshot : tuple of ndarray
            It can be restored in this stream, and in others of the same forecaster.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = 10 + np.arange(60) % 7.0
        >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0).fit(y)
        >>> stream, other = model.stream(y), model.stream()
        >>> other.restore(stream.snapshot())
        >>> bool((stream.step(14.0) == other.step(14.0)).all())
        True
        """
        counts = np.array([self._row, self._age, self._count, self._others.ahead])
        return tuple(part.copy() for part in (counts, *self._arrays()))

    def restore(self, snapshot: tuple[np.ndarray, ...]) -> None:
        """Return to the state in which a snapshot was taken.

        Parameters
        ----------
        snapshot : tuple of ndarray
            Result of `snapshot`.

        Raises
        ------
        ValueError
            If it is of another forecaster. The stream is then as it was before the call.

        Examples
        --------
        See `snapshot`.
        """
        kinds = [((4,), np.dtype(np.int64)), *((a.shape, a.dtype) for a in self._arrays())]
        parts: Any = snapshot if isinstance(snapshot, tuple) else ()
        found = [(getattr(part, "shape", None), getattr(part, "dtype", None)) for part in parts]
        if found != kinds or not self._row_is_valid(snapshot[0]):
            raise ValueError(
                f"snapshot must be one of this forecaster's streams, got {shown(snapshot)}. "
                "Take it with the method snapshot."
            )
        self._set(snapshot)

    def _row_is_valid(self, counts: np.ndarray) -> bool:
        """Return whether there is room behind and ahead of a snapshot's next step."""
        row, *others = counts.tolist()
        return bool(self._behind <= row < self._full and min(others) >= 0)

    def __reduce__(self) -> Any:
        """Refuse to be pickled."""
        raise TypeError(
            "A stream cannot be pickled: it holds addresses of machine code. Pickle the forecaster "
            "and a snapshot."
        )

    def _arrays(self) -> list[np.ndarray]:
        """Return all arrays that a step depends on."""
        return [self._steps, self._networks.kept]

    def _set(self, snapshot: tuple[np.ndarray, ...]) -> None:
        """Take over a state."""
        for array, part in zip(self._arrays(), snapshot[1:], strict=True):
            array[:] = part
        self._row, self._age, self._count, self._others.ahead = snapshot[0].tolist()


def _number(value: Any) -> float:
    """Return a value as a float; NaN where it is missing."""
    if isinstance(value, float):
        return float(value)
    if value is None or type(value).__name__ in _MISSING:
        return math.nan
    number = np.asarray(value)
    if number.shape or number.dtype.kind not in "biuf":
        raise TypeError(f"value must be a number, got {shown(value)}. Give one value a step.")
    return float(number)
