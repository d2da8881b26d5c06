"""Draw a network: the cell with its gates and its loop, and the layers unrolled in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

from ..cells import CELLS
from ..estimators.automatic import chosen_structure
from ..estimators.estimator import NetworkEstimator, check_estimator
from ..utils.checks import choice, integer
from .style import COLOURS, PAGE_WIDTH, Display

# What `CELLS` does not say of a cell: the function that squashes its candidate (the gate without a
# role), and two lines of formulas.
_FORMULAS = {
    "ffnn": ("max", r"$h_t=\max(0,\,a_t)$", r"$a_t=[x_{t-w+1}\ldots x_t]\,W+b$"),
    "rnn": ("tanh", r"$h_t=\tanh(a_t)$", r"$a_t=x_tW_{ih}+h_{t-1}W_{hh}+b$"),
    "gru": ("tanh", r"$h_t=(1-z)\,n+z\,h_{t-1}$", r"$n=\tanh(a_n+r\,m)$"),
    "lstm": ("tanh", r"$c_t=f\,c_{t-1}+i\,g$", r"$h_t=o\,\tanh(c_t)$"),
}
# The text in a pooling's box; the last state is read without one.
_POOLINGS = {
    "mean": "mean over all {}",
    "max": "maximum over all {}",
    "attention": "attention over all {}",
}
_CELL_COLOUR = "#DCE9F3"
_GATE_COLOUR = "#F6E3CC"
_FORWARD, _REVERSE = COLOURS[:2]  # arrows of the state, by direction

# Lengths in the drawing's unit; text of 7.5 points is about a quarter of it high.
_CELL_WIDTH = 4.2
_CELL_HEIGHT = 2.5
_LAYER_TEXT = 5.95  # beyond the cell's loop
_STEP_WIDTH = 1.25
_FIRST_STEP = 6.7
_POOLING_BOTTOM = 0.4  # above the last layer
_POOLING_HEIGHT = 0.45
_DIRECTION_HEIGHT = 0.5  # from a direction to the next within a layer
_INPUT_TOP = -0.6  # where arrows from the inputs begin; layers stand on 0
_INPUT_TEXT = -0.78


@dataclass(eq=False, repr=False)
class UnrolledNetworkDisplay(Display):
    """Diagram of a network: one cell with its gates, and all layers unrolled over some steps.

    Parameters
    ----------
    cell : {"ffnn", "rnn", "gru", "lstm"}
        Kind of cell.
    sizes : sequence of int
        Units of each layer.
    T : int, default=4
        Steps, or patches, to unroll, at least 2.
    target : {"sequence", "step"}, default="sequence"
        Whether the network has one output per sequence or one per step.
    bidirectional : bool, default=False
        Whether each layer has a second direction.
    window : int, default=20
        Steps, or patches, that a feed-forward net sees.
    patch : int or "auto", default=1
        Number of steps that are one input; "auto" is for the training sequences to decide.
    pooling : {"last", "mean", "max", "attention"}, default="last"
        Which states the one output per sequence reads.
    head_sizes : sequence of int, default=()
        Units of the hidden layers of the output layer.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes of the drawing.
    figure_ : matplotlib.figure.Figure
        Figure of the drawing.

    Examples
    --------
    >>> from lightrnn.plotting import UnrolledNetworkDisplay
    >>> display = UnrolledNetworkDisplay("lstm", (64, 32), target="step")
    >>> display.plot().figure_.savefig("network.png")  # doctest: +SKIP
    """

    cell: str
    sizes: Sequence[int]
    T: int = 4
    _: KW_ONLY
    target: str = "sequence"
    bidirectional: bool = False
    window: int = 20
    patch: int | str = 1
    pooling: str = "last"
    head_sizes: Sequence[int] = ()

    _width = PAGE_WIDTH

    def __post_init__(self) -> None:
        """Check the cell and the pooling."""
        choice("cell", self.cell, tuple(_FORMULAS))
        choice("pooling", self.pooling, ("last", *_POOLINGS))

    @classmethod
    def from_estimator(
        cls,
        estimator: NetworkEstimator,
        *,
        T: int = 4,
        ax: Any = None,
    ) -> Self:
        """Draw the network that an estimator's arguments describe; it need not be fitted.

        Of a fitted one the number of steps in a patch is known.

        Parameters
        ----------
        estimator : RNNClassifier, RNNRegressor or RNNLanguageModel
            An estimator, fitted or not.
        T : int, default=4
            Steps, or patches, to unroll, from 2 to 12.
        ax : matplotlib.axes.Axes, optional
            Axes to draw on; None makes a new figure as wide as two columns of a journal.

        Returns
        -------
        UnrolledNetworkDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        TypeError
            If `estimator` is not an estimator of this package, `T` is not an integer, or an
            argument of the estimator has the wrong type.
        ValueError
            If `T` or an argument of the estimator is out of range.
        """
        check_estimator(estimator)
        arguments = estimator._checked()
        # A language model has no such arguments: it predicts at every step, in one direction.
        options: Any = {"target": "step"}
        for name in ("target", "bidirectional", "window", "patch", "pooling"):
            if name in arguments:
                options[name] = arguments[name]
        if options.get("patch") == "auto":
            some = options["target"] == "sequence" and CELLS[arguments["cell"]].recurrent
            options["patch"] = getattr(estimator, "patch_", "auto" if some else 1)
        if "bidirectional" in options:
            chosen = chosen_structure(arguments, getattr(estimator, "patch_", 1))
            options["bidirectional"] = chosen["bidirectional"]
        options["head_sizes"] = arguments.get("head_layer_sizes", ())
        sizes = arguments["hidden_layer_sizes"]
        return cls(arguments["cell"], sizes, integer("T", T, 2, 12), **options).plot(ax)

    @property
    def _height(self) -> float:
        """Height of a new figure, which grows with the number of layers."""
        pooling = 0.5 * (self.pooling != "last")
        return max(2.6, 1.1 + 0.62 * len(self.sizes) * self._layer_height + pooling)

    def _draw(self, ax: Any) -> None:
        """Draw the cell and the unrolled network."""
        ax.set_axis_off()
        ax.set_aspect("equal")
        self._draw_cell()
        self._draw_network()
        ax.autoscale_view()

    @property
    def _layer_height(self) -> float:
        """Distance from a layer to the next."""
        return 1 + _DIRECTION_HEIGHT * self.bidirectional

    @property
    def _inputs(self) -> str:
        """The text below the cell: its input, and what that is if it is not a step."""
        steps = "steps" if self.patch == "auto" else f"{self.patch} steps"
        if CELLS[self.cell].recurrent:
            return "$x_t$" if self.patch == 1 else f"$x_t$: a patch of {steps}"
        return f"last {self.window} " + ("inputs" if self.patch == 1 else f"patches of {steps}")

    # -- the cell ---------------------------------------------------------------------------------

    def _draw_cell(self) -> None:
        """Draw one large cell with its gates, formulas, input, output and loop."""
        cell = CELLS[self.cell]
        squash, upper, lower = _FORMULAS[self.cell]
        middle = _CELL_WIDTH / 2
        self._box(0, 0, _CELL_WIDTH, _CELL_HEIGHT, _CELL_COLOUR)
        self._draw_gates(squash)
        self._text(middle, 2.27, f"one cell: {self.cell}", weight="bold")
        self._text(middle, 1.75, upper)
        self._text(middle, 1.38, lower)
        self._arrow((middle, _INPUT_TOP), (middle, 0))
        self._text(middle, _INPUT_TEXT, self._inputs)
        self._arrow((1.2, _CELL_HEIGHT), (1.2, 3.1))
        self._text(1.2, 3.25, "$h_t$")
        if cell.recurrent:
            # Out at the top, round the right corner, and in from the right.
            self._arrow(
                (3.2, _CELL_HEIGHT),
                (3.2, 2.95),
                (4.7, 2.95),
                (4.7, 1.3),
                (_CELL_WIDTH, 1.3),
                color=_FORWARD,
            )
            states = ", ".join(f"{state}_{{t-1}}" for state in cell.states)
            self._text(3.95, 3.15, f"${states}$", color=_FORWARD)

    def _draw_gates(self, squash: str) -> None:
        """Draw the gates along the bottom of the cell: name, squashing function and role."""
        cell = CELLS[self.cell]
        roles = {gate: role for role, gate in cell.roles}
        candidate = "new" if roles else ""
        for number, gate in enumerate(cell.gates):
            x = _CELL_WIDTH * (number + 0.5) / len(cell.gates)
            function = r"$\sigma$" if gate in roles else squash
            self._box(x - 0.42, 0.35, 0.84, 0.42, _GATE_COLOUR)
            self._text(x, 0.56, f"{gate} {function}", size=6.5)
            self._text(x, 0.17, roles.get(gate, candidate), size=5.5, color="0.35")
            self._arrow((x, 0.77), (x, 1.15), size=5)

    # -- the network ------------------------------------------------------------------------------

    def _draw_network(self) -> None:
        """Draw all layers, step by step from left to right."""
        top = len(self.sizes) * self._layer_height - 0.45
        # Where the output is read. One per sequence reads each direction where it ends.
        ends = (self.T - 1, 0) if self.bidirectional else (self.T - 1,)
        read = range(self.T) if self.target == "step" else ends
        pooled = self.pooling != "last"
        for t in range(self.T):
            x = _FIRST_STEP + _STEP_WIDTH * t
            # Steps are numbered from 1; the last one is T, however many are drawn.
            name = "T" if t == self.T - 1 else str(t + 1)
            self._text(x, _INPUT_TEXT, f"$x_{{{name}}}$")
            for level in range(len(self.sizes)):
                self._draw_layer(x, level * self._layer_height, t)
            if pooled:
                self._arrow((x, top), (x, top + _POOLING_BOTTOM), size=5)
            elif t in read:
                self._arrow((x, top), (x, top + 0.5), size=5)
                output = f"$y_{{{name}}}$" if self.target == "step" else "$y$"
                self._text(x, top + 0.65, output)
        for level, size in enumerate(self.sizes):
            text = f"layer {level}\n{size} units"
            self._text(_LAYER_TEXT, level * self._layer_height + 0.27, text, size=6)
        middle = _FIRST_STEP + _STEP_WIDTH * (self.T - 1) / 2
        unit, units = ("step", "steps") if self.patch == 1 else ("patch", "patches")
        if pooled:
            top += _POOLING_BOTTOM + _POOLING_HEIGHT
            self._draw_pooling(middle, top, _POOLINGS[self.pooling].format(units))
        if self.head_sizes:
            sizes = " -> ".join(map(str, self.head_sizes))
            self._text(_LAYER_TEXT, top + 0.65, f"output layer\n{sizes} hidden units", size=6)
        self._text(middle, top + 1.05, f"the same weights at every {unit}", weight="bold")

    def _draw_pooling(self, middle: float, top: float, text: str) -> None:
        """Draw the box of a pooling, which all states reach, and the one output that reads it."""
        width = _STEP_WIDTH * (self.T - 1) + 0.64
        bottom = top - _POOLING_HEIGHT
        self._box(middle - width / 2, bottom, width, _POOLING_HEIGHT, _GATE_COLOUR)
        self._text(middle, (bottom + top) / 2, text, size=6.5)
        self._arrow((middle, top), (middle, top + 0.5), size=5)
        self._text(middle, top + 0.65, "$y$")

    def _draw_layer(self, x: float, bottom: float, t: int) -> None:
        """Draw one layer at one step, with the arrow from below and those to the next step."""
        recurrent = CELLS[self.cell].recurrent
        below = bottom - 0.45 if bottom else _INPUT_TOP
        self._arrow((x, below), (x, bottom), size=5)
        height = 0.5 if self.bidirectional else 0.55
        for reverse in range(1 + self.bidirectional):
            y = bottom + _DIRECTION_HEIGHT * reverse
            self._box(x - 0.32, y, 0.64, height, _CELL_COLOUR)
            if reverse:
                self._text(x, y + 0.26, f"{self.cell}\nback", size=5.5)
            else:
                self._text(x, y + 0.26, self.cell, size=6)
            if recurrent and t < self.T - 1:
                self._draw_state(x, y, reverse, t)
        if bottom == 0 and not recurrent:
            # The window: earlier inputs reach the first layer too.
            for before in range(1, min(self.window, t + 1)):
                start = (x - _STEP_WIDTH * before, _INPUT_TOP)
                self._arrow(start, (x - 0.05 * before, 0), size=4, color="0.75")

    def _draw_state(self, x: float, y: float, reverse: int, t: int) -> None:
        """Draw the arrow of the state between this step and the next."""
        here = (x + 0.32, y + 0.27)
        there = (x + 0.93, y + 0.27)
        if reverse:
            self._arrow(there, here, color=_REVERSE)
            return
        self._arrow(here, there, color=_FORWARD)
        if t == 0:  # the states are named once
            self._text(
                x + 0.62, y + 0.42, ", ".join(CELLS[self.cell].states), size=6, color=_FORWARD
            )

    # -- pieces -----------------------------------------------------------------------------------

    def _box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        colour: str,
    ) -> None:
        """Draw a box with rounded corners; (x, y) is its lower left one."""
        from matplotlib.patches import FancyBboxPatch

        box = FancyBboxPatch(
            (x, y),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.08",
            fc=colour,
            ec="0.35",
            lw=0.8,
        )
        self.ax_.add_patch(box)

    def _text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 7.5,
        **options: Any,
    ) -> None:
        """Write text with its middle at (x, y)."""
        self.ax_.text(
            x,
            y,
            text,
            ha="center",
            va="center",
            size=size,
            **options,
        )

    def _arrow(
        self,
        *corners: tuple[float, float],
        size: float = 7,
        color: str = "0.25",
    ) -> None:
        """Draw an arrow from the first corner to the last."""
        from matplotlib.patches import FancyArrowPatch
        from matplotlib.path import Path

        path = Path(corners)
        arrow = FancyArrowPatch(
            path=path,
            arrowstyle="-|>",
            mutation_scale=size,
            ec=color,
            fc=color,
            fill=False,  # of the line; the head is filled all the same
            lw=0.9,
        )
        self.ax_.add_patch(arrow)
