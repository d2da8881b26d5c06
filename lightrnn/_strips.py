"""One sequence, step by step: what its gates did, and what the prediction rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ._attribution import attribution
from ._canvas import COLUMN, canvas
from ._gates import gate_activations
from ._question import inputs_of
from .checks import choice, integer

if TYPE_CHECKING:
    from ._fitted import NetworkEstimator

_MOST_TICKS = 40  # tokens that are written below a heat map
_LINE = 42  # characters in a line of coloured text


def steps_of(estimator: NetworkEstimator, x: Any) -> list[str] | None:
    """Return the token of each step of a sequence as the network saw it, or None for numbers."""
    vocabulary = estimator._model.vocabulary
    if vocabulary is None:
        return None
    return [str(vocabulary.tokens[code]) for code in inputs_of(estimator, [x])[0].tolist()]


class GateDisplay:
    """A gate's units over the steps of one sequence, as a heat map.

    Parameters
    ----------
    values : ndarray (T, H)
        From 0, closed, to 1, open.
    units : ndarray of int (H,)
        Their numbers in the layer.
    steps : list of str or None
        What to write below each step; None for its number.
    gate : str
        Its name.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        Where it was drawn.
    image_ : matplotlib AxesImage
        The heat map.

    See Also
    --------
    lightrnn.inspection.gate_activations : The numbers.
    """

    def __init__(self, values: np.ndarray, units: np.ndarray, steps: list[str] | None = None, *, gate: str) -> None:
        self.values, self.units, self.steps, self.gate = values, units, steps, gate

    @classmethod
    def from_estimator(
        cls,
        estimator: NetworkEstimator,
        x: Any,
        *,
        gate: str | None = None,
        layer: str = "layer0",
        n_units: int = 16,
        ax: Any = None,
    ) -> Self:
        """Run one sequence and draw a gate.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            Fitted, of cell "lstm" or "gru".
        x : array-like (T, F), or a text or list of tokens
            One sequence.
        gate : str, optional
            "input", "forget" or "output" of an LSTM, "reset" or "update" of a GRU; by default the one that keeps:
            forget, resp. update.
        layer : str
            Of which layer.
        n_units : int >= 1
            Show so many units: those that the sequence moves most, most first.
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, a journal's column wide.

        Returns
        -------
        GateDisplay
        """
        gates = gate_activations(estimator, [x])
        found = gates[choice("layer", layer, tuple(gates))]
        default = "forget" if "forget" in found else "update"
        gate = choice("gate", gate or default, tuple(found))
        values, n_units = found[gate][0], integer("n_units", n_units, 1)
        units = np.argsort(-values.std(axis=0), kind="stable")[:n_units]
        return cls(values[:, units], units, steps_of(estimator, x), gate=gate).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; `ax` as in `from_estimator`."""
        with canvas(ax, 1.0 + 0.12 * len(self.units)) as self.ax_:
            options = {"aspect": "auto", "cmap": "cividis", "vmin": 0, "vmax": 1, "interpolation": "nearest"}
            self.image_ = self.ax_.imshow(self.values.T, **options)
            bar = self.ax_.figure.colorbar(self.image_, ax=self.ax_, ticks=[0, 0.5, 1])
            bar.set_ticklabels(["0 closed", "0.5", "1 open"])
            self.ax_.set_yticks(np.arange(len(self.units)), [str(unit) for unit in self.units])
            self.ax_.tick_params(axis="y", labelsize=6)
            self.ax_.set(ylabel="unit", title=f"{self.gate.capitalize()} gate")
            if self.steps is None or len(self.steps) > _MOST_TICKS:
                self.ax_.set_xlabel("step")
            else:
                self.ax_.set_xticks(np.arange(len(self.steps)), self.steps, rotation=90, fontsize=6, parse_math=False)
        self.figure_ = self.ax_.figure
        return self


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

    def __init__(self, shares: np.ndarray, steps: list[str] | None = None, *, label: str, joint: str = " ") -> None:
        self.shares, self.steps, self.label, self.joint = shares, steps, label, joint

    @classmethod
    def from_estimator(
        cls, estimator: NetworkEstimator, x: Any, label: Any = None, *, method: str = "occlusion", ax: Any = None
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
        return cls(shares, steps_of(estimator, x), label=said, joint=joint).plot(ax)

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
