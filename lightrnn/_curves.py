"""Curves: the gradient on its way back, and the loss over epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ._base import check_is_fitted
from ._canvas import COLOURS, DASHES, canvas
from ._fitted import check_estimator
from ._influence import FAINT, gradient_flow

if TYPE_CHECKING:
    from ._fitted import NetworkEstimator

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

    def __init__(self, mean: np.ndarray, low: np.ndarray, high: np.ndarray, *, kind: str, label: str) -> None:
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
        return cls(mean / unit, low / unit, high / unit, kind=kind, label=label or flow.cell).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; `ax` as in `from_estimator`."""
        with canvas(ax, 2.6) as self.ax_:
            number = sum(line.get_gid() == "flow" for line in self.ax_.lines)
            colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
            lags = np.arange(len(self.mean))
            seen = np.where(self.mean > 0, self.mean, np.nan)  # a logarithm knows no zero
            self.ax_.fill_between(
                lags, np.where(self.low > 0, self.low, seen), self.high, color=colour, alpha=0.15, lw=0
            )
            (self.line_,) = self.ax_.plot(lags, seen, color=colour, ls=dashes, lw=1.4, label=self.label, gid="flow")
            if number == 0:
                self._frame(self.ax_)
            self.ax_.legend(frameon=False, loc="best")
        self.figure_ = self.ax_.figure
        return self

    def _frame(self, ax: Any) -> None:
        """Draw what all networks share."""
        ax.set_yscale("log")
        ax.axhline(FAINT, color="0.6", lw=0.8, zorder=0)
        ax.annotate("1 %", (0.995, FAINT), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="0.4")
        ax.set_xlabel("steps before the end")
        ax.set_ylabel(f"{_NAMES[self.kind]}, relative to the end")
        ax.set_title("What arrives of the gradient (band: 10 to 90 %)")


class LearningCurveDisplay:
    """The training loss by epoch, with the validation score beside it if there is one.

    Parameters
    ----------
    losses : ndarray (n,)
        `loss_curve_`.
    scores : ndarray (n,) or None
        `validation_scores_`.
    label : str
        Of the loss, in the legend.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        Where it was drawn.
    score_ax_ : matplotlib Axes or None
        The axis of the score, to the right.
    """

    def __init__(self, losses: np.ndarray, scores: np.ndarray | None = None, *, label: str = "training loss") -> None:
        self.losses, self.scores, self.label = losses, scores, label

    @classmethod
    def from_estimator(cls, estimator: NetworkEstimator, *, label: str = "training loss", ax: Any = None) -> Self:
        """Draw what a fitted estimator remembers of its training.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            Fitted.
        label : str
            Of the loss, in the legend.
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, a journal's column wide.
        """
        check_estimator(estimator)
        check_is_fitted(estimator)
        if not estimator.loss_curve_:
            raise ValueError("estimator must have been trained here, got one of no epochs. Call fit or partial_fit.")
        scores = estimator.validation_scores_
        return cls(np.array(estimator.loss_curve_), np.array(scores) if scores else None, label=label).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; `ax` as in `from_estimator`."""
        with canvas(ax, 2.4) as self.ax_:
            from matplotlib.ticker import MaxNLocator

            epochs, marker = np.arange(1, len(self.losses) + 1), "o" if len(self.losses) < 3 else ""
            self.ax_.plot(epochs, self.losses, color=COLOURS[0], marker=marker, label=self.label)
            if (self.losses > 0).all():
                self._logarithmic(self.ax_)
            self.ax_.xaxis.set_major_locator(MaxNLocator(integer=True))
            self.ax_.set(xlabel="epoch", ylabel=self.label)
            self.score_ax_ = None if self.scores is None else self._score(epochs[-len(self.scores) :])
            lines = [*self.ax_.lines, *(self.score_ax_.lines if self.score_ax_ else ())]
            names = [line.get_label() for line in lines]
            self.ax_.legend(lines, names, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
        self.figure_ = self.ax_.figure
        return self

    def _score(self, epochs: np.ndarray) -> Any:
        """Draw the score on an axis of its own, to the right."""
        right = self.ax_.twinx()
        right.spines["right"].set_visible(True)
        right.plot(epochs, self.scores, color=COLOURS[1], ls="--", label="validation score")
        right.set_ylabel("validation score")
        return right

    @staticmethod
    def _logarithmic(ax: Any) -> None:
        """Scale the losses by their logarithm, with plain numbers beside it."""
        from matplotlib.ticker import StrMethodFormatter

        ax.set_yscale("log")
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(StrMethodFormatter("{x:g}"))
