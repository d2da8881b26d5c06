"""A layer: one direction of one cell, and its parameters as kernels see them.

The output layer is one too, of the cell "linear". Kernels see parameters as panels, which are packed anew after each
update. How a layer runs over a batch is in `runs.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import cpu
from .cells import CELLS, Cell
from .parameters import Parameter

if TYPE_CHECKING:
    from .cpu.recurrence import Gradients, Weights


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

    # -- as kernels see them ------------------------------------------------------------------------------------------

    def bind(self, blocks: dict[str, np.ndarray]) -> None:
        """Take the views of the parameters in the network's vector, and make room for their panels."""
        matrices, self._biases = self._parts(blocks)
        slots = len(self.cell.slots) * self.width
        bias = self._biases[0] if len(self._biases) == 1 else cpu.host.aligned(1, slots, self.dtype)
        self.panels = self._room([W.size for W in matrices], bias)
        self._packs = list(zip(self.panels, matrices, strict=False))
        self._matrices = matrices
        self._packs_T: list[tuple[np.ndarray, np.ndarray, int]] = []

    def _parts(self, blocks: dict[str, np.ndarray]) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Return this layer's matrices and its biases, the input's first."""
        parts: dict[str, list[np.ndarray]] = {"W": [], "b": []}
        for parameter in self.parameters:
            kind = parameter.name.rsplit(".", 1)[1][0]
            parts[kind].append(blocks[parameter.name])
        return parts["W"], parts["b"]

    def _room(self, sizes: list[int], bias: np.ndarray) -> Weights:
        """Make room for panels; a cell without recurrence has none for the state."""
        W_ih, W_hh = (cpu.host.aligned(1, size, self.dtype)[0] for size in [*sizes, 0][:2])
        return cpu.recurrence.Weights(W_ih, W_hh, bias)

    def pack(self, transposed: bool) -> None:
        """Bring the parameters into the kernels' form; `transposed` adds what backward needs."""
        for panels, W in self._packs:
            cpu.matmul.pack(panels, W)
        if len(self._biases) > 1:
            bias, width = self.panels.bias, len(self.cell.gates) * self.width
            bias[:, :width] = self._biases[0]
            bias[:, width:] = 0
            bias[:, -width:] += self._biases[1]
        if transposed:
            for panels, W, columns in self._packs_T or self._bind_transposed():
                cpu.matmul.pack_transposed(panels, W, columns)

    def _bind_transposed(self) -> list[tuple[np.ndarray, np.ndarray, int]]:
        """Make room for the panels of the transposed matrices, which only training needs."""
        columns = [cpu.host.padded(len(W), self.dtype) for W in self._matrices]
        sizes = [n * W.shape[1] for n, W in zip(columns, self._matrices, strict=True)]
        self.panels_T = self._room(sizes, self.panels.bias)
        self._packs_T = list(zip(self.panels_T, self._matrices, columns, strict=False))
        return self._packs_T

    def gradients(self, blocks: dict[str, np.ndarray]) -> Gradients:
        """Find this layer's parts of a gradient in the network's layout."""
        (W_ih, *W_hh), (b_ih, *b_hh) = self._parts(blocks)
        nothing = [W_ih[:0]]
        return cpu.recurrence.Gradients(W_ih, b_ih, *(W_hh or nothing), *(b_hh or nothing))


def _orthogonal(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a random orthogonal matrix, uniformly: QR of a Gaussian one with R's signs taken out."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
