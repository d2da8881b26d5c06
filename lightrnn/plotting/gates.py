"""Draw the gates of a layer over the steps of one sequence."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np

from ..cells import CELLS
from ..estimators.estimator import NetworkEstimator
from ..inspection import gate_activations
from ..inspection.objective import patch_of, tokens_of
from ..utils.checks import choice, integer, shown
from .style import Display

# Tokens written below a heat map; more of them would overlap in a column's width.
_MAX_TICKS = 40


@dataclass(eq=False, repr=False)
class GateDisplay(Display):
    """Heat map of one gate: units of a layer over the steps of one sequence.

    Parameters
    ----------
    values : ndarray of shape (T, H)
        Activations at each step, or patch, from 0, closed, to 1, open. An "update" gate of 1 keeps
        the old state.
    units : ndarray of int of shape (H,)
        Index of each unit in the layer.
    steps : list of str, optional
        Text below each step; None writes the step's number.
    gate : str
        Name of the gate, for the title.
    patch : int, default=1
        Number of steps that are one input of the network, for the axis.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the drawing.
    figure_ : matplotlib.figure.Figure
        Figure of the drawing.
    image_ : matplotlib.image.AxesImage
        The heat map.

    See Also
    --------
    lightrnn.inspection.gate_activations : Computes the activations.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.plotting import GateDisplay
    >>> values = np.array([[0.9, 0.1], [0.8, 0.1], [0.9, 0.7]])
    >>> display = GateDisplay(values, np.array([3, 5]), ["a", "b", "c"], gate="forget")
    >>> display.plot().figure_.savefig("gates.png")  # doctest: +SKIP
    """

    values: np.ndarray
    units: np.ndarray
    steps: list[str] | None = None
    _: KW_ONLY
    gate: str
    patch: int = 1

    @classmethod
    def from_estimator(
        cls,
        estimator: NetworkEstimator,
        x: Any,
        *,
        gate: str | None = None,
        layer: str = "layer0",
        n_units: int = 16,
        units: Any = None,
        ax: Any = None,
    ) -> Self:
        """Compute a gate over one sequence and draw it.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            A fitted estimator with ``cell="lstm"`` or ``cell="gru"``.
        x : array-like of shape (T, F), str or list of tokens
            One sequence.
        gate : {"input", "forget", "output", "reset", "update"}, optional
            Gate of an LSTM (the first three) or a GRU (the others); None takes the one that keeps
            the old state, "forget" or "update".
        layer : str, default="layer0"
            Name of the layer, as in `weights_`.
        n_units : int, default=16
            Largest number of units to draw: those that vary most over the sequence, most varied
            first.
        units : array-like of int, optional
            Units to draw, from the top down, instead of those that vary most.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a new figure as wide as a journal's column.

        Returns
        -------
        GateDisplay
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
            If the cell has no gates, there is no such gate, layer or unit, `n_units` is below 1, or
            `x` does not match the data of `fit`.
        """
        layers = gate_activations(estimator, [x])
        gates = layers[choice("layer", layer, tuple(layers))]
        if gate is None:
            gate = CELLS[estimator._model.network.cell].keeps
        values = gates[choice("gate", gate, tuple(gates))][0]  # (T, H)
        n_units = integer("n_units", n_units, 1)
        if units is None:
            units = np.argsort(-values.std(axis=0), kind="stable")[:n_units]
        units = _checked_units(units, values.shape[1])
        tokens = tokens_of(estimator, x)
        return cls(values[:, units], units, tokens, gate=gate, patch=patch_of(estimator)).plot(ax)

    @property
    def _height(self) -> float:
        """Height of a new figure, which grows with the number of units."""
        return 1.0 + 0.12 * len(self.units)

    def _draw(self, ax: Any) -> None:
        """Draw the heat map."""
        self.image_ = ax.imshow(
            self.values.T,
            aspect="auto",
            cmap="cividis",  # even in brightness, and legible with colour blindness
            vmin=0,
            vmax=1,
            interpolation="nearest",
        )
        bar = ax.figure.colorbar(self.image_, ax=ax)
        # An update gate of 1 keeps the old state and lets nothing in: no reader would call it open.
        low, high = ("0 replaces", "1 keeps") if self.gate == "update" else ("0 closed", "1 open")
        bar.set_ticks([0, 0.5, 1], labels=[low, "0.5", high])
        ax.set_yticks(np.arange(len(self.units)), self.units.tolist())
        ax.tick_params(axis="y", labelsize=6)
        ax.set(ylabel="unit", title=f"{self.gate.capitalize()} gate")
        if self.steps is None or len(self.steps) > _MAX_TICKS:
            ax.set_xlabel("step" if self.patch == 1 else f"patch of {self.patch} steps")
            return
        # Tokens may hold dollar signs, which matplotlib would read as formulas.
        ax.set_xticks(
            np.arange(len(self.steps)),
            self.steps,
            rotation=90,
            fontsize=6,
            parse_math=False,
        )


def _checked_units(units: Any, count: int) -> np.ndarray:
    """Return the indices of units as an array."""
    found = np.asarray(units)
    if found.ndim != 1 or found.dtype.kind not in "iu" or not len(found):
        raise ValueError(f"units must be a list of integers, got {shown(units)}. Name some.")
    if found.min() < 0 or found.max() >= count:
        raise ValueError(
            f"units must be from 0 to {count - 1}, got {shown(units)}. Leave some out."
        )
    return found
