"""`ForecastStream`: a series that is read value by value, and forecast after each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..nn.stepper import Stepper
from ..utils.checks import shown
from .calibration import places
from .covariate_stream import CovariateStream
from .scaling import fill_before

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..estimators.regressor import RNNRegressor
    from .fitted import Fitted
    from .forms import FrameForm
    from .series import Panel

# Fewest steps between two moves of the last ones to the front of their buffer.
_BETWEEN = 256
# Types of what pandas has in place of a missing number.
_MISSING = ("NAType", "NaTType")


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
        self._least = 0.0 if encoding.scale == "log" else -math.inf
        self._nets = [_Net(net, encoding.season) for net in fitted.nets]
        self._others = CovariateStream(encoding, form)
        self._lay_out(fitted)
        self._rest = self.snapshot()

    def _lay_out(self, fitted: Fitted) -> None:
        """Make the arrays of a step, and bind the kernels to them."""
        encoding = self._encoding
        horizon, q = fitted.factor.shape
        # The inputs of the networks are the first of those of the linear part.
        n_features = encoding.n_features
        table = encoding.linear_table() if fitted.linear is not None else encoding.table()
        back = -int(table[:, [cpu.series.INPUT.offset, cpu.series.INPUT.base]].min())
        # The last rows that a step reads.
        self._behind = max(encoding.memory, 2 * encoding.season, back) + 1
        rows = 2 * self._behind + _BETWEEN + horizon
        self._steps = np.zeros((rows, encoding.width))
        self._full = rows - horizon - 1
        # The row of the next step, the number of steps since the first value, and that of all.
        self._row, self._age, self._count = self._behind, 0, 0
        options = fitted.options()
        linear = np.empty((0 if fitted.linear is None else 1, horizon), np.float32)
        matrix = np.empty((0, horizon)) if fitted.linear is None else fitted.linear
        inputs = np.zeros((1, len(table)))
        self._totals = np.empty((1, horizon * q))
        self._shape = 1, horizon * len(self._places)
        self._observe = partial(
            cpu.series.observe, inputs, linear, self._steps, table, matrix, options
        )
        self._forecast = partial(
            cpu.series.forecast,
            self._totals,
            fitted.kernel_factor(),
            self._places,
            self._steps,
            linear,
            options,
        )
        for number, net in enumerate(self._nets):
            net.bind(inputs[:, :n_features], self._totals, q, number)

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
        row = self._row
        forecast = np.empty(self._shape)
        if self._advance(value, x):
            self._forecast(row, forecast)
        else:
            forecast[:] = np.nan
        if len(self._names) == 1:
            return forecast[0]
        columns = forecast.reshape(-1, len(self._names)).T
        return dict(zip(self._names, columns, strict=True))

    def _advance(self, value: float | None, x: Any) -> bool:
        """Take a step without a forecast; return whether there has been a value yet."""
        number = value if type(value) is float else _number(value)
        row = self._row
        age = self._age
        steps = self._steps
        if not number > self._least or number == math.inf:
            self._check(number)
        if self._others.any or x is not None:
            self._others.write(steps, row, self._count, age, x)
        begun = age > 0 or number == number
        if begun:
            steps[row, 0] = number
            if age == 0:
                # What lies before the first value is made of it.
                self._observe(row, age)
                fill_before(steps, row + 1 - self._encoding.season, row, self._encoding.season)
                steps[row, 0] = number
            self._observe(row, age)
            self._take(age)
            self._age = age + 1
        self._count += 1
        self._row = row + 1
        if self._others.ahead:
            self._others.ahead -= 1
        if row == self._full:
            self._move()
        return begun

    def _take(self, age: int) -> None:
        """Let the networks read the inputs of a step."""
        season = self._encoding.season
        phase = age % season
        for net in self._nets:
            net.advance(phase if age >= season else -1)
        # Until a season is whole, the run of each forecast begins with it.
        if age >= season - 1:
            for net in self._nets:
                net.keep(phase)

    def _check(self, number: float) -> None:
        """Raise a ValueError if a value cannot be read and is not missing."""
        if abs(number) == math.inf:
            raise ValueError(
                f"value must be finite or missing, got {number}. Pass NaN if it is not known."
            )
        if number <= self._least:
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

    def _arrays(self) -> list[np.ndarray]:
        """Return all arrays that a step depends on."""
        return [self._steps, *(state for net in self._nets for state in net.states)]

    def _set(self, snapshot: tuple[np.ndarray, ...]) -> None:
        """Take over a state."""
        for array, part in zip(self._arrays(), snapshot[1:], strict=True):
            array[:] = part
        self._row, self._age, self._count, self._others.ahead = snapshot[0].tolist()


class _Net:
    """A network, whose state there is for each step of a season."""

    def __init__(self, net: RNNRegressor, season: int) -> None:
        self._stepper = Stepper(net._fitted().network, 1)
        self._now = self._stepper.states
        self.states = [np.zeros((season, *part.shape), part.dtype) for part in self._now]
        # Views are made once, for each takes as long as a copy.
        self._pairs = [list(zip(*pair, strict=True)) for pair in _by_phase(self.states, self._now)]

    def bind(self, inputs: np.ndarray, totals: np.ndarray, q: int, number: int) -> None:
        """Bind the kernels to the arrays of a stream."""
        stepper = self._stepper
        standardization = stepper.network.standardization
        self._read: Callable[[], Any] = partial(stepper.write, inputs)
        if standardization is not None:
            self._read = partial(
                cpu.gather.standardize,
                stepper.inputs,
                inputs,
                standardization.mean,
                standardization.scale,
            )
        outputs = stepper.fixed_outputs
        self._add = partial(cpu.series.add_quantiles, totals, outputs, q, number)

    def advance(self, phase: int) -> None:
        """Read the inputs in the state of a step of the season, -1 for none, and answer."""
        if phase < 0:
            self._stepper.reset()
        else:
            for state, now in self._pairs[phase]:
                np.copyto(now, state)
        self._read()
        if self._stepper.advance():
            raise ValueError(
                "value must give finite outputs, but the network overflows. Pass NaN instead of "
                "values far from all others."
            )
        self._add()

    def keep(self, phase: int) -> None:
        """Keep the state for the same step of the next season."""
        for state, now in self._pairs[phase]:
            np.copyto(state, now)


def _by_phase(
    states: list[np.ndarray], now: list[np.ndarray]
) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
    """Return for each step of a season views of its states, and the states to swap them with."""
    return [([state[phase] for state in states], now) for phase in range(len(states[0]))]


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


__all__ = ["ForecastStream"]
