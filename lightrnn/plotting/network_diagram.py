"""A network as one draws it: the cell with its loop, and unrolled in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from ..utils.checks import integer
from .style import COLOURS, canvas

if TYPE_CHECKING:
    from ..estimators.estimator import NetworkEstimator

_BOX, _GATE = "#DCE9F3", "#F6E3CC"
_FORMULAS = {
    "rnn": (r"$h_t=\tanh(a_t)$", r"$a_t=x_tW_{ih}+h_{t-1}W_{hh}+b$"),
    "gru": (r"$h_t=(1-z)\,n+z\,h_{t-1}$", r"$n=\tanh(a_n+r\,m)$"),
    "lstm": (r"$c_t=f\,c_{t-1}+i\,g$", r"$h_t=o\,\tanh(c_t)$"),
    "ffnn": (r"$h_t=\max(0,\,a_t)$", r"$a_t=[x_{t-w+1}\ldots x_t]\,W+b$"),
}
# Gates along the bottom of a cell: what they are called and the function they are squashed by.
_GATES = {
    "rnn": (("h", "tanh"),),
    "ffnn": (("h", "max"),),
    "gru": (("r", r"$\sigma$"), ("z", r"$\sigma$"), ("n", "tanh")),
    "lstm": (("f", r"$\sigma$"), ("i", r"$\sigma$"), ("g", "tanh"), ("o", r"$\sigma$")),
}
_ROLES = {
    "f": "forget",
    "i": "input",
    "g": "new",
    "o": "output",
    "r": "reset",
    "z": "update",
    "n": "new",
    "h": "",
}


class UnrolledNetworkDisplay:
    """The rolled cell with its gates, and beside it the network unrolled over some steps.

    Parameters
    ----------
    cell : {"ffnn", "rnn", "gru", "lstm"}
        Kind of cell.
    sizes : sequence of int
        Units of each layer.
    T : int >= 2
        Steps to unroll.
    target : {"sequence", "step"}
        Where there is an output.
    bidirectional : bool
        Whether each layer has a second direction.
    window : int
        Inputs of an ffnn.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes, Figure
        Where it was drawn.
    """

    def __init__(
        self,
        cell: str,
        sizes: Sequence[int],
        T: int = 4,
        *,
        target: str = "sequence",
        bidirectional: bool = False,
        window: int = 20,
    ) -> None:
        self.cell, self.sizes, self.T = cell, tuple(sizes), T
        self.target, self.bidirectional, self.window = target, bidirectional, window

    @classmethod
    def from_estimator(cls, estimator: NetworkEstimator, *, T: int = 4, ax: Any = None) -> Self:
        """Draw an estimator's network; it need not be fitted.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            Whose cell and layers are drawn.
        T : int from 2 to 12
            Steps to unroll.
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure, two columns wide.

        Returns
        -------
        UnrolledNetworkDisplay
        """
        from ..estimators.arguments import checked

        arguments = checked(estimator.get_params(deep=False))
        options: Any = {"target": "step", "bidirectional": False} | {
            name: arguments[name]
            for name in ("target", "bidirectional", "window")
            if name in arguments
        }
        return cls(
            arguments["cell"], arguments["hidden_layer_sizes"], integer("T", T, 2, 12), **options
        ).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw; `ax` as in `from_estimator`."""
        rows = len(self.sizes) * (1 + 0.5 * self.bidirectional)
        with canvas(ax, max(2.6, 1.1 + 0.62 * rows), 7.2) as self.ax_:
            self.ax_.set_axis_off()
            self.ax_.set_aspect("equal")
            self._cell(_Pen(self.ax_))
            self._network(_Pen(self.ax_, dx=5.6))
            self.ax_.autoscale_view()
        self.figure_ = self.ax_.figure
        return self

    # -- the cell -----------------------------------------------------------------------------------------------------

    def _cell(self, pen: _Pen) -> None:
        """Draw the cell large, with its gates and its loop."""
        pen.box(0, 0, 4.2, 2.5, _BOX)
        gates, formulas = _GATES[self.cell], _FORMULAS[self.cell]
        for number, (gate, squash) in enumerate(gates):
            x = 4.2 * (number + 0.5) / len(gates)
            pen.box(x - 0.42, 0.35, 0.84, 0.42, _GATE)
            pen.text(x, 0.56, f"{gate} {squash}", size=6.5)
            pen.text(x, 0.17, _ROLES[gate], size=5.5, color="0.35")
            pen.arrow((x, 0.77), (x, 1.15), size=5)
        pen.text(2.1, 1.75, formulas[0])
        pen.text(2.1, 1.38, formulas[1])
        pen.text(2.1, 2.27, f"one cell: {self.cell}", weight="bold")
        pen.arrow((2.1, -0.6), (2.1, 0))
        pen.text(2.1, -0.78, f"last {self.window} inputs" if self.cell == "ffnn" else "$x_t$")
        pen.arrow((1.2, 2.5), (1.2, 3.1))
        pen.text(1.2, 3.25, "$h_t$")
        if self.cell != "ffnn":
            state = "$h_{t-1}, c_{t-1}$" if self.cell == "lstm" else "$h_{t-1}$"
            pen.loop((3.2, 2.5), (3.2, 2.95), (4.7, 2.95), (4.7, 1.3), (4.2, 1.3))
            pen.text(3.95, 3.15, state, color=COLOURS[0])

    # -- the network --------------------------------------------------------------------------------------------------

    def _network(self, pen: _Pen) -> None:
        """Draw all layers, step by step from left to right."""
        names, rise = _names(self.T), 1.0 + 0.5 * self.bidirectional
        top = len(self.sizes) * rise - 0.45
        read = range(self.T) if self.target == "step" else (self.T - 1, 0)[: 1 + self.bidirectional]
        for t, name in enumerate(names):
            x = 1.25 * t + 1.1
            pen.text(x, -0.78, f"$x_{{{name}}}$")
            for level in range(len(self.sizes)):
                self._level(pen, x, level * rise, t)
            if t in read:
                pen.arrow((x, top), (x, top + 0.5), size=5)
                pen.text(x, top + 0.65, f"$y_{{{name}}}$" if self.target == "step" else "$y$")
        for level, size in enumerate(self.sizes):
            pen.text(0.35, level * rise + 0.27, f"layer {level}\n{size} units", size=6)
        pen.text(
            1.1 + 1.25 * (self.T - 1) / 2,
            top + 1.05,
            "the same weights at every step",
            weight="bold",
        )

    def _level(self, pen: _Pen, x: float, bottom: float, t: int) -> None:
        """Draw one layer at one step: its boxes, what comes from below, and the state's way to the next step."""
        pen.arrow((x, bottom - 0.45 if bottom else -0.6), (x, bottom), size=5)
        for way in range(1 + self.bidirectional):
            y = bottom + 0.5 * way
            pen.box(x - 0.32, y, 0.64, 0.5 + 0.05 * (not self.bidirectional), _BOX)
            pen.text(
                x, y + 0.26, f"{self.cell}\nback" if way else self.cell, size=5.5 if way else 6
            )
            self._time(pen, x, y, way, t)
        if bottom == 0 and self.cell == "ffnn":
            for before in range(1, min(self.window, t + 1)):
                pen.arrow((x - 1.25 * before, -0.6), (x - 0.05 * before, 0), size=4, color="0.75")

    def _time(self, pen: _Pen, x: float, y: float, way: int, t: int) -> None:
        """Draw the state's way from this step to the next."""
        if self.cell == "ffnn" or t == self.T - 1:
            return
        ends = (x + 0.32, y + 0.27), (x + 0.93, y + 0.27)
        pen.arrow(*(ends[::-1] if way else ends), color=COLOURS[1] if way else COLOURS[0])
        if t == 0 and not way:
            pen.text(
                x + 0.62, y + 0.42, "h, c" if self.cell == "lstm" else "h", size=6, color=COLOURS[0]
            )


def _names(T: int) -> list[str]:
    """Return the indices of the steps: 1, 2 ... T."""
    return [*(str(t) for t in range(1, T)), "T"]


class _Pen:
    """Boxes, arrows and words, moved to the right by dx."""

    def __init__(self, ax: Any, dx: float = 0.0) -> None:
        self.ax, self.dx = ax, dx

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        from matplotlib.patches import FancyBboxPatch

        style = "round,pad=0,rounding_size=0.08"
        patch = FancyBboxPatch(
            (x + self.dx, y), width, height, boxstyle=style, fc=colour, ec="0.35", lw=0.8
        )
        self.ax.add_patch(patch)

    def text(self, x: float, y: float, text: str, size: float = 7.5, **options: Any) -> None:
        self.ax.text(x + self.dx, y, text, ha="center", va="center", size=size, **options)

    def arrow(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        size: float = 7,
        color: str = "0.25",
    ) -> None:
        from matplotlib.patches import FancyArrowPatch

        points: Any = [(x + self.dx, y) for x, y in (start, end)]
        options: Any = {"arrowstyle": "-|>", "mutation_scale": size, "shrinkA": 0, "shrinkB": 0}
        self.ax.add_patch(FancyArrowPatch(*points, color=color, lw=0.9, **options))

    def loop(self, *corners: tuple[float, float]) -> None:
        """Draw an arrow round corners."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        path = Path([(x + self.dx, y) for x, y in corners])
        self.ax.add_patch(
            FancyArrowPatch(
                path=path, arrowstyle="-|>", mutation_scale=7, color=COLOURS[0], lw=0.9, fc="none"
            )
        )
