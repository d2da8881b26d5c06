"""A layer: one direction of one cell, its parameters and its runs forward and back over packed rows.

The output layer is one too, of the cell "linear". Kernels see parameters as panels, which are packed anew after each
update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import cpu
from .cells import CELLS, Cell
from .parameters import Parameter

if TYPE_CHECKING:
    from .cpu.recurrence import Gradients, Plan, Tape, Weights

CACHE_LINE = 64  # bytes
ROWS_AT_ONCE = 256  # rows of the products outside the recurrence: measured, see bench/README.md


class Workspace:
    """Arrays that live from batch to batch and grow when a batch needs more rows."""

    def __init__(self, dtype: np.typing.DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._arrays: dict[str, np.ndarray] = {}

    def rows(self, name: str, rows: int, columns: int) -> np.ndarray:
        """Return an array of at least `rows` rows; what it holds is left over from before."""
        array = self._arrays.get(name)
        if array is None or len(array) < rows or array.shape[1] != columns:
            array = self._arrays[name] = aligned(rows, columns, self.dtype)
        return array

    def flat(self, name: str, size: int) -> np.ndarray:
        """Return a vector of at least `size` elements."""
        return self.rows(name, size, 1).reshape(-1)


def aligned(rows: int, columns: int, dtype: np.typing.DTypeLike) -> np.ndarray:
    """Zeros that begin at a cache line: a register that straddles two costs two accesses."""
    size = rows * columns * np.dtype(dtype).itemsize
    memory = np.zeros(size + CACHE_LINE, np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return memory[start : start + size].view(dtype).reshape(rows, columns)


class Layer:
    """One direction of one cell.

    Parameters
    ----------
    name : str
        What its parameters' names begin with.
    cell : str
        Key of `CELLS`.
    features, units : int
        Columns of the input and of the state.
    dtype : dtype
        float32 or float64.
    """

    def __init__(self, name: str, cell: str, features: int, units: int, dtype: np.typing.DTypeLike) -> None:
        self.name, self.cell_name, self.cell = name, cell, CELLS[cell]
        self.features, self.units, self.dtype = features, units, np.dtype(dtype)
        self.width = cpu.host.padded(units, dtype)
        self._forward, self._backward = cpu.recurrence.forward(cell), cpu.recurrence.backward(cell)
        self.parameters = tuple(self._declare(self.cell))

    # -- parameters ---------------------------------------------------------------------------------------------------

    def _declare(self, cell: Cell) -> list[Parameter]:
        """Names, shapes and the order of the gates in store."""

        def parameter(name: str, rows: int | None, gates: tuple[str, ...]) -> Parameter:
            order = tuple(cell.gates.index(gate) for gate in gates)
            return Parameter(f"{self.name}.{name}", rows, order, self.units, self.width)

        if not cell.recurrent:
            return [parameter("W", self.features, cell.gates), parameter("b", None, cell.gates)]
        matrices = [
            parameter("W_ih", self.features, cell.input_gates),
            parameter("W_hh", self.units, cell.state_gates),
        ]
        if len(cell.slots) == len(cell.gates):
            return [*matrices, parameter("b", None, cell.gates)]
        return [*matrices, parameter("b_ih", None, cell.input_gates), parameter("b_hh", None, cell.state_gates)]

    def initialize(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw Glorot-uniform input weights and orthogonal recurrent ones; forget biases are 1 [1]_ [2]_ [3]_.

        References
        ----------
        .. [1] Glorot, X. and Bengio, Y. (2010). Understanding the difficulty of training deep feedforward neural
           networks. AISTATS, equation 16.
        .. [2] Saxe, A., McClelland, J. and Ganguli, S. (2014). Exact solutions to the nonlinear dynamics of learning in
           deep linear neural networks. ICLR.
        .. [3] Jozefowicz, R., Zaremba, W. and Sutskever, I. (2015). An empirical exploration of recurrent network
           architectures. ICML, section 3.
        """
        limit = np.sqrt(6 / (self.features + self.units))
        G, H = len(self.cell.gates), self.units
        arrays: dict[str, np.ndarray] = {}
        for parameter in self.parameters:
            kind = parameter.name.rsplit(".", 1)[1]
            if kind in ("W", "W_ih"):
                arrays[parameter.name] = rng.uniform(-limit, limit, (self.features, G * H))
            elif kind == "W_hh":
                arrays[parameter.name] = np.hstack([_orthogonal(H, rng) for _ in range(G)])
            else:
                arrays[parameter.name] = np.repeat([float(gate == "f" and kind == "b") for gate in self.cell.gates], H)
        return arrays

    def bind(self, blocks: dict[str, np.ndarray]) -> None:
        """Take the views of the parameters in the network's vector, and make room for their panels."""
        W_ih, *rest = (blocks[parameter.name] for parameter in self.parameters)
        self._matrices = (W_ih, rest[0]) if self.cell.recurrent else (W_ih,)
        self._biases = rest[self.cell.recurrent :]
        bias = aligned(1, len(self.cell.slots) * self.width, self.dtype)
        self._panels = self._room([W.size for W in self._matrices], bias)
        self._panels_T = self._room([0 for _ in self._matrices], bias)

    def _room(self, sizes: list[int], bias: np.ndarray) -> Weights:
        """Make room for panels; a cell without recurrence has none for the state."""
        W_ih, W_hh = (aligned(1, size, self.dtype)[0] for size in [*sizes, 0][:2])
        return cpu.recurrence.Weights(W_ih, W_hh, bias)

    def pack(self, transposed: bool) -> None:
        """Bring the parameters into the kernels' form; `transposed` adds what backward needs."""
        for panels, W in zip(self._panels, self._matrices, strict=False):
            cpu.matmul.pack(panels, W)
        bias = self._panels.bias
        if len(self._biases) == 1:
            bias[:] = self._biases[0]
        else:
            bias[:] = 0
            for part, b in zip(self._bias_parts(bias), self._biases, strict=True):
                part += b
        if transposed:
            columns = [cpu.host.padded(len(W), self.dtype) for W in self._matrices]
            if not self._panels_T.input.size:
                sizes = [n * W.shape[1] for n, W in zip(columns, self._matrices, strict=True)]
                self._panels_T = self._room(sizes, bias)
            for panels, W, n in zip(self._panels_T, self._matrices, columns, strict=False):
                cpu.matmul.pack_transposed(panels, W, n)

    def gradients(self, blocks: dict[str, np.ndarray]) -> LayerGradients:
        """Find this layer's parts of a gradient in the network's layout."""
        dW_ih, *rest = (blocks[parameter.name] for parameter in self.parameters)
        dW_hh = rest[0] if self.cell.recurrent else dW_ih[:0]
        bias = np.zeros((1, len(self.cell.slots) * self.width), self.dtype)
        parts = zip(self._bias_parts(bias), rest[self.cell.recurrent :], strict=True)
        return LayerGradients(cpu.recurrence.Gradients(dW_ih, dW_hh, bias), tuple(parts))

    def _bias_parts(self, bias: np.ndarray) -> list[np.ndarray]:
        """Return the columns of the slots' bias that each bias parameter is added to."""
        width = len(self.cell.gates) * self.width
        return [bias] if bias.shape[1] == width else [bias[:, :width], bias[:, -width:]]

    # -- runs ---------------------------------------------------------------------------------------------------------

    def tape(self, X: np.ndarray, rows: int, room: Workspace) -> Tape:
        """Arrays for a run over `rows` rows, the initial state's among them."""
        slots = room.rows(f"{self.name}.slots", rows, len(self.cell.slots) * self.width)
        state = room.rows(f"{self.name}.state", rows, len(self.cell.states) * self.width)
        return cpu.recurrence.Tape(X, slots, state)

    def plan(self, first: np.ndarray) -> Plan:
        """Sizes of a run over steps that begin at the rows `first`."""
        chunk = max(1, ROWS_AT_ONCE // max(1, int(first[2] - first[1]))) if self.cell.recurrent else 1
        return cpu.recurrence.Plan(first, chunk, self.features, self.units)

    def forward(self, tape: Tape, plan: Plan) -> None:
        """Fill the tape from the initial state on."""
        self._forward(tape, self._panels, plan)

    def backward(
        self,
        dX: np.ndarray,
        tape: Tape,
        plan: Plan,
        gradients: LayerGradients,
        room: Workspace,
    ) -> None:
        """Set `gradients` and add to `dX` what the gradient in `dstate` gives."""
        for part in gradients.kernel:
            part[:] = 0
        before = room.rows(f"{self.name}.before", len(tape.state) if self.cell.recurrent else 0, self.width)
        rows = max(1, int((plan.first[2] - plan.first[1]) * plan.chunk))
        panel = room.flat("panel", rows * cpu.host.TILE_VECTORS * cpu.host.lanes(self.dtype))
        scratch = cpu.recurrence.Scratch(before, panel)
        self._backward(dX, self.dstate(tape, room), tape, self._panels_T, gradients.kernel, scratch, plan)
        for part, db in gradients.biases:
            db[:] = part

    def dstate(self, tape: Tape, room: Workspace) -> np.ndarray:
        """Return the gradient of the tape's state, row by row."""
        return room.rows(f"{self.name}.dstate", *tape.state.shape)


class LayerGradients(NamedTuple):
    """A layer's share of a gradient."""

    kernel: Gradients
    biases: tuple[tuple[np.ndarray, np.ndarray], ...]  # the slots' columns and the bias parameter that they belong to


def _orthogonal(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a random orthogonal matrix, uniformly: QR of a Gaussian one with R's signs taken out."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
