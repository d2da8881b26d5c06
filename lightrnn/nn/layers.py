"""A layer: one direction of one cell, and its parameters in the form that kernels read.

The output layer is a layer too, of the cell "linear"; an embedding is not. How a layer runs over a
batch is in `workspace.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import cpu
from ..cells import CELLS
from .parameters import Parameter

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..cpu.recurrence import LayerWeights, Transposed


class Transposition(NamedTuple):
    """A matrix to transpose, and where to."""

    panels: np.ndarray  # panels of the transposed matrix
    W: np.ndarray  # panels of the matrix
    rows: int
    columns: int  # of the transposed matrix: `rows` padded


class Layer:
    """One direction of one cell.

    Parameters
    ----------
    name : str
        Prefix of its parameters' names.
    cell : str
        Key of `CELLS`.
    features, units : int
        Columns of the input and of the state.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    width, input_width : int
        `units` and `features` padded to whole SIMD registers.
    weights : LayerWeights
        Views of the parameters, once `bind` has been called.
    transposed : Transposed
        Matrices for the backward pass, once `transpose` has been called.
    """

    weights: LayerWeights
    transposed: Transposed

    def __init__(
        self,
        name: str,
        cell: str,
        features: int,
        units: int,
        dtype: DTypeLike,
    ) -> None:
        self.name = name
        self.cell_name = cell
        self.cell = CELLS[cell]
        self.features = features
        self.units = units
        self.dtype = np.dtype(dtype)
        self.width = cpu.host.padded(units, dtype)
        self.input_width = cpu.host.padded(features, dtype)
        self.parameters = self._declare()
        self._embedding: Embedding | None = None

    # -- parameters --------------------------------------------------------------------------------

    def _declare(self) -> tuple[Parameter, ...]:
        """Return the parameters: input matrices and biases store the gates in the slots' order."""
        cell = self.cell
        make = self._parameter
        if not cell.recurrent:
            return make("W", self.features, cell.gates), make("b", None, cell.gates)
        W_ih = make("W_ih", self.features, cell.input_gates)
        W_hh = make("W_hh", self.units, cell.state_gates)
        if not cell.two_biases:
            # Input and state feed the same slots: one bias does for both.
            return W_ih, W_hh, make("b", None, cell.gates)
        b_ih = make("b_ih", None, cell.input_gates)
        b_hh = make("b_hh", None, cell.state_gates)
        return W_ih, W_hh, b_ih, b_hh

    def _parameter(
        self,
        kind: str,
        rows: int | None,
        gates: tuple[str, ...],
    ) -> Parameter:
        """Return a parameter whose columns are stored in the order of these gates."""
        return Parameter(
            name=f"{self.name}.{kind}",
            rows=rows,
            order=tuple(self.cell.gates.index(gate) for gate in gates),
            units=self.units,
            width=self.width,
            cuts=cpu.host.panel_cuts(len(gates) * self.width, self.dtype),
        )

    def initialize(
        self,
        rng: np.random.Generator,
        forget_bias: str | float = 1.0,
        longest: int = 1,
    ) -> dict[str, np.ndarray]:
        """Draw Glorot-uniform input weights and orthogonal recurrent ones [1]_ [2]_.

        Biases are 0, but for those of the gate that keeps the old state, see `_gate_biases`.

        Parameters
        ----------
        rng : Generator
            Source of the draws; a number as `forget_bias` needs none.
        forget_bias : "chrono" or float, default=1.0
            Bias of the gate that keeps the old state, if the cell has one.
        longest : int, default=1
            Steps of the longest sequence to learn from, for "chrono".

        Returns
        -------
        dict of str to ndarray
            The parameters by name, in the public form.

        References
        ----------
        .. [1] Glorot, X. and Bengio, Y. (2010). Understanding the difficulty of training deep
           feedforward neural networks. AISTATS, equation 16.
        .. [2] Saxe, A., McClelland, J. and Ganguli, S. (2014). Exact solutions to the nonlinear
           dynamics of learning in deep linear neural networks. ICLR.
        """
        limit = np.sqrt(6 / (self.features + self.units))
        G = len(self.cell.gates)
        H = self.units
        arrays: dict[str, np.ndarray] = {}
        # The matrices first, so that their draws are the same with any bias.
        for parameter in self.parameters:
            kind = parameter.name.rsplit(".", 1)[1]
            # In the public order of the gates: what the draws mean does not depend on the storage.
            if kind in ("W", "W_ih"):
                array = rng.uniform(-limit, limit, (self.features, G * H))
            elif kind == "W_hh":
                array = np.hstack([_orthogonal(H, rng) for _ in range(G)])
            else:
                array = np.zeros(G * H)
            arrays[parameter.name] = array
        if self.cell.keeps:
            # Of a gru's two biases the input's: the gate reads their sum.
            name = next(p.name for p in self.parameters if p.rows is None)
            arrays[name] = self._gate_biases(rng, forget_bias, longest)
        return arrays

    def _gate_biases(
        self,
        rng: np.random.Generator,
        forget_bias: str | float,
        longest: int,
    ) -> np.ndarray:
        """Return initial biases (G*H,) with which a new network remembers.

        The gate that keeps the old state has `forget_bias` [1]_. "chrono" draws that of each unit
        as log U(1, longest - 1), so that the units' memories fade within one to all steps of the
        longest sequence, and gives an input gate the negative of it [2]_.

        References
        ----------
        .. [1] Jozefowicz, R., Zaremba, W. and Sutskever, I. (2015). An empirical exploration of
           recurrent network architectures. ICML, section 3.
        .. [2] Tallec, C. and Ollivier, Y. (2018). Can recurrent neural networks warp time? ICLR.
        """
        H = self.units
        biases = {gate: np.zeros(H) for gate in self.cell.gates}
        role_gates = dict(self.cell.roles)
        kept = role_gates[self.cell.keeps]
        if isinstance(forget_bias, str):  # "chrono"
            # Over one or two steps there is nothing to keep: both gates begin half open.
            biases[kept] = np.log(rng.uniform(1, max(longest - 1, 1), H))
            if "input" in role_gates:
                biases[role_gates["input"]] = -biases[kept]
        else:
            biases[kept] += forget_bias
        return np.concatenate(list(biases.values()))

    # -- as kernels see them -----------------------------------------------------------------------

    def tie(self, embedding: Embedding) -> None:
        """Use the transpose of an embedding as the matrix.

        The embedding's padding comes with it, as features that are always zero.
        """
        self._embedding = embedding
        # The head's matrix is no parameter of its own any more; its bias is.
        self.features = self.input_width = embedding.width
        self.parameters = self.parameters[1:]

    @property
    def tied(self) -> bool:
        """Whether the matrix is an embedding's."""
        return self._embedding is not None

    def parts(self, blocks: dict[str, np.ndarray]) -> LayerWeights:
        """Return this layer's parts of a vector, of parameters or a gradient, from its blocks."""
        matrices: list[np.ndarray] = []
        biases: list[np.ndarray] = []
        if self._embedding is not None:
            matrices.append(self._embedding.parts(blocks))
        for parameter in self.parameters:
            parts = biases if parameter.rows is None else matrices
            parts.append(blocks[parameter.name])
        # Kernels take arrays of no elements for what a cell does not have.
        nothing = np.zeros(0, self.dtype)
        W_ih, W_hh, *_ = *matrices, nothing
        b_ih, b_hh, *_ = *biases, nothing
        return cpu.recurrence.LayerWeights(W_ih, b_ih, W_hh, b_hh)

    def bind(self, blocks: dict[str, np.ndarray]) -> None:
        """Take the views of the parameters from the blocks of the network's vector."""
        self.weights = self.parts(blocks)
        self._transpositions: list[Transposition] = []
        if self._embedding is not None:
            self._bind_tied(self._embedding)

    def _bind_tied(self, embedding: Embedding) -> None:
        """Let the forward pass read the embedding's transpose, and the backward pass itself."""
        table = self.weights.W_ih
        # (features, width) in panels: a copy, which `transpose` keeps up to date
        W = cpu.host.aligned(1, self.features * self.width, self.dtype)[0]
        self.weights = self.weights._replace(W_ih=W)
        self.transposed = cpu.recurrence.Transposed(table, W[:0])
        self._transpositions = [Transposition(W, table, embedding.n_tokens, self.width)]

    def transpose(self, inputs: bool = True) -> None:
        """Transpose the matrices into the form that the other pass reads.

        That is the backward pass, or for a tied matrix the forward pass. Without `inputs` the
        input's matrix is left out: its transpose serves the gradient of the input alone.
        """
        # The arrays are made at the first call and stay for the next ones.
        for item in self._transpositions or self._bind_transposed():
            if inputs or item.W is not self.weights.W_ih:
                cpu.matmul.transpose_panels(*item)

    def release_training_memory(self) -> None:
        """Drop the transposed matrices that only training reads."""
        # A tied matrix is read by predictions, too.
        if not self.tied and self._transpositions:
            self._transpositions = []
            del self.transposed

    def _bind_transposed(self) -> list[Transposition]:
        """Make the arrays for the transposed matrices, which a prediction does not need."""
        W_ih = self._transposition(self.weights.W_ih, self.features)
        W_hh = self._transposition(self.weights.W_hh, self.units)
        self.transposed = cpu.recurrence.Transposed(W_ih.panels, W_hh.panels)
        self._transpositions = [item for item in (W_ih, W_hh) if item.W.size]
        return self._transpositions

    def _transposition(self, W: np.ndarray, rows: int) -> Transposition:
        """Return a matrix of `rows` rows with new panels for its transpose."""
        columns = cpu.host.padded(rows, self.dtype)
        size = columns * (W.size // rows)
        panels = cpu.host.aligned(1, size, self.dtype)[0]
        return Transposition(panels, W, rows, columns)


class Embedding:
    """A learned vector for each token.

    Parameters
    ----------
    n_tokens, size : int
        Number of tokens, and dimension of their vectors.
    dtype : dtype
        float32 or float64.

    Attributes
    ----------
    width : int
        `size` padded to whole SIMD registers.
    weights : ndarray
        View of the matrix, in panels, once `bind` has been called.
    """

    name = "embedding"

    def __init__(
        self,
        n_tokens: int,
        size: int,
        dtype: DTypeLike,
    ) -> None:
        self.n_tokens = n_tokens
        self.size = size
        self.width = cpu.host.padded(size, dtype)
        cuts = cpu.host.panel_cuts(self.width, dtype)
        self.parameters = (Parameter("embedding.W", n_tokens, (0,), size, self.width, cuts),)

    def initialize(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Draw normal numbers of unit variance, as inputs should have; an unknown token's are 0."""
        W = rng.standard_normal((self.n_tokens, self.size))
        # Code 0 is any token that the vocabulary does not have.
        W[0] = 0
        return {"embedding.W": W}

    def parts(self, blocks: dict[str, np.ndarray]) -> np.ndarray:
        """Return the matrix's part of a vector of the network's layout, from its blocks."""
        return blocks["embedding.W"]

    def bind(self, blocks: dict[str, np.ndarray]) -> None:
        """Take the view of the matrix from the blocks of the network's vector."""
        self.weights = self.parts(blocks)

    def joined(self, X: Sequence[np.ndarray]) -> np.ndarray:
        """Return the concatenated codes of sequences, for each of which there must be a vector.

        Raises
        ------
        ValueError
            If one is out of range: kernels do not compare it.
        """
        codes = np.concatenate(X)
        if codes.dtype != np.int64:
            codes = codes.astype(np.int64, casting="same_kind")
        # Negative codes are the largest ones without their sign.
        if codes.view(np.uint64).max() >= self.n_tokens:
            raise ValueError(
                f"X must hold codes from 0 to {self.n_tokens - 1}, got {codes.min()} to "
                f"{codes.max()}. Pass tokens to the estimator, which encodes them."
            )
        return codes

    def look_up(
        self,
        codes: np.ndarray,
        rows: np.ndarray,
        start: int,
    ) -> None:
        """Write each code's vector to a row, from `start` on; the rows have `width` columns."""
        cpu.gather.look_up(rows, start, self.weights, self.n_tokens, codes)

    def add_gradient(
        self,
        gradient: np.ndarray,
        codes: np.ndarray,
        rows: np.ndarray,
        start: int,
    ) -> None:
        """Add the gradient of each row, from `start` on, to that of its code's vector."""
        cpu.gather.add_by_code(gradient, self.n_tokens, codes, rows, start)


def _orthogonal(size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw a uniform random orthogonal matrix (size, size)."""
    Q = np.zeros((size, size))
    cpu.orthogonal.orthogonalize(rng.standard_normal((size, size)), Q, np.empty((size + 1, size)))
    return Q
