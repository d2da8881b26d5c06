"""A layer: one direction of one cell, and its parameters as kernels see them.

The output layer is one too, of the cell "linear"; an embedding is not. How a layer runs over a batch is in `runs.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import cpu
from ..cells import CELLS, Cell
from .parameters import Parameter

if TYPE_CHECKING:
    from ..cpu.recurrence import LayerWeights


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

    def __init__(
        self, name: str, cell: str, features: int, units: int, dtype: np.typing.DTypeLike
    ) -> None:
        self.name, self.cell_name, self.cell = name, cell, CELLS[cell]
        self.features, self.units, self.dtype = features, units, np.dtype(dtype)
        self.width = cpu.host.padded(units, dtype)
        self.parameters = tuple(self._declare(self.cell))
        self._embedding: Embedding | None = None

    # -- parameters ---------------------------------------------------------------------------------------------------

    def _declare(self, cell: Cell) -> list[Parameter]:
        """Names, shapes and the order of the gates in store."""

        def parameter(name: str, rows: int | None, gates: tuple[str, ...]) -> Parameter:
            order = tuple(cell.gates.index(gate) for gate in gates)
            cuts = cpu.host.panel_cuts(len(gates) * self.width, self.dtype)
            return Parameter(f"{self.name}.{name}", rows, order, self.units, self.width, cuts)

        if not cell.recurrent:
            return [parameter("W", self.features, cell.gates), parameter("b", None, cell.gates)]
        matrices = [
            parameter("W_ih", self.features, cell.input_gates),
            parameter("W_hh", self.units, cell.state_gates),
        ]
        if not cell.two_biases:
            return [*matrices, parameter("b", None, cell.gates)]
        return [
            *matrices,
            parameter("b_ih", None, cell.input_gates),
            parameter("b_hh", None, cell.state_gates),
        ]

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
                arrays[parameter.name] = np.repeat(
                    [float(gate == "f" and kind == "b") for gate in self.cell.gates], H
                )
        return arrays

    # -- as kernels see them ------------------------------------------------------------------------------------------

    def tie(self, embedding: Embedding) -> None:
        """Use the transpose of an embedding as the matrix, with its padding: features that are zeros there."""
        self._embedding, self.features = embedding, embedding.width
        self.parameters = self.parameters[1:]

    @property
    def tied(self) -> bool:
        """Whether the matrix is an embedding's."""
        return self._embedding is not None

    def parts(self, blocks: dict[str, np.ndarray]) -> LayerWeights:
        """Find this layer's parts in a vector of the network's layout: parameters or a gradient."""
        found: dict[str, list[np.ndarray]] = {"W": [], "b": []}
        if self._embedding is not None:
            found["W"].append(self._embedding.parts(blocks))
        for parameter in self.parameters:
            found[parameter.name.rsplit(".", 1)[1][0]].append(blocks[parameter.name])
        nothing = np.zeros(0, self.dtype)
        (W_ih, W_hh, *_), (b_ih, b_hh, *_) = ([*arrays, nothing] for arrays in found.values())
        return cpu.recurrence.LayerWeights(W_ih, b_ih, W_hh, b_hh)

    def bind(self, blocks: dict[str, np.ndarray]) -> None:
        """Take the views of the parameters in the network's vector."""
        self.weights = self.parts(blocks)
        self._transposes: list[tuple[np.ndarray, np.ndarray, int, int]] = []
        if self._embedding is not None:
            self._bind_tied(self._embedding)

    def _bind_tied(self, embedding: Embedding) -> None:
        """Let forward read the embedding's transpose, and backward the embedding itself."""
        table, (rows, columns) = self.weights.W_ih, (embedding.n_tokens, self.width)
        W = cpu.host.aligned(1, self.features * columns, self.dtype)[0]
        self.weights = self.weights._replace(W_ih=W)
        self.transposed = cpu.recurrence.Transposed(table, W[:0])
        self._transposes = [(W, table, rows, columns)]

    def transpose(self, inputs: bool = True) -> None:
        """Bring the matrices into the form in which backward reads them; a tied one into that which forward reads.

        Without `inputs` that of the input is left alone: nobody wants the gradient of the input.
        """
        for panels, W, rows, columns in self._transposes or self._bind_transposes():
            if inputs or W is not self.weights.W_ih:
                cpu.matmul.transpose_panels(panels, W, rows, columns)

    def release_training_memory(self) -> None:
        """Give back the room for transposed matrices that only training reads."""
        if not self.tied and self._transposes:
            self._transposes = []
            del self.transposed

    def _bind_transposes(self) -> list[tuple[np.ndarray, np.ndarray, int, int]]:
        """Make room for the transposed matrices, which only training needs."""
        matrices = (self.weights.W_ih, self.features), (self.weights.W_hh, self.units)
        columns = [cpu.host.padded(rows, self.dtype) for _, rows in matrices]
        room = [
            cpu.host.aligned(1, n * (W.size // rows), self.dtype)[0]
            for (W, rows), n in zip(matrices, columns, strict=True)
        ]
        self.transposed = cpu.recurrence.Transposed(*room)
        pairs = zip(room, matrices, columns, strict=True)
        self._transposes = [(panels, W, rows, n) for panels, (W, rows), n in pairs if W.size]
        return self._transposes


class Embedding:
    """A row of numbers for each token, learned with the rest.

    Parameters
    ----------
    n_tokens, size : int
        Rows and columns.
    dtype : dtype
        float32 or float64.
    """

    name = "embedding"

    def __init__(self, n_tokens: int, size: int, dtype: np.typing.DTypeLike) -> None:
        self.n_tokens, self.size = n_tokens, size
        self.width = cpu.host.padded(size, dtype)
        cuts = cpu.host.panel_cuts(self.width, dtype)
        self.parameters = (Parameter("embedding.W", n_tokens, (0,), size, self.width, cuts),)

    def initialize(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw normal numbers of unit variance, as inputs should have; an unknown token's are zeros."""
        W = rng.standard_normal((self.n_tokens, self.size))
        W[0] = 0
        return {"embedding.W": W}

    def parts(self, blocks: dict[str, np.ndarray]) -> np.ndarray:
        """Find the matrix in a vector of the network's layout."""
        return blocks["embedding.W"]

    def bind(self, blocks: dict[str, np.ndarray]) -> None:
        """Take the view of the matrix in the network's vector."""
        self.weights = self.parts(blocks)

    def look_up(self, codes: np.ndarray, rows: np.ndarray, start: int) -> None:
        """Write each code's numbers to a row, from `start` on; rows have `width` columns."""
        cpu.gather.look_up(rows, start, self.weights, self.n_tokens, codes)

    def add_gradient(
        self, gradient: np.ndarray, codes: np.ndarray, rows: np.ndarray, start: int
    ) -> None:
        """Add to the matrix's gradient what each row, from `start` on, gives to its code's."""
        cpu.gather.add_by_code(gradient, self.n_tokens, codes, rows, start)


def _orthogonal(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a random orthogonal matrix, uniformly: QR of a Gaussian one with R's signs taken out."""
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return q * np.sign(np.diag(r))
