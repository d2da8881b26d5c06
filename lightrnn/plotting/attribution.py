"""Draw what each step of a sequence contributes to a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..inspection.attribution import attribution
from ..inspection.objective import tokens_of
from .style import COLUMN, canvas

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator

_LINE = 42  # characters in a line of coloured text


class AttributionDisplay:
    """A sentence coloured by what the prediction rests on; numbers as bars over the steps.

    Parameters
    ----------
    shares : ndarray (T,)
        Of each step; positive speaks for the output.
    steps : list of str or None
        The tokens; None for numbers.
    label : str
        What the output stands for.
    joint : str
        What stands between two tokens: " " between words.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        Where it was drawn.
    texts_ : list of matplotlib Text, or None
        The tokens.

    See Also
    --------
    lightrnn.inspection.attribution : The numbers.
    """

    def __init__(
        self, shares: np.ndarray, steps: list[str] | None = None, *, label: str, joint: str = " "
    ) -> None:
        self.shares, self.steps, self.label, self.joint = shares, steps, label, joint

    @classmethod
    def from_estimator(
        cls,
        estimator: NetworkEstimator,
        x: Any,
        label: Any = None,
        *,
        method: str = "occlusion",
        ax: Any = None,
    ) -> Self:
        """Explain the output of one sequence and draw it.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            Fitted.
        x : array-like (T, F), or a text or list of tokens
            One sequence.
        label, method
            As for `lightrnn.inspection.attribution`.
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, a journal's column wide.

        Returns
        -------
        AttributionDisplay
        """
        shares = attribution(estimator, [x], label, method=method)[0]
        vocabulary = estimator._model.vocabulary
        joint = "" if vocabulary is not None and vocabulary.kind == "char" else " "
        said = _prediction(estimator, x) if label is None else str(label)
        return cls(shares, tokens_of(estimator, x), label=said, joint=joint).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; `ax` as in `from_estimator`."""
        lines = _lines(self.steps or [], self.joint)
        with canvas(ax, 1.8 if self.steps is None else 0.75 + 0.22 * len(lines)) as self.ax_:
            self.texts_: list[Any] | None = None
            if self.steps is None:
                self._bars(self.ax_)
            else:
                self._sentence(self.ax_, lines)
            title = f"What speaks for “{self.label}”" if self.label else "What the output rests on"
            self.ax_.set_title(title, parse_math=False)
        self.figure_ = self.ax_.figure
        return self

    def _bars(self, ax: Any) -> None:
        colours = np.where(self.shares >= 0, "#E66100", "#5D3A9B").tolist()
        ax.bar(np.arange(len(self.shares)), self.shares, color=colours, width=1.0)
        ax.axhline(0, color="0.3", lw=0.6)
        ax.set(xlabel="step", ylabel="share of the output")

    def _sentence(self, ax: Any, lines: list[list[tuple[int, int, str]]]) -> None:
        """Write the tokens in lines, each on a ground of its colour."""
        from matplotlib import cm, colors

        most = float(np.abs(self.shares).max()) or 1.0
        scale = cm.ScalarMappable(colors.Normalize(-most, most), "PuOr_r")
        ax.set(xlim=(0, _LINE), ylim=(len(lines) - 0.4, -0.6))
        ax.set_axis_off()
        self.texts_ = [
            self._token(ax, scale, (column, row), step, text)
            for row, line in enumerate(lines)
            for step, column, text in line
        ]
        bar = ax.figure.colorbar(scale, ax=ax, location="bottom", aspect=40, fraction=0.1, pad=0.02)
        bar.set_ticks([-most, 0, most], labels=["against", "0", "for"])

    def _token(self, ax: Any, scale: Any, place: tuple[int, int], step: int, text: str) -> Any:
        from matplotlib.patches import Rectangle

        colour = scale.to_rgba(self.shares[step])
        (column, row), dark = place, np.dot(colour[:3], (0.3, 0.59, 0.11)) < 0.5
        ax.add_patch(Rectangle((column, row - 0.42), len(text), 0.84, color=colour, lw=0))
        size = 8 * ax.get_position().width * ax.figure.get_figwidth() / COLUMN
        return ax.text(
            column + len(text) / 2, row, text, ha="center", va="center", family="monospace", size=size * 0.92,
            color="white" if dark else "black", parse_math=False,
        )  # fmt: skip


def _lines(steps: list[str], joint: str) -> list[list[tuple[int, int, str]]]:
    """Break tokens into lines: (step, column, text) of each."""
    lines: list[list[tuple[int, int, str]]] = [[]]
    column = 0
    for step, token in enumerate(steps):
        text = {" ": "␣", "\n": "⏎"}.get(token, token)
        if column + len(text) > _LINE and lines[-1]:
            lines.append([])
            column = 0
        lines[-1].append((step, column, text))
        column += len(text) + len(joint)
    return lines


def _prediction(estimator: Any, x: Any) -> str:
    """Return in words what is predicted for a sequence's last step; nothing for numbers."""
    if hasattr(estimator, "predict_next"):
        return str(estimator.predict_next(x, 1)[0][0])
    if not hasattr(estimator, "classes_") or estimator._model.targets.is_multilabel:
        return ""
    predicted = estimator.predict([x])[0]
    return str(predicted[-1] if estimator._model.network.target == "step" else predicted)
