"""Draw the shares of an output: coloured words, bars, or a heat map below the series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from ..estimators.estimator import NetworkEstimator
from ..inspection import attribution
from ..inspection.objective import read_steps, tokens_of
from .style import COLUMN_WIDTH, Display, curve_style

# Characters in a line of coloured text: at 8 points, as many as a journal's column has room for.
_LINE = 42
# Characters that would leave no trace on paper.
_VISIBLE = {" ": "␣", "\n": "⏎"}
# The ends of matplotlib's colour map "PuOr", which people with colour blindness can tell apart.
_FOR = "#E66100"
_AGAINST = "#5D3A9B"
# Weights of red, green and blue in the brightness of a colour.
_BRIGHTNESS = (0.3, 0.59, 0.11)
_MINUS = "\N{MINUS SIGN}"  # as wide as a plus
# Cells of a heat map of which negative ones are marked, features whose names are written beside it,
# and curves that are named above it.
_MARKED = 600
_NAMED = 30
_LEGEND = 6


@dataclass(eq=False, repr=False)
class AttributionDisplay(Display):
    """Attribution of an output: coloured words, bars, or a heat map with the series above it.

    Nothing is said by colour alone: the line below a word is as thick as its share is large, and
    broken where it speaks against the output; a minus marks such a cell of a heat map.

    Parameters
    ----------
    shares : ndarray of shape (T,), (T, F) or (F,)
        Contribution of each step, step and feature, or feature, positive if it raises the output.
    steps : list of str, optional
        The token of each step; None if the steps are numbers.
    label : str
        Name of the output, for the title; "" if it has none.
    joint : str, default=" "
        Text between two tokens: a space between words, "" between characters.
    series : ndarray of shape (T, F), optional
        The sequence, drawn above a heat map.
    features : sequence of str, default=()
        Names of the features, for a heat map or bars of features.
    errors : ndarray, optional
        Standard errors of the shares, drawn on bars.
    probability : float, optional
        Probability of the output, for the title.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the drawing.
    figure_ : matplotlib.figure.Figure
        Figure of the drawing.
    texts_ : list of matplotlib.text.Text or None
        The tokens; None if the steps are numbers.
    series_ax_ : matplotlib.axes.Axes or None
        Axes of the series above a heat map.

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
    series: np.ndarray | None = None
    features: Sequence[str] = ()
    errors: np.ndarray | None = None
    probability: float | None = None

    @classmethod
    def from_estimator(
        cls,
        estimator: NetworkEstimator,
        x: Any,
        output: Any = None,
        *,
        method: str = "occlusion",
        baseline: Any = None,
        groups: Any = "step",
        ax: Any = None,
    ) -> Self:
        """Attribute an output for one sequence and draw it.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            A fitted estimator.
        x : array-like of shape (T, F), str or list of tokens
            One sequence.
        output : object, optional
            The class, the token, or an int for a regressor's column, whose output is attributed;
            None takes what is predicted, or column 0. See `lightrnn.inspection.attribution`.
        method : {"occlusion", "gradient", "integrated_gradients", "shapley"}, default="occlusion"
            How contributions are computed.
        baseline : {"zeros", "mean", "previous"}, array-like or list, optional
            Values that stand for a step without information.
        groups : {"step", "feature", "step_feature"}, default="step"
            Values that come and go together in "shapley".
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
            If `x` does not match the data of `fit`, or there is no such output or method.
        """
        found = attribution(estimator, [x], output, method=method, baseline=baseline, groups=groups)
        vocabulary = estimator._model.vocabulary
        label = output[0] if isinstance(output, tuple) else output
        name, probability = _prediction(estimator, x, output)
        return cls(
            found[0],
            tokens_of(estimator, x),
            label=name if label is None else str(label),
            joint="" if vocabulary is not None and vocabulary.kind == "char" else " ",
            series=None if vocabulary is not None else read_steps(estimator, [x])[0],
            features=found.feature_names if found.axes in ("feature", "step_feature") else (),
            errors=None if found.standard_errors is None else found.standard_errors[0],
            probability=probability,
        ).plot(ax)

    @property
    def _height(self) -> float:
        """Height of a new figure, which grows with the lines of text or the features."""
        if self.steps is not None:
            return 0.97 + 0.26 * _places(self.steps, self.joint)[-1][1]
        if self.shares.ndim == 2:
            return 2.4 + 0.12 * min(self.shares.shape[1], 30)
        return 0.9 + 0.16 * len(self.features) if self.features else 1.8

    def _draw(self, ax: Any) -> None:
        """Draw the contributions: as text, heat map, or bars of features or of steps."""
        self.texts_: list[Any] | None = None
        self.series_ax_: Any = None
        if self.steps is not None:
            self.texts_ = self._draw_text(ax, self.steps)
        elif self.shares.ndim == 2:
            self._draw_heat_map(ax)
        else:
            self._draw_bars(ax)
        output = f"“{self.label}”" if self.label else "the output"
        if self.probability is not None:
            output += f", probability {self.probability:.0%}"
        # Tokens may hold dollar signs, which matplotlib would read as formulas.
        titled = self.series_ax_ or ax
        titled.set_title(f"Attribution of {output}", parse_math=False)

    def _draw_bars(self, ax: Any) -> None:
        """Draw a bar for each step, or a horizontal one for each feature, largest on top."""
        colours = np.where(self.shares >= 0, _FOR, _AGAINST)
        errors = self.errors if self.errors is not None and self.errors.any() else None
        style: Any = {"error_kw": {"lw": 0.8}}
        if not self.features:
            places = np.arange(len(self.shares))
            ax.bar(places, self.shares, color=colours.tolist(), width=1.0, yerr=errors, **style)
            ax.axhline(0, color="0.3", lw=0.6)
            ax.set(xlabel="step", ylabel="share of the output")
            return
        order = np.argsort(np.abs(self.shares))
        names = [self.features[i] for i in order.tolist()]
        if errors is not None:
            errors = errors[order]
        ax.barh(names, self.shares[order], color=colours[order].tolist(), xerr=errors, **style)
        ax.axvline(0, color="0.3", lw=0.6)
        ax.set(xlabel="share of the output")

    def _draw_heat_map(self, ax: Any) -> None:
        """Draw the share of each step and feature, and the series above."""
        T, F = self.shares.shape
        limit = float(np.abs(self.shares).max()) or 1.0
        image = ax.imshow(
            self.shares.T,
            aspect="auto",
            cmap="PuOr_r",
            vmin=-limit,
            vmax=limit,
            interpolation="nearest",
        )
        if T * F <= _MARKED:
            for t, f in np.argwhere(self.shares < -0.1 * limit).tolist():
                ax.text(t, f, _MINUS, ha="center", va="center", color="0.5", size=6)
        _number(ax.figure.colorbar(image, ax=ax, aspect=30, pad=0.02), limit)
        ax.set(xlabel="step", ylabel="feature")
        if self.features and F <= _NAMED:
            ax.set_yticks(np.arange(F), self.features, fontsize=6, parse_math=False)
        grid = ax.get_subplotspec()
        if self.series is not None and grid is not None:
            rows = grid.subgridspec(2, 1, height_ratios=(2, 3), hspace=0.02)
            ax.set_subplotspec(rows[1])
            self.series_ax_ = ax.figure.add_subplot(rows[0], sharex=ax)
            self._draw_series(self.series_ax_, self.series)

    def _draw_series(self, ax: Any, series: np.ndarray) -> None:
        """Draw a curve for each feature."""
        T, F = series.shape
        for f in range(F):
            name = self.features[f] if self.features else str(f)
            ax.plot(np.arange(T), series[:, f], label=name, **curve_style(f) | {"lw": 1})
        ax.tick_params(labelbottom=False)
        ax.set_ylabel("value")
        if 1 < F <= _LEGEND:
            ax.legend(fontsize=6, ncols=2)

    def _draw_text(self, ax: Any, steps: list[str]) -> list[Any]:
        """Write the tokens line by line, each on a ground of its colour; return their texts."""
        from matplotlib import cm, colors

        # The scale is symmetric, so that no contribution is drawn in the neutral colour.
        limit = float(np.abs(self.shares).max()) or 1.0
        scale = cm.ScalarMappable(colors.Normalize(-limit, limit), "PuOr_r")
        places = _places(steps, self.joint)
        # A unit is one character wide and one line high; lines run downward.
        ax.set(xlim=(0, _LINE), ylim=(places[-1][1] + 0.7, -0.6))
        ax.set_axis_off()
        texts = []
        for place, token, share in zip(places, steps, self.shares, strict=True):
            text = _VISIBLE.get(token, token)
            texts.append(_draw_token(ax, place, text, scale.to_rgba(share)))
            _underline(ax, place, len(text), share / limit)
        bar = ax.figure.colorbar(
            scale,
            ax=ax,
            location="bottom",
            aspect=40,
            fraction=0.1,
            pad=0.02,
        )
        _number(bar, limit)
        return texts


def _number(bar: Any, limit: float) -> None:
    """Write numbers on a colour bar, and which end speaks for the output."""
    labels = [f"{_MINUS}{limit:.3g} against", "0", f"+{limit:.3g} for"]
    bar.set_ticks([-limit, 0, limit], labels=labels)


def _underline(ax: Any, place: tuple[int, int], width: int, share: float) -> None:
    """Draw a line below a token, as thick as its share, broken where that is negative."""
    column, row = place
    ax.plot(
        [column + 0.1, column + width - 0.1],
        [row + 0.5, row + 0.5],
        color="0.2",
        lw=3 * abs(share),
        ls="-" if share >= 0 else (0, (1, 0.7)),
        solid_capstyle="butt",
        dash_capstyle="butt",
        clip_on=False,
    )


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


def _prediction(estimator: Any, x: Any, output: Any) -> tuple[str, float | None]:
    """Return the predicted label or token, "" for numbers, and the probability of the output."""
    label, step = output if isinstance(output, tuple) else (output, -1)
    if hasattr(estimator, "predict_next"):  # a language model
        tokens = estimator.predict_next(x, len(estimator.vocabulary_) - 1)
        chances = {str(token): probability for token, probability in tokens}
        name = str(tokens[0][0])
        return name, chances.get(name if label is None else str(label))
    if not hasattr(estimator, "classes_") or estimator._model.targets.is_multilabel:
        return "", None
    probabilities = estimator.predict_proba([x])[0]
    if estimator._model.network.target == "step":
        probabilities = probabilities[step]
    known = estimator.classes_.tolist()
    column = int(np.argmax(probabilities)) if label is None else known.index(label)
    return str(known[column]), float(probabilities[column])
