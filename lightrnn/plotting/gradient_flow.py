"""Curves: the gradient on its way back, and the loss over epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..inspection.gradient_flow import gradient_flow
from ..inspection.memory_horizon import FAINT
from .style import COLOURS, DASHES, canvas

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator


_NAMES = {
    "state": r"$\|\partial L/\partial s\|$",
    "input": r"$\|\partial L/\partial x\|$",
    "jacobian": r"$\|\partial h_T/\partial s\|_F$",
    "spectral": r"$\|\partial h_T/\partial s\|_2$",
}


class GradientFlowDisplay:
    """What arrives of the gradient, by steps before the end, on a logarithmic scale.

    Parameters
    ----------
    mean, low, high : ndarray (K,)
        Norms by lag, relative to the mean at lag 0: the mean over sequences, and its 10 % and 90 % quantiles.
    kind : {"state", "input", "jacobian", "spectral"}
        Norms of what.
    label : str
        In the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        Where it was drawn.
    line_ : matplotlib Line2D
        The mean.

    See Also
    --------
    lightrnn.inspection.gradient_flow : The numbers.
    """

    def __init__(
        self, mean: np.ndarray, low: np.ndarray, high: np.ndarray, *, kind: str, label: str
    ) -> None:
        self.mean, self.low, self.high, self.kind, self.label = mean, low, high, kind, label

    @classmethod
    def from_estimator(
        cls,
        estimator: NetworkEstimator,
        X: Any,
        y: Any = None,
        *,
        kind: str = "state",
        layer: str = "layer0",
        label: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Measure and draw; several networks are overlaid by giving each the axes of the first.

        Parameters
        ----------
        estimator, X, y
            As for `lightrnn.inspection.gradient_flow`.
        kind, layer : str
            Which norms, of which layer.
        label : str, optional
            In the legend; by default the cell.
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, a journal's column wide.

        Returns
        -------
        GradientFlowDisplay

        Examples
        --------
        >>> import numpy as np
        >>> from lightrnn import RNNRegressor
        >>> from lightrnn.plotting import GradientFlowDisplay
        >>> X, ax = np.random.default_rng(0).normal(size=(20, 30, 2)), None
        >>> for cell in ("rnn", "lstm"):
        ...     net = RNNRegressor(cell, (8,), max_iter=1, learning_rate="cosine").fit(X, X[:, 0, 0])
        ...     ax = GradientFlowDisplay.from_estimator(net, X, ax=ax).ax_  # doctest: +SKIP
        """
        flow = gradient_flow(estimator, X, y, spectral=kind == "spectral")
        mean, (low, high) = flow.mean(kind, layer), flow.quantile([0.1, 0.9], kind, layer)
        unit = mean[0] if mean[0] > 0 else 1.0
        return cls(mean / unit, low / unit, high / unit, kind=kind, label=label or flow.cell).plot(
            ax
        )

    def plot(self, ax: Any = None) -> Self:
        """Draw; `ax` as in `from_estimator`."""
        with canvas(ax, 2.6) as self.ax_:
            number = sum(line.get_gid() == "flow" for line in self.ax_.lines)
            colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
            lags = np.arange(len(self.mean))
            seen = np.where(self.mean > 0, self.mean, np.nan)  # a logarithm knows no zero
            self.ax_.fill_between(
                lags,
                np.where(self.low > 0, self.low, seen),
                self.high,
                color=colour,
                alpha=0.15,
                lw=0,
            )
            (self.line_,) = self.ax_.plot(
                lags, seen, color=colour, ls=dashes, lw=1.4, label=self.label, gid="flow"
            )
            if number == 0:
                self._frame(self.ax_)
            self.ax_.legend(frameon=False, loc="best")
        self.figure_ = self.ax_.figure
        return self

    def _frame(self, ax: Any) -> None:
        """Draw what all networks share."""
        ax.set_yscale("log")
        ax.axhline(FAINT, color="0.6", lw=0.8, zorder=0)
        ax.annotate(
            "1 %",
            (0.995, FAINT),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            color="0.4",
        )
        ax.set_xlabel("steps before the end")
        ax.set_ylabel(f"{_NAMES[self.kind]}, relative to the end")
        ax.set_title("What arrives of the gradient (band: 10 to 90 %)")
