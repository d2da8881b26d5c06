"""Draw the errors of a backtest by step of the horizon."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from ..forecasting.arguments import check_forecaster
from ..forecasting.backtest import Backtest
from ..forecasting.forecaster import RNNForecaster
from ..utils.checks import choice
from .style import Display, count_curves, curve_style, legend_above

_LABELS = {
    "mase": "absolute error (MASE)",
    "smape": "absolute error in % (sMAPE)",
    "pinball": "pinball loss",
    "coverage": "coverage in %",
}


@dataclass(eq=False, repr=False)
class BacktestDisplay(Display):
    """Errors of a backtest by step of the horizon, or the coverage of its intervals.

    Parameters
    ----------
    backtest : Backtest
        Errors by window, series and step, as `RNNForecaster.backtest` returns them.
    measure : {"mase", "smape", "pinball", "coverage"}, default="mase"
        Measure to draw. The band of an error has the middle half of the series, or of the windows
        if there is one series. A grey line at a MASE of 1 has the error, before the window, of the
        forecast that a season repeats itself. Coverage has a curve for each level, and a grey line
        where it should be.
    label : str, default="lightrnn"
        Name of the curve, for the legend.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the drawing.
    figure_ : matplotlib.figure.Figure
        Figure of the drawing.
    lines_ : list of matplotlib.lines.Line2D
        The curve of the mean, or of coverage that of each level.

    Examples
    --------
    Several backtests share axes if each gets those of the first:

    >>> import numpy as np
    >>> from lightrnn import RNNForecaster
    >>> from lightrnn.plotting import BacktestDisplay
    >>> y = np.arange(80) % 7.0
    >>> model = RNNForecaster(2, 7, hidden_layer_sizes=8, max_iter=2, random_state=0)
    >>> display = BacktestDisplay(model.backtest(y, windows=3))
    >>> display.plot().figure_.savefig("backtest.png")  # doctest: +SKIP
    """

    backtest: Backtest
    measure: str = "mase"
    _: KW_ONLY
    label: str = "lightrnn"

    _height = 2.6

    def __post_init__(self) -> None:
        """Check the name of the measure."""
        choice("measure", self.measure, tuple(_LABELS))

    @classmethod
    def from_estimator(
        cls,
        estimator: RNNForecaster,
        y: Any,
        X: Any = None,
        *,
        measure: str = "mase",
        label: str = "lightrnn",
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Fit a forecaster to the earlier steps of series, forecast the later ones, draw errors.

        Parameters
        ----------
        estimator : RNNForecaster
            A forecaster, fitted or not; it stays as it is.
        y : as in `fit`
            Series.
        X : as in `fit`, default=None
            Covariates.
        measure : {"mase", "smape", "pinball", "coverage"}, default="mase"
            Measure to draw.
        label : str, default="lightrnn"
            Name of the curve, for the legend.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a new figure as wide as a journal's column.
        **options : object
            Arguments of `RNNForecaster.backtest`: `windows`, `step` and `refit`.

        Returns
        -------
        BacktestDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimator` is not an `RNNForecaster`, or an argument has the wrong type.
        ValueError
            If there is no such measure, or as `RNNForecaster.backtest`.
        """
        check_forecaster(estimator)
        choice("measure", measure, tuple(_LABELS))
        return cls(estimator.backtest(y, X, **options), measure, label=label).plot(ax)

    def _draw(self, ax: Any) -> None:
        """Draw the curves; those of other displays stay."""
        from matplotlib.ticker import MaxNLocator

        line = {"color": "0.6", "lw": 0.8, "zorder": 0}
        number = count_curves(ax)
        if self.measure == "coverage":
            curves = {
                f"{self.label}, {level:g} %": 100 * inside
                for level, inside in self.backtest.coverage.items()
            }
            for level in self.backtest.coverage:
                ax.axhline(level, **line)
        else:
            curves = {self.label: getattr(self.backtest, self.measure)}
        self.lines_ = [
            self._curve(ax, number + i, name, errors)
            for i, (name, errors) in enumerate(curves.items())
        ]
        if self.measure == "mase":
            ax.axhline(1, label="" if number else "season before", **line)
        if self.measure != "coverage":
            ax.set_ylim(bottom=0, auto=True)  # later displays may need more room above
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_xlim(left=0.5, auto=True)
        ax.set(xlabel="step of the horizon", ylabel=_LABELS[self.measure])
        legend_above(ax, 2)

    def _curve(self, ax: Any, number: int, name: str, errors: np.ndarray) -> Any:
        """Draw the mean of errors (windows, n, horizon), and half of them as a band."""
        steps = np.arange(1, errors.shape[2] + 1)
        style = curve_style(number)
        if self.measure != "coverage":
            # The mean of each series, or of one series that of each window.
            means = np.nanmean(errors, axis=0 if errors.shape[1] > 1 else 1)
            low, high = np.nanquantile(means, [0.25, 0.75], axis=0)
            ax.fill_between(steps, low, high, color=style["color"], alpha=0.15, lw=0)
        (line,) = ax.plot(
            steps,
            np.nanmean(errors, axis=(0, 1)),
            marker="o" if len(steps) < 3 else "",  # one point makes no line
            label=name,
            **style,
        )
        return line
