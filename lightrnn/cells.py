"""The cells. A rule is a pair of pure functions on values; a new cell is added here and nowhere else.

Training, prediction, inspection and the GPU derive everything from `CELLS`. Only what writes or reads the formats of others
knows cells by name: ``interop`` (PyTorch's, Keras's and ONNX's operators, the text of the NumPy export) and the formulas
that ``plotting/network_diagram.py`` writes into a picture. They refuse a cell that they do not know.

A step sums the products of the input and of the state into *slots*: the input's gates feed the first `G` slots, the
state's the last `G`, so a slot that both reach holds their sum. `forward` turns the slots and the old state into the
new state and what `backward` will need, which takes the slots' place (as many values as slots). `backward` turns the
gradient of the new state into that of the slots and of the old state; None there means: only through the gates'
products.

No arrays, no indices, no loops, no literals: a value may be a SIMD register, a number or an array (`elementwise.py`).

References
----------
Elman, J. L. (1990). Finding structure in time. Cognitive Science 14.
Hochreiter, S. and Schmidhuber, J. (1997). Long short-term memory. Neural Computation 9; with the forget gate of
Gers, F., Schmidhuber, J. and Cummins, F. (2000). Learning to forget. Neural Computation 12.
Cho, K. et al. (2014). Learning phrase representations using RNN encoder-decoder. EMNLP; the variant that applies the
reset gate after the product, as cuDNN, PyTorch and Keras do.
"""

from collections.abc import Callable
from typing import NamedTuple

from .elementwise import Value, positive, sigmoid, tanh

Values = tuple[Value, ...]


class Cell(NamedTuple):
    """A rule and the names of its parts, in the order in which they are stored."""

    forward: Callable[[Values, Values], tuple[Values, Values]]
    backward: Callable[[Values, Values, Values, Values], tuple[Values, Values]]
    gates: tuple[str, ...]  # as users see them in the columns of W_ih and W_hh
    slots: tuple[str, ...]
    states: tuple[str, ...]
    recurrent: bool = True
    roles: tuple[
        tuple[str, str], ...
    ] = ()  # what the gates with values in (0, 1) do, and their names
    keeps: str = ""  # the role of the gate that says how much of the old state stays

    @property
    def two_biases(self) -> bool:
        """Whether a gate needs the sums of the input and of the state apart, each with a bias."""
        return len(self.slots) > len(self.gates)

    @property
    def input_gates(self) -> tuple[str, ...]:
        """The gates in the order of the slots that the input feeds."""
        return self.slots[: len(self.gates)]

    @property
    def state_gates(self) -> tuple[str, ...]:
        """The gates in the order of the slots that the state feeds; a slot of its own takes the gate left over."""
        rest = [gate for gate in self.gates if gate not in self.slots[-len(self.gates) :]]
        return tuple(
            slot if slot in self.gates else rest.pop() for slot in self.slots[-len(self.gates) :]
        )


def rnn_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h = tanh(a)``."""
    h = tanh(slots[0])
    return (h,), (h,)


def rnn_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``da = dh (1 - h^2)``."""
    dh, h = dstate[0], saved[0]
    return (dh - dh * h * h,), (None,)


def gru_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h' = (1 - z) n + z h`` with ``n = tanh(a_n + r m)``, m the state's own part of the candidate."""
    n, r, z, m = slots
    r, z = sigmoid(r), sigmoid(z)
    n = tanh(n + r * m)
    return (n + z * (state[0] - n),), (n, r, z, m)


def gru_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """Reach the old state directly through z, and through the gates."""
    (dh,), (n, r, z, m) = dstate, saved
    dn = dh - dh * z
    dn = dn - dn * n * n
    return (dn, dn * m * (r - r * r), dh * (old[0] - n) * (z - z * z), dn * r), (dh * z,)


def lstm_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``c' = f c + i g``, ``h' = o tanh(c')``."""
    i, f, g, o = sigmoid(slots[0]), sigmoid(slots[1]), tanh(slots[2]), sigmoid(slots[3])
    c = f * state[1] + i * g
    return (o * tanh(c), c), (i, f, g, o)


def lstm_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``dc += dh o (1 - tanh(c')^2)``; a division gives tanh(c') back from h, and o is never 0."""
    (dh, dc), (i, f, g, o) = dstate, saved
    y = state[0] / o
    dc = dc + dh * (o - o * y * y)
    return (
        dc * g * (i - i * i),
        dc * old[1] * (f - f * f),
        dc * (i - i * g * g),
        dh * y * (o - o * o),
    ), (None, dc * f)


def ffnn_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h = max(a, 0)``: a layer without memory, so the state is never read."""
    h = positive(slots[0], slots[0])
    return (h,), (h,)


def ffnn_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``da = dh`` where h > 0."""
    return (positive(saved[0], dstate[0]),), (None,)


def linear_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h = a``: the output layer, whose link function belongs to the loss."""
    return slots, slots


def linear_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``da = dh``."""
    return dstate, (None,)


CELLS = {
    "linear": Cell(linear_forward, linear_backward, ("h",), ("h",), ("h",), recurrent=False),
    "ffnn": Cell(ffnn_forward, ffnn_backward, ("h",), ("h",), ("h",), recurrent=False),
    "rnn": Cell(rnn_forward, rnn_backward, ("h",), ("h",), ("h",)),
    "gru": Cell(
        gru_forward,
        gru_backward,
        gates=("r", "z", "n"),
        slots=("n", "r", "z", "m"),
        states=("h",),
        roles=(("reset", "r"), ("update", "z")),
        keeps="update",
    ),
    "lstm": Cell(
        lstm_forward,
        lstm_backward,
        gates=("i", "f", "g", "o"),
        slots=("i", "f", "g", "o"),
        states=("h", "c"),
        roles=(("input", "i"), ("forget", "f"), ("output", "o")),
        keeps="forget",
    ),
}
HIDDEN_CELLS = tuple(name for name in CELLS if name != "linear")  # the cells that users choose from
