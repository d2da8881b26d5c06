"""Draw the loss over epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..base import check_is_fitted
from ..estimators.estimator import check_estimator
from .style import COLOURS, canvas

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator


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

    def __init__(
        self, losses: np.ndarray, scores: np.ndarray | None = None, *, label: str = "training loss"
    ) -> None:
        self.losses, self.scores, self.label = losses, scores, label

    @classmethod
    def from_estimator(
        cls, estimator: NetworkEstimator, *, label: str = "training loss", ax: Any = None
    ) -> Self:
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
            raise ValueError(
                "estimator must have been trained here, got one of no epochs. Call fit or partial_fit."
            )
        scores = estimator.validation_scores_
        return cls(
            np.array(estimator.loss_curve_), np.array(scores) if scores else None, label=label
        ).plot(ax)

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
            self.score_ax_ = (
                None if self.scores is None else self._score(epochs[-len(self.scores) :])
            )
            lines = [*self.ax_.lines, *(self.score_ax_.lines if self.score_ax_ else ())]
            names = [line.get_label() for line in lines]
            self.ax_.legend(
                lines, names, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2
            )
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
