"""Cells as pairs of pure functions on values; a new cell is added here and nowhere else.

Training, prediction, inspection and the GPU derive everything from `CELLS`. Only what writes or
reads the formats of others knows cells by name: ``interop`` (PyTorch's, Keras's and ONNX's
operators, the text of the NumPy export) and the formulas that ``plotting/network_diagram.py``
writes into a picture. They refuse a cell that they do not know.

A step sums the products of the input and of the state into *slots*: the input's gates feed the
first `G` slots, the state's gates the last `G`, so a slot that both feed holds the sum of both.
`forward` turns the slots and the old state into the new state and into the values that `backward`
will need; these take the place of the slots, so there are as many of them. `backward` turns the
gradient of the new state into the gradients of the slots and of the old state. A None among the
latter means that this gradient comes only through the products of the gates.

No arrays, no indices, no loops, no literals: a value may be a SIMD register, a number or an array
(`elementwise.py`).

References
----------
Elman, J. L. (1990). Finding structure in time. Cognitive Science 14.

Hochreiter, S. and Schmidhuber, J. (1997). Long short-term memory. Neural Computation 9; with the
forget gate of Gers, F., Schmidhuber, J. and Cummins, F. (2000). Learning to forget. Neural
Computation 12.

Cho, K. et al. (2014). Learning phrase representations using RNN encoder-decoder. EMNLP; here in the
variant that applies the reset gate after the product, as cuDNN, PyTorch and Keras do.
"""

from collections.abc import Callable
from typing import NamedTuple

from .elementwise import Value, normal_cdf, normal_density, positive, sigmoid, tanh

Values = tuple[Value, ...]


class Cell(NamedTuple):
    """The two functions of a cell and the names of its parts, in the order of storage."""

    forward: Callable[[Values, Values], tuple[Values, Values]]
    backward: Callable[[Values, Values, Values, Values], tuple[Values, Values]]
    gates: tuple[str, ...]  # as users see them in the columns of W_ih and W_hh
    slots: tuple[str, ...]
    states: tuple[str, ...]
    recurrent: bool = True
    # What the gates with values in (0, 1) do, and their names.
    roles: tuple[tuple[str, str], ...] = ()
    keeps: str = ""  # role of the gate that says how much of the old state stays

    @property
    def two_biases(self) -> bool:
        """Whether a gate needs the input's sum and the state's sum separately, each with a bias."""
        return len(self.slots) > len(self.gates)

    @property
    def input_gates(self) -> tuple[str, ...]:
        """Gates in the order of the slots that the input feeds."""
        return self.slots[: len(self.gates)]

    @property
    def state_gates(self) -> tuple[str, ...]:
        """Gates in the order of the slots that the state feeds.

        A slot that no gate is named after, the m of the gru, belongs to the gate left over.
        """
        fed = self.slots[-len(self.gates) :]
        rest = [gate for gate in self.gates if gate not in fed]
        return tuple(slot if slot in self.gates else rest.pop() for slot in fed)


def rnn_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h = tanh(a)``."""
    h = tanh(slots[0])
    return (h,), (h,)


def rnn_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``da = dh (1 - h^2)``."""
    (dh,) = dstate
    (h,) = saved
    return (dh - dh * h * h,), (None,)


def gru_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h' = (1 - z) n + z h``, ``n = tanh(a_n + r m)``, m the state's part of the candidate."""
    n, r, z, m = slots
    r = sigmoid(r)
    z = sigmoid(z)
    n = tanh(n + r * m)
    # The same as (1 - z) n + z h, without a literal 1.
    return (n + z * (state[0] - n),), (n, r, z, m)


def gru_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``dn = dh (1 - z) (1 - n^2)``; the old state gets ``dh z`` directly and more by the gates."""
    (dh,) = dstate
    n, r, z, m = saved
    dn = dh - dh * z
    dn = dn - dn * n * n
    dr = dn * m * (r - r * r)
    dz = dh * (old[0] - n) * (z - z * z)
    return (dn, dr, dz, dn * r), (dh * z,)


def lstm_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``c' = f c + i g``, ``h' = o tanh(c')``."""
    i = sigmoid(slots[0])
    f = sigmoid(slots[1])
    g = tanh(slots[2])
    o = sigmoid(slots[3])
    c = f * state[1] + i * g
    return (o * tanh(c), c), (i, f, g, o)


def lstm_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``dc += dh o (1 - tanh(c')^2)``."""
    dh, dc = dstate
    i, f, g, o = saved
    # tanh(c'), from h = o tanh(c') by a division instead of a second tanh: sigmoid is never 0.
    y = state[0] / o
    dc = dc + dh * (o - o * y * y)
    di = dc * g * (i - i * i)
    df = dc * old[1] * (f - f * f)
    dg = dc * (i - i * g * g)
    do = dh * y * (o - o * o)
    return (di, df, dg, do), (None, dc * f)


def ffnn_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h = max(a, 0)``: a layer without memory, so it never reads the state."""
    h = positive(slots[0], slots[0])
    return (h,), (h,)


def ffnn_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``da = dh`` where h > 0."""
    return (positive(saved[0], dstate[0]),), (None,)


def sigmoid_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h = sigmoid(a)``."""
    h = sigmoid(slots[0])
    return (h,), (h,)


def sigmoid_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``da = dh (h - h^2)``."""
    (dh,) = dstate
    (h,) = saved
    return (dh * (h - h * h),), (None,)


def gelu_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h = a Phi(a)``, Phi the distribution function of the normal distribution."""
    return (slots[0] * normal_cdf(slots[0]),), slots


def gelu_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``da = dh (Phi(a) + a phi(a))``, phi the density."""
    (dh,) = dstate
    (a,) = saved
    return (dh * (normal_cdf(a) + a * normal_density(a)),), (None,)


def linear_forward(slots: Values, state: Values) -> tuple[Values, Values]:
    """``h = a``: the output layer, since the link function belongs to the loss."""
    return slots, slots


def linear_backward(
    dstate: Values, saved: Values, state: Values, old: Values
) -> tuple[Values, Values]:
    """``da = dh``."""
    return dstate, (None,)


CELLS = {
    "linear": Cell(linear_forward, linear_backward, ("h",), ("h",), ("h",), recurrent=False),
    "ffnn": Cell(ffnn_forward, ffnn_backward, ("h",), ("h",), ("h",), recurrent=False),
    # Layers of one matrix as that of "ffnn", with other functions
    "tanh": Cell(rnn_forward, rnn_backward, ("h",), ("h",), ("h",), recurrent=False),
    "sigmoid": Cell(sigmoid_forward, sigmoid_backward, ("h",), ("h",), ("h",), recurrent=False),
    "gelu": Cell(gelu_forward, gelu_backward, ("h",), ("h",), ("h",), recurrent=False),
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
# The cells that users choose from.
HIDDEN_CELLS = ("ffnn", "rnn", "gru", "lstm")
# The cells of the output layer's hidden layers, by their activation.
HEAD_CELLS = {"relu": "ffnn", "tanh": "tanh", "sigmoid": "sigmoid", "gelu": "gelu"}
