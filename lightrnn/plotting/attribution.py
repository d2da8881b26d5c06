"""Draw what each step of a sequence contributes to an output."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..inspection import attribution
from ..inspection.objective import tokens_of
from .style import COLUMN_WIDTH, Display

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator

# Characters in a line of coloured text: at 8 points, as many as a journal's column has room for.
_LINE = 42
# Characters that would leave no trace on paper.
_VISIBLE = {" ": "␣", "\n": "⏎"}
# The ends of matplotlib's colour map "PuOr", which people with colour blindness can tell apart.
_FOR = "#E66100"
_AGAINST = "#5D3A9B"
# Weights of red, green and blue in the brightness of a colour.
_BRIGHTNESS = (0.3, 0.59, 0.11)


@dataclass(eq=False, repr=False)
class AttributionDisplay(Display):
    """Attribution of an output: text coloured token by token, or bars over the steps of numbers.

    Parameters
    ----------
    shares : ndarray of shape (T,)
        Contribution of each step, positive if the step raises the output.
    steps : list of str, optional
        The token of each step; None if the steps are numbers.
    label : str
        Name of the output, for the title; "" if it has none.
    joint : str, default=" "
        Text between two tokens: a space between words, "" between characters.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the drawing.
    figure_ : matplotlib.figure.Figure
        Figure of the drawing.
    texts_ : list of matplotlib.text.Text or None
        The tokens; None if the steps are numbers.

    See Also
    --------
    lightrnn.inspection.attribution : Computes the contributions.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.plotting import AttributionDisplay
    >>> shares = np.array([-0.1, 0.1, 0.0, 0.9])
    >>> display = AttributionDisplay(shares, ["she", "ran", "to", "drink"], label="water")
    >>> display.plot().figure_.savefig("attribution.png")  # doctest: +SKIP
    """

    shares: np.ndarray
    steps: list[str] | None = None
    _: KW_ONLY
    label: str
    joint: str = " "

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
        """Attribute the output for one sequence to its steps and draw it.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            A fitted estimator.
        x : array-like of shape (T, F), str or list of tokens
            One sequence.
        label : object, optional
            The class, the token, or an int for a regressor's column, whose output is attributed;
            None takes what is predicted, or column 0.
        method : {"occlusion", "gradient"}, default="occlusion"
            How contributions are computed; see `lightrnn.inspection.attribution`.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a new figure as wide as a journal's column.

        Returns
        -------
        AttributionDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If `estimator` is not an estimator of this package, or `x` has the wrong type.
        ValueError
            If `x` does not match the data of `fit`, or there is no such label or method.
        """
        shares = attribution(estimator, [x], label, method=method)[0]
        vocabulary = estimator._model.vocabulary
        joint = "" if vocabulary is not None and vocabulary.kind == "char" else " "
        name = _prediction(estimator, x) if label is None else str(label)
        return cls(shares, tokens_of(estimator, x), label=name, joint=joint).plot(ax)

    @property
    def _height(self) -> float:
        """Height of a new figure, which grows with the lines of text."""
        if self.steps is None:
            return 1.8
        return 0.97 + 0.22 * _places(self.steps, self.joint)[-1][1]

    def _draw(self, ax: Any) -> None:
        """Draw the contributions: as text, or as bars if the steps are numbers."""
        self.texts_: list[Any] | None = None
        if self.steps is None:
            colours = np.where(self.shares >= 0, _FOR, _AGAINST).tolist()
            ax.bar(np.arange(len(self.shares)), self.shares, color=colours, width=1.0)
            ax.axhline(0, color="0.3", lw=0.6)
            ax.set(xlabel="step", ylabel="share of the output")
        else:
            self.texts_ = self._draw_text(ax, self.steps)
        output = f"“{self.label}”" if self.label else "the output"
        # Tokens may hold dollar signs, which matplotlib would read as formulas.
        ax.set_title(f"Attribution of {output}", parse_math=False)

    def _draw_text(self, ax: Any, steps: list[str]) -> list[Any]:
        """Write the tokens line by line, each on a ground of its colour; return their texts."""
        from matplotlib import cm, colors

        # The scale is symmetric, so that no contribution is drawn in the neutral colour.
        limit = float(np.abs(self.shares).max()) or 1.0
        scale = cm.ScalarMappable(colors.Normalize(-limit, limit), "PuOr_r")
        places = _places(steps, self.joint)
        # A unit is one character wide and one line high; lines run downward.
        ax.set(xlim=(0, _LINE), ylim=(places[-1][1] + 0.6, -0.6))
        ax.set_axis_off()
        texts = [
            _draw_token(ax, place, _VISIBLE.get(token, token), scale.to_rgba(share))
            for place, token, share in zip(places, steps, self.shares, strict=True)
        ]
        bar = ax.figure.colorbar(
            scale,
            ax=ax,
            location="bottom",
            aspect=40,
            fraction=0.1,
            pad=0.02,
        )
        bar.set_ticks([-limit, 0, limit], labels=["against", "0", "for"])
        return texts


def _draw_token(ax: Any, place: tuple[int, int], text: str, colour: Any) -> Any:
    """Write one token on its ground; return its text."""
    from matplotlib.patches import Rectangle

    column, row = place
    ax.add_patch(Rectangle((column, row - 0.42), len(text), 0.84, color=colour, lw=0))
    # `_LINE` characters of 7.4 points fill a column; on other axes the font scales with them.
    width = ax.get_position().width * ax.figure.get_figwidth()
    dark = np.dot(colour[:3], _BRIGHTNESS) < 0.5
    return ax.text(
        column + len(text) / 2,
        row,
        text,
        ha="center",
        va="center",
        family="monospace",
        size=7.36 * width / COLUMN_WIDTH,
        color="white" if dark else "black",
        parse_math=False,
    )


def _places(steps: list[str], joint: str) -> list[tuple[int, int]]:
    """Return column and line of each token of a text that is broken into lines."""
    places = []
    column = 0
    line = 0
    for token in steps:
        if column and column + len(token) > _LINE:
            column = 0
            line += 1
        places.append((column, line))
        column += len(token) + len(joint)
    return places


def _prediction(estimator: Any, x: Any) -> str:
    """Return the label or token predicted at the last step; "" for numbers and multilabel."""
    if hasattr(estimator, "predict_next"):  # a language model
        return str(estimator.predict_next(x, 1)[0][0])
    if not hasattr(estimator, "classes_") or estimator._model.targets.is_multilabel:
        return ""
    predicted = estimator.predict([x])[0]
    return str(predicted[-1] if estimator._model.network.target == "step" else predicted)
