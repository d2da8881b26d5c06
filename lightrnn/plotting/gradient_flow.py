"""Draw norms of the gradient by steps before the end."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from ..estimators.estimator import NetworkEstimator
from ..inspection import gradient_flow
from ..inspection.memory_horizon import FAINT
from .style import Display, count_curves, curve_style

_SYMBOLS = {
    "state": r"$\|\partial L/\partial s\|$",
    "input": r"$\|\partial L/\partial x\|$",
    "jacobian": r"$\|\partial h_T/\partial s\|_F$",
    "spectral": r"$\|\partial h_T/\partial s\|_2$",
}


@dataclass(eq=False, repr=False)
class GradientFlowDisplay(Display):
    """Norms of the gradient by steps before the end, on a logarithmic scale.

    Parameters
    ----------
    mean : ndarray of shape (K,)
        Mean of the norms over sequences at each lag, relative to the mean at lag 0.
    low : ndarray of shape (K,)
        Their 10 % quantile, relative to the mean at lag 0.
    high : ndarray of shape (K,)
        Their 90 % quantile, relative to the mean at lag 0.
    kind : {"state", "input", "jacobian", "spectral"}
        Kind of norm, for the axis; see `lightrnn.inspection.LayerFlow`.
    label : str
        Name of the curve, for the legend.
    patch : int, default=1
        Number of steps from one lag to the next.
    n_sequences : ndarray of int, shape (K,), optional
        Number of sequences that reach each lag. The first display of an axes writes them at its
        upper edge unless all are the same.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the drawing.
    figure_ : matplotlib.figure.Figure
        Figure of the drawing.
    line_ : matplotlib.lines.Line2D
        Curve of the mean.

    See Also
    --------
    lightrnn.inspection.gradient_flow : Computes the norms.

    Examples
    --------
    Several networks share axes if each gets those of the first:

    >>> import numpy as np
    >>> from lightrnn.plotting import GradientFlowDisplay
    >>> lags = np.arange(30)
    >>> ax = None
    >>> for label, rate in (("rnn", 0.8), ("lstm", 0.99)):
    ...     mean = rate**lags
    ...     display = GradientFlowDisplay(mean, mean / 2, mean * 2, kind="state", label=label)
    ...     ax = display.plot(ax).ax_  # doctest: +SKIP
    """

    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    _: KW_ONLY
    kind: str
    label: str
    patch: int = 1
    n_sequences: np.ndarray | None = None

    _height = 2.6

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
        """Measure the norms of one layer and draw them.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            A fitted estimator.
        X : as in `predict`; for a language model a list of str
            Sequences.
        y : as in `fit`, optional
            Targets, whose loss is differentiated; None differentiates the predicted output. See
            `lightrnn.inspection.gradient_flow`.
        kind : {"state", "input", "jacobian", "spectral"}, default="state"
            Kind of norm; see `lightrnn.inspection.LayerFlow`.
        layer : str, default="layer0"
            Name of the layer, as in `weights_`.
        label : str, optional
            Name of the curve, for the legend; None takes the cell's name.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a new figure as wide as a journal's column.

        Returns
        -------
        GradientFlowDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If `estimator` is not an estimator of this package, or an argument has the wrong type.
        ValueError
            If there is no such kind or layer, or X or y does not match the data of `fit`.
        """
        flow = gradient_flow(estimator, X, y, spectral=kind == "spectral")
        mean = flow.mean(kind, layer)
        low, high = flow.quantile([0.1, 0.9], kind, layer)
        unit = mean[0] if mean[0] > 0 else 1.0
        reached = np.isfinite(flow.values(kind, layer)).sum(axis=0)
        return cls(
            mean / unit,
            low / unit,
            high / unit,
            kind=kind,
            label=label or flow.cell,
            patch=flow.patch,
            n_sequences=reached,
        ).plot(ax)

    def _draw(self, ax: Any) -> None:
        """Draw the mean as a curve and the quantiles as a band; other displays' curves stay."""
        number = count_curves(ax)
        lags = self.patch * np.arange(len(self.mean))
        # A logarithmic scale has no place for 0: curve and band end where nothing arrives.
        mean = np.where(self.mean > 0, self.mean, np.nan)
        low = np.where(self.low > 0, self.low, mean)
        style = curve_style(number)
        ax.fill_between(lags, low, self.high, color=style["color"], alpha=0.15, lw=0)
        (self.line_,) = ax.plot(lags, mean, label=self.label, **style)
        if number == 0:  # after the curve, without which a logarithmic scale has no limits
            self._label_axes(ax)
        ax.legend()

    def _label_axes(self, ax: Any) -> None:
        """Draw what all curves share: the scale, the labels and a line at 1 %."""
        ax.axhline(FAINT, color="0.6", lw=0.8, zorder=0)
        ax.annotate(
            "1 %",
            (0.995, FAINT),
            xycoords=("axes fraction", "data"),  # at the right end of the line
            ha="right",
            va="bottom",
            color="0.4",
        )
        ax.set(
            yscale="log",
            xlabel="steps before the end",
            ylabel=f"{_SYMBOLS[self.kind]}, relative to the end",
            title="Gradient flow (band: 10 to 90 % of sequences)",
        )
        if self.n_sequences is not None and np.ptp(self.n_sequences):
            counts = ax.secondary_xaxis("top")
            counts.xaxis.set_major_formatter(self._reached)
            counts.set_xlabel("sequences that are as long")

    def _reached(self, lag: float, _: int) -> str:
        """Return the number of sequences that reach a lag, for the tick there."""
        index = round(lag / self.patch)
        known: Any = self.n_sequences
        return str(known[index]) if 0 <= index < len(known) else ""
