"""Draw the gates of a layer over the steps of one sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..inspection.gates import gate_activations
from ..inspection.objective import tokens_of
from ..utils.checks import choice, integer
from .style import canvas

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator

_MOST_TICKS = 40  # tokens that are written below a heat map


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

    def __init__(
        self, values: np.ndarray, units: np.ndarray, steps: list[str] | None = None, *, gate: str
    ) -> None:
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
        return cls(values[:, units], units, tokens_of(estimator, x), gate=gate).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; `ax` as in `from_estimator`."""
        with canvas(ax, 1.0 + 0.12 * len(self.units)) as self.ax_:
            options = {
                "aspect": "auto",
                "cmap": "cividis",
                "vmin": 0,
                "vmax": 1,
                "interpolation": "nearest",
            }
            self.image_ = self.ax_.imshow(self.values.T, **options)
            bar = self.ax_.figure.colorbar(self.image_, ax=self.ax_, ticks=[0, 0.5, 1])
            bar.set_ticklabels(["0 closed", "0.5", "1 open"])
            self.ax_.set_yticks(np.arange(len(self.units)), [str(unit) for unit in self.units])
            self.ax_.tick_params(axis="y", labelsize=6)
            self.ax_.set(ylabel="unit", title=f"{self.gate.capitalize()} gate")
            if self.steps is None or len(self.steps) > _MOST_TICKS:
                self.ax_.set_xlabel("step")
            else:
                self.ax_.set_xticks(
                    np.arange(len(self.steps)),
                    self.steps,
                    rotation=90,
                    fontsize=6,
                    parse_math=False,
                )
        self.figure_ = self.ax_.figure
        return self
