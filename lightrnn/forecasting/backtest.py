"""Errors of forecasts from several origins, by window, by series and by step of the horizon."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.tables import as_table
from .columns import NAME, Quantiles
from .dates import pandas
from .forms import ID, TIME, VALUE, ArrayForm, FrameForm
from .series import Panel

# At most so many series have a row in a printed backtest: the worst ones by MASE.
_SHOWN = 10


@dataclass(frozen=True, eq=False, repr=False)
class Backtest:
    """Errors of forecasts from rolling origins; printed, they are tables by step and by series.

    Means leave out what is NaN since a value is missing.

    Attributes
    ----------
    truth, forecast : ndarray (windows, n, horizon)
        Values and medians, the oldest window first.
    mase : ndarray (windows, n, horizon)
        Absolute error, divided by the mean absolute error, before the window, of the forecast that
        a season repeats itself [1]_.
    smape : ndarray (windows, n, horizon)
        Absolute error in percent of the mean of forecast and value.
    pinball : ndarray (windows, n, horizon)
        Mean pinball loss of the quantiles, in the units of `mase`.
    coverage : dict of float to ndarray (windows, n, horizon)
        For each level in percent whether the value was inside of its interval.
    ids : list
        Names of the series, or their numbers.

    References
    ----------
    .. [1] Hyndman, R. J. and Koehler, A. B. (2006). Another look at measures of forecast accuracy.
       International Journal of Forecasting 22.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn import RNNForecaster
    >>> y = np.arange(80) % 7.0
    >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0)
    >>> model.backtest(y, windows=3).mase.shape
    (3, 1, 2)
    """

    truth: np.ndarray
    forecast: np.ndarray
    mase: np.ndarray
    smape: np.ndarray
    pinball: np.ndarray
    coverage: dict[float, np.ndarray]
    ids: list[Any]
    _positions: np.ndarray  # (windows, n), of the first value of each window
    _form: ArrayForm | FrameForm

    def mean(self, axis: int | tuple[int, ...] | None = None) -> dict[str, Any]:
        """Return the mean of each measure.

        Parameters
        ----------
        axis : int, tuple of int or None, default=None
            Axes to average over: 0 for windows, 1 for series, 2 for steps of the horizon. None:
            all of them.

        Returns
        -------
        dict of str to float or ndarray
            "mase", "smape", "pinball", and "coverage-80" for each level.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = [np.arange(80) % 7.0, np.arange(60) % 7.0]
        >>> model = RNNForecaster(3, 7, hidden_layer_sizes=8, max_iter=2, random_state=0)
        >>> model.backtest(y).mean(axis=(0, 2))["mase"].shape
        (2,)
        """
        means = {name: mean_of(part, axis) for name, part in self._measures().items()}
        return {name: float(part) if axis is None else part for name, part in means.items()}

    def frame(self) -> Any:
        """Return a DataFrame with a row for each value, as cross-validations of Nixtla's are.

        Returns
        -------
        frame : DataFrame
            The columns "unique_id"; "ds" and "cutoff", the step or date of the value and the last
            one before the window; "step" of the horizon, from 1; "y" and "lightrnn", value and
            median; and the measures, as `mean` names them. One of polars if the series were.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNForecaster
        >>> y = [np.arange(80) % 7.0, np.arange(60) % 7.0]
        >>> model = RNNForecaster(3, 7, hidden_layer_sizes=8, max_iter=2, random_state=0)
        >>> frame = model.backtest(y).frame()  # doctest: +SKIP
        >>> frame.groupby(["unique_id", "step"])[["mase", "smape"]].mean()  # doctest: +SKIP
        """
        windows, n, horizon = self.truth.shape
        firsts = self._positions.T[..., None]  # (n, windows, 1)
        steps = np.arange(horizon)
        arrays = {VALUE: self.truth, NAME: self.forecast, **self._measures()}
        columns = {
            ID: np.repeat(pandas().Index(self.ids, tupleize_cols=False), windows * horizon),
            TIME: self._form.labels((firsts + steps).ravel()),
            "cutoff": self._form.labels(np.repeat(firsts - 1, horizon)),
            "step": np.tile(steps + 1, windows * n),
            **{name: part.swapaxes(0, 1).ravel() for name, part in arrays.items()},
        }
        return self._form.given(pandas().DataFrame(columns))

    def __str__(self) -> str:
        """Return the table by step of the horizon, and of several series that of each."""
        by_step = self.mean(axis=(0, 1))
        rows = [_row(str(step + 1), by_step, step) for step in range(self.truth.shape[2])]
        rows.append(_row("all", self.mean()))
        tables = [as_table(["step", *by_step], rows)]
        if len(self.ids) > 1:
            by_series = self.mean(axis=(0, 2))
            shown = list(range(len(self.ids)))
            head = "series"
            if len(self.ids) > _SHOWN:
                # NaN stand last.
                shown = np.argsort(-by_series["mase"], kind="stable")[:_SHOWN].tolist()
                head = f"worst {_SHOWN} of {len(self.ids)}"
            rows = [_row(str(self.ids[i]), by_series, i) for i in shown]
            tables.append(as_table([head, *by_series], rows))
        return "\n\n".join(tables)

    def _measures(self) -> dict[str, np.ndarray]:
        """Return the arrays of all measures by name."""
        measures = {name: getattr(self, name) for name in ("mase", "smape", "pinball")}
        return measures | {f"coverage-{level:g}": part for level, part in self.coverage.items()}

    def __repr__(self) -> str:
        """Return the means of all steps."""
        means = ", ".join(f"{name}={value:.3f}" for name, value in self.mean().items())
        return f"Backtest({means})"


def _row(name: str, means: dict[str, Any], at: Any = ()) -> list[str]:
    """Return a row of a table: the name, and of each measure the mean at an index."""
    return [name, *(f"{np.asarray(part)[at]:.3f}" for part in means.values())]


def evaluate(
    truth: np.ndarray, predicted: np.ndarray, naive: np.ndarray, quantiles: Quantiles
) -> dict[str, Any]:
    """Return the measures of one window, each (n, horizon), as `Backtest` has them.

    Parameters
    ----------
    truth : ndarray (n, horizon)
        Values, NaN where one is missing.
    predicted : ndarray (n, horizon, q)
        Quantiles.
    naive : ndarray (n,)
        Mean absolute error of each series' seasonal naive forecast.
    quantiles : tuple of q floats
        The quantiles.
    """
    forecast = predicted[..., quantiles.index(0.5)]
    errors = np.abs(truth - forecast)
    size = np.abs(truth) + np.abs(forecast)
    excess = truth[..., None] - predicted  # (n, horizon, q)
    pinball = np.maximum(quantiles * excess, (np.array(quantiles) - 1) * excess).mean(axis=2)
    missing = np.where(np.isnan(truth), np.nan, 1.0)
    coverage = {
        round(100 * (1 - 2 * low), 6): missing
        * ((predicted[..., i] <= truth) & (truth <= predicted[..., -1 - i]))
        for i, low in enumerate(quantiles)
        if low < 0.5 and np.isclose(low + quantiles[-1 - i], 1)
    }
    return {
        "truth": truth,
        "forecast": forecast,
        "mase": errors / naive[:, None],
        "smape": 200 * np.divide(errors, size, out=np.zeros_like(errors), where=size != 0),
        "pinball": pinball / naive[:, None],
        "coverage": coverage,
    }


def joined(windows: list[dict[str, Any]], panel: Panel, behind: np.ndarray) -> Backtest:
    """Return the measures of several windows, each so far behind the ends of series, in one."""
    names = windows[0].keys() - {"coverage"}
    arrays = {name: np.stack([window[name] for window in windows]) for name in names}
    coverage = {
        level: np.stack([window["coverage"][level] for window in windows])
        for level in windows[0]["coverage"]
    }
    positions = panel.lengths - behind[:, None] + np.array(panel.form.starts)
    ids = panel.form.names(len(panel.values))
    return Backtest(**arrays, coverage=coverage, ids=ids, _positions=positions, _form=panel.form)


_SHORTER = "Take fewer windows, a shorter step or horizon, or leave such series out."


def check_lengths(panel: Panel, back: int, remedy: str = _SHORTER) -> None:
    """Raise a ValueError unless forecasts may begin `back` steps before the ends of all series."""
    short = panel.lengths <= back
    if short.any():
        name = panel.form.names(len(short))[short.argmax()]
        raise ValueError(
            f"y must have more than the {back} steps that are forecast, got "
            f"{panel.lengths[short][0]} in series {name!r}, {short.sum()} of {len(short)}. {remedy}"
        )
    if not any(np.isfinite(series[len(series) - back :]).any() for series in panel.values):
        raise ValueError(
            f"y must have a value in the {back} steps that are forecast, got none. "
            "Leave missing values at the end out."
        )


def mean_of(values: np.ndarray, axis: int | tuple[int, ...] | None = None) -> Any:
    """Return the mean of values that are not NaN, NaN where there are none."""
    count = np.asarray(np.isfinite(values).sum(axis=axis), float)
    total = np.asarray(np.nansum(values, axis=axis))
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def naive_error(series: np.ndarray, season: int) -> float:
    """Return the mean absolute error of the forecast that a season repeats itself.

    Of a series that does so without error it is the mean size of its values, so that errors can
    be divided by it.
    """
    season = season if len(series) > season else 1
    error = float(mean_of(np.abs(series[season:] - series[:-season])))
    sizes = [error, float(mean_of(np.abs(series))), 1.0]
    return next(size for size in sizes if size > 0)
