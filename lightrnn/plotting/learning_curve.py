"""Draw the loss and the validation score over epochs."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from ..base import check_is_fitted
from ..estimators.estimator import NetworkEstimator, check_estimator
from .style import COLOURS, Display, legend_above

# Decades of a loss below which a logarithmic scale has too few ticks of its own.
_NARROW = 0.6


@dataclass(eq=False, repr=False)
class LearningCurveDisplay(Display):
    """Training loss by epoch, with the validation score on a second axis if there is one.

    Parameters
    ----------
    losses : ndarray of shape (n,)
        Training loss of each epoch, as in `loss_curve_`.
    scores : ndarray of shape (m,), optional
        Validation score of each of the last m epochs, as in `validation_scores_`.
    label : str, default="training loss"
        Name of the loss, for the legend and the axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the loss.
    figure_ : matplotlib.figure.Figure
        Figure of the drawing.
    score_ax_ : matplotlib.axes.Axes or None
        Axes of the score, with their scale to the right; None if there are no scores.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.plotting import LearningCurveDisplay
    >>> display = LearningCurveDisplay(np.array([1.0, 0.5, 0.3]), np.array([0.7, 0.8, 0.9]))
    >>> display.plot().figure_.savefig("loss.png")  # doctest: +SKIP
    """

    losses: np.ndarray
    scores: np.ndarray | None = None
    _: KW_ONLY
    label: str = "training loss"

    _height = 2.4

    @classmethod
    def from_estimator(
        cls, estimator: NetworkEstimator, *, label: str = "training loss", ax: Any = None
    ) -> Self:
        """Draw the learning curve that a fitted estimator recorded.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            A fitted estimator.
        label : str, default="training loss"
            Name of the loss, for the legend and the axis.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a new figure as wide as a journal's column.

        Returns
        -------
        LearningCurveDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If `estimator` is not an estimator of this package.
        ValueError
            If the estimator has no epochs, because its weights come from another library.
        """
        check_estimator(estimator)
        check_is_fitted(estimator)
        losses = estimator.loss_curve_
        if not losses:
            raise ValueError(
                "estimator must have been trained here, got one of no epochs. "
                "Call fit or partial_fit."
            )
        scores = estimator.validation_scores_
        display = cls(np.array(losses), np.array(scores) if scores else None, label=label)
        return display.plot(ax)

    def _draw(self, ax: Any) -> None:
        """Draw the losses, and the scores on axes with their own scale to the right."""
        from matplotlib.ticker import (
            LogLocator,
            MaxNLocator,
            NullFormatter,
            StrMethodFormatter,
        )

        epochs = np.arange(1, len(self.losses) + 1)
        marker = "o" if len(epochs) < 3 else ""  # one point makes no line
        ax.plot(epochs, self.losses, color=COLOURS[0], marker=marker, label=self.label)
        if (self.losses > 0).all():  # a likelihood of densities may be negative
            ax.set_yscale("log")
            # A few plain numbers at the ticks rather than powers of ten: those of a curve that
            # spans a decade or less would collide.
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
            ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            ax.yaxis.set_minor_formatter(NullFormatter())
            if np.ptp(np.log10(self.losses)) < _NARROW:
                ax.yaxis.set_major_locator(MaxNLocator(5))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="epoch", ylabel=self.label)
        lines = list(ax.lines)
        self.score_ax_: Any = None
        if self.scores is not None:
            name = "validation score"
            self.score_ax_ = ax.twinx()
            self.score_ax_.spines["right"].set_visible(True)
            lines += self.score_ax_.plot(
                epochs[-len(self.scores) :],
                self.scores,
                color=COLOURS[1],
                ls="--",
                label=name,
            )
            self.score_ax_.set_ylabel(name)
        legend_above(ax, 2, handles=lines)
