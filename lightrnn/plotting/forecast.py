"""Draw the forecast of a series behind its history, with intervals and the truth."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from ..forecasting.arguments import check_forecaster
from ..forecasting.columns import Quantiles, columns_of, levels_of
from ..forecasting.forecaster import RNNForecaster
from ..forecasting.series import Panel, read_panel
from ..utils.checks import integer, shown
from .style import COLOURS, PAGE_WIDTH, Display, legend_above

# Steps of the history that are drawn, in horizons or seasons, whichever are longer.
_PERIODS = 4
_PAST = "0.3"


@dataclass(eq=False, repr=False)
class ForecastDisplay(Display):
    """Forecast of a series behind its history, with intervals, and the truth where it is known.

    Parameters
    ----------
    history : ndarray of shape (T,)
        The last steps of the series, NaN where a value is missing.
    forecast : ndarray of shape (horizon,)
        The steps that follow, as forecast.
    intervals : dict of float to tuple of two ndarrays of shape (horizon,), optional
        Lower and upper ends of intervals by their level in percent.
    truth : ndarray of shape (horizon,), optional
        The values that came, NaN where one is not known.
    steps : ndarray of shape (T + horizon,), optional
        Number or date of each step; None counts from 0.
    label : str, default=""
        Name of the series, for the title.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the drawing.
    figure_ : matplotlib.figure.Figure
        Figure of the drawing.
    line_ : matplotlib.lines.Line2D
        Curve of the forecast, which begins at the last step of the history.
    bands_ : dict of float to matplotlib.collections.PolyCollection
        The intervals by their level.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.plotting import ForecastDisplay
    >>> history, forecast = np.arange(8) % 4, np.array([0.1, 1.0, 1.9])
    >>> display = ForecastDisplay(history, forecast, {80: (forecast - 0.3, forecast + 0.3)})
    >>> display.plot().figure_.savefig("forecast.png")  # doctest: +SKIP
    """

    history: np.ndarray
    forecast: np.ndarray
    intervals: dict[float, tuple[np.ndarray, np.ndarray]] | None = None
    truth: np.ndarray | None = None
    _: KW_ONLY
    steps: np.ndarray | None = None
    label: str = ""

    _width = PAGE_WIDTH
    _height = 2.4

    @classmethod
    def from_estimator(
        cls,
        estimator: RNNForecaster,
        y: Any = None,
        X: Any = None,
        *,
        truth: Any = None,
        level: Any = None,
        series: Any = None,
        n_history: int | None = None,
        ax: Any = None,
    ) -> Self:
        """Forecast a series and draw it.

        Parameters
        ----------
        estimator : RNNForecaster
            A fitted forecaster.
        y, X : as in `predict`, optional
            Series to forecast, and covariates; without y the series of the fit.
        truth : in the form of y, optional
            The steps that followed. Dates are found by themselves, so this may be all of a series;
            an array begins with the first step of the horizon.
        level : float or list of float, optional
            Intervals to draw, in percent; None draws those whose ends were learned, and an empty
            list none.
        series : object, optional
            Name of the series to draw, or its number in a list; None takes the first.
        n_history : int, optional
            Steps to draw before the forecast; None takes four horizons or seasons, whichever are
            longer.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a new figure as wide as two columns of a journal.

        Returns
        -------
        ForecastDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the forecaster is not fitted.
        TypeError
            If `estimator` is not an `RNNForecaster`, or an argument has the wrong type.
        ValueError
            If y or X is invalid, there is no such series, `truth` has none of the dates that are
            forecast, or a level is beyond those that were learned.
        """
        check_forecaster(estimator)
        fitted = estimator._fitted()
        panel = estimator._panel(fitted, y, X)
        index = _number(panel, series)
        level = levels_of(fitted.quantiles) if level is None else level
        wanted = tuple(columns_of(level, None, fitted.quantiles).values())
        values = fitted.predicted(panel.some(index, index + 1), wanted)[0]  # (horizon, w)
        encoding = fitted.encoding
        longest = _PERIODS * max(encoding.horizon, encoding.season)
        longest = longest if n_history is None else integer("n_history", n_history, 1)
        history = panel.values[index][-longest:]
        first = len(panel.values[index]) - len(history)
        steps = _steps(panel, index, first, len(history) + len(values))
        display = cls(
            history,
            values[:, 0],
            _intervals(values, wanted),
            None if truth is None else _following(truth, panel, index, steps[len(history) :]),
            steps=steps,
            label=_label(panel, index),
        )
        return display.plot(ax)

    def _draw(self, ax: Any) -> None:
        """Draw history, intervals, forecast and truth."""
        past = len(self.history)
        steps = np.arange(past + len(self.forecast)) if self.steps is None else self.steps
        ahead = steps[past - 1 :]  # from the last step that is known, where all curves meet
        ax.plot(steps[:past], self.history, color=_PAST, lw=1, label="history")
        self.bands_ = {}
        for number, (level, ends) in enumerate(
            sorted((self.intervals or {}).items(), reverse=True)
        ):
            low, high = map(self._joined, ends)
            self.bands_[level] = ax.fill_between(
                ahead,
                low,
                high,
                color=COLOURS[0],
                alpha=min(0.15 + 0.1 * number, 0.5),
                lw=0,
                label=f"{level:g} %",
            )
        (self.line_,) = ax.plot(
            ahead, self._joined(self.forecast), color=COLOURS[0], lw=1.4, label="forecast"
        )
        if self.truth is not None:
            truth = self._joined(self.truth)
            ax.plot(ahead, truth, color=COLOURS[1], lw=1, ls="--", label="truth")
        if steps.dtype.kind == "M":
            _date(ax)
        else:
            ax.set_xlabel("step")
        # Names may hold dollar signs, which matplotlib would read as formulas.
        ax.set_title(self.label, loc="right", parse_math=False)
        legend_above(ax, 6)

    def _joined(self, ahead: np.ndarray) -> np.ndarray:
        """Return values of the horizon, behind the last one of the history."""
        return np.concatenate([self.history[-1:], ahead])


def _number(panel: Panel, series: Any) -> int:
    """Return the number of the series that is meant by a name or a number."""
    names = panel.form.names(len(panel.values))
    if series is None:
        return 0
    if series in names:
        return names.index(series)
    if isinstance(series, int) and -len(names) <= series < len(names):
        return series % len(names)
    raise ValueError(
        f"series must be the name of one, such as {shown(names[0])}, or a number below "
        f"{len(names)}, got {shown(series)}."
    )


def _label(panel: Panel, index: int) -> str:
    """Return the name of a series, or nothing if it has none."""
    name = panel.form.names(len(panel.values))[index]
    return "" if name is None or (panel.form.single and name == 0) else str(name)


def _steps(panel: Panel, index: int, first: int, count: int) -> np.ndarray:
    """Return dates or numbers of the steps of a series, local time where there is a time zone."""
    dates = panel.form.dates(index, first, count)
    if dates is None:
        return np.arange(first, first + count)
    dates = dates.to_timestamp() if hasattr(dates, "to_timestamp") else dates
    return np.asarray(dates if getattr(dates, "tz", None) is None else dates.tz_localize(None))


def _intervals(values: np.ndarray, wanted: Quantiles) -> dict[float, tuple[np.ndarray, np.ndarray]]:
    """Return intervals by level, of columns that are the median and the ends, widest outermost."""
    return {
        round(200 * wanted[-1 - i] - 100, 6): (values[:, 1 + i], values[:, -1 - i])
        for i in range(len(wanted) // 2)
    }


def _following(truth: Any, panel: Panel, index: int, steps: np.ndarray) -> np.ndarray:
    """Return the values of the truth at the steps of the horizon, NaN where there is none."""
    given = read_panel(truth, name="truth")
    names = given.form.names(len(given.values))
    name = panel.form.names(len(panel.values))[index]
    number = names.index(name) if len(names) > 1 and name in names else 0
    values = given.values[number]
    found = np.full(len(steps), np.nan)
    if panel.form.dates(index, 0, 1) is None or given.form.dates(number, 0, 1) is None:
        start = given.form.skipped[number]
        found[start : start + len(values)] = values[: max(0, len(found) - start)]
        return found
    dates = _steps(given, number, 0, len(values))
    _, places, rows = np.intersect1d(steps, dates, return_indices=True)
    if not len(places):
        raise ValueError(
            f"truth must have steps from {steps[0]} to {steps[-1]}, which are forecast, got some "
            f"from {dates[0]} to {dates[-1]}. Pass the values that follow y."
        )
    found[places] = values[rows]
    return found


def _date(ax: Any) -> None:
    """Write dates at the steps."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
