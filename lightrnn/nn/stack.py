"""The structure of a network: an embedding, levels of layers and a head over one flat vector.

`Stack` holds the parameters and says how large everything is; `network.Network` runs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .. import cpu
from ..cells import CELLS
from ..utils.checks import shown
from .heads import make_head
from .layers import Embedding, Layer
from .parameters import Layout
from .pooling import Pooling, make_pooling

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..utils.standardization import Standardization


class Stack:
    """Layers of one kind of cell and an output layer, for sequences of any lengths.

    Parameters
    ----------
    cell : {"ffnn", "rnn", "gru", "lstm"}
        Kind of cell.
    n_features : int
        Columns of the input; for tokens, those of the embedding.
    hidden_layer_sizes : sequence of int
        Units of each layer.
    n_outputs : int
        Columns of the output.
    target : {"sequence", "step"}, default="sequence"
        Whether the output reads the final state or that of every step.
    bidirectional : bool, default=False
        Whether each layer has a second direction, which runs back from the end.
    window : int, default=20
        Number of inputs that an "ffnn" sees at a step.
    pooling : {"last", "mean", "max", "attention"}, default="last"
        For target "sequence": whether the output reads the final state, or the states of all steps
        pooled, see `pooling.py`.
    dropout : float in [0, 1), default=0.0
        Share of each level's outputs that training drops, one mask per sequence for all steps [1]_.
    n_tokens : int, default=0
        Number of codes, if the input is tokens (T,) instead of numbers (T, F); else 0.
    head : {"linear", "tied", "adaptive"}, default="linear"
        Output layer: one of its own, the embedding's matrix, or an adaptive softmax; see
        `heads.py`.
    head_layer_sizes : sequence of int, default=()
        Units of each hidden layer of a linear head, between its features and its output.
    head_activation : {"relu", "tanh", "sigmoid", "gelu"}, default="relu"
        Activation of these.
    dtype : {"float32", "float64"}, default="float32"
        Type of the parameters and of all computation.

    Attributes
    ----------
    embedding : Embedding or None
        Vectors of the tokens.
    levels : list of tuple of Layer
        For each level its layers, one per direction.
    pooling : Pooling or None
        The stage between the last level and the head; None if the head reads states.
    head : LinearHead or AdaptiveHead
        Output layer.
    widths, padded_widths : list of int
        Number of outputs of each level, directions together, and the same in whole registers.
    recurrent : bool
        Whether there is a state to carry from step to step.
    layers : list of Layer
        All layers, those of the head last.
    layout : Layout
        Where each parameter is in the flat vector.
    n_parameters : int
        Number of parameters, padding not counted.
    standardization : Standardization or None
        What is done to numbers before the first layer reads them; None: nothing.

    References
    ----------
    .. [1] Gal, Y. and Ghahramani, Z. (2016). A theoretically grounded application of dropout in
       recurrent neural networks. NIPS.
    """

    def __init__(
        self,
        cell: str,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        target: str = "sequence",
        bidirectional: bool = False,
        window: int = 20,
        pooling: str = "last",
        dropout: float = 0.0,
        n_tokens: int = 0,
        head: str = "linear",
        head_layer_sizes: Sequence[int] = (),
        head_activation: str = "relu",
        dtype: DTypeLike = "float32",
    ) -> None:
        self.cell = cell
        self.recurrent = CELLS[cell].recurrent
        self.target = target
        self.window = window
        self.dropout = dropout
        self.n_features = n_features
        self.dtype = np.dtype(dtype)
        self.embedding = Embedding(n_tokens, n_features, dtype) if n_tokens else None
        self.levels: list[tuple[Layer, ...]] = []
        # Of the level at hand: without recurrence the first one sees whole windows.
        features = n_features if self.recurrent else n_features * window
        for number, units in enumerate(hidden_layer_sizes):
            names = [f"layer{number}", f"layer{number}.reverse"][: 1 + bidirectional]
            self.levels.append(tuple(Layer(name, cell, features, units, dtype) for name in names))
            features = len(names) * units
        self.widths = [sum(layer.units for layer in level) for level in self.levels]
        self.padded_widths = [cpu.host.padded(width, dtype) for width in self.widths]
        self.pooling = make_pooling(pooling, features, dtype)
        outputs = head, features, n_outputs, dtype, self.embedding
        self.head = make_head(*outputs, head_layer_sizes, head_activation)
        hidden = [layer for level in self.levels for layer in level]
        self.layers = [*hidden, *self.head.layers]
        # Everything with parameters, in the order in which they are stored and drawn.
        parts = [self.embedding, *hidden, self.pooling, *self.head.layers]
        self.parts: list[Embedding | Layer | Pooling] = [part for part in parts if part]
        parameters = [parameter for part in self.parts for parameter in part.parameters]
        self.layout = Layout(parameters, self.dtype)
        self.n_parameters = self.layout.count
        self.standardization: Standardization | None = None
        self._parameters: np.ndarray | None = None
        self._stale = True  # whether the parameters may have changed since `refresh`

    # -- structure ---------------------------------------------------------------------------------

    @property
    def every_step(self) -> bool:
        """Whether the last level outputs every step: to the head, or to be pooled."""
        return self.target == "step" or self.pooling is not None

    # -- input -------------------------------------------------------------------------------------

    # Kernels compare nothing, so whatever reaches them is compared here, or by `Embedding.joined`.

    def join(self, X: Sequence[np.ndarray], out: np.ndarray) -> None:
        """Copy sequences of numbers into `out` (n, F), one after another, standardised.

        Raises
        ------
        ValueError
            If they have other columns than the network's inputs, or not n steps in all.
        """
        standardization = self.standardization
        # What is to be standardised keeps all its digits until its mean has been subtracted. Most
        # often these are in `out` already: then there is no second array to write and read.
        exact = standardization is None or all(x.dtype == out.dtype for x in X)
        steps = out if exact else np.empty(out.shape, np.float64)
        try:
            np.concatenate(X, out=steps, casting="unsafe")
        except ValueError as error:
            shapes = sorted({x.shape for x in X})
            raise ValueError(
                f"X must hold {len(out)} steps of {self.n_features} features, got sequences of the "
                f"shapes {shown(shapes)}. Pass X itself to the estimator, which reads it."
            ) from error
        if standardization is None:
            return
        # One pass; NumPy would take two, in short loops over the features.
        mean = standardization.mean
        scale = standardization.scale
        if exact:
            cpu.gather.standardize_in_place(out, mean, scale)
        else:
            cpu.gather.standardize(out, steps, mean, scale)

    def check_sequences(self, X: Sequence[np.ndarray], lengths: np.ndarray) -> None:
        """Compare sequences that are to be learned from with the network and with their lengths.

        Raises
        ------
        ValueError
            If one has no step, other columns, or another number of steps.
        """
        columns = () if self.embedding else (self.n_features,)
        wanted = [(T, *columns) for T in lengths.tolist()]
        shapes = [x.shape for x in X]
        # Most often all are as they should be, which two lists show fastest.
        if shapes == wanted and lengths.min() > 0:
            return
        for shape, (T, *_) in zip(shapes, wanted, strict=True):
            if shape != (T, *columns) or T < 1:
                raise ValueError(
                    f"X must hold sequences of the shape {(max(1, T), *columns)}, got {shape}. "
                    "Pass X itself to the estimator, which reads it."
                )

    # -- states ------------------------------------------------------------------------------------

    def zero_states(self) -> tuple[np.ndarray, ...]:
        """Return the zero state of each layer and direction, (Z * width,)."""
        layers = [layer for level in self.levels for layer in level]
        # Padded, as kernels have it; a row per sequence is made of this by who needs it.
        return tuple(np.zeros(len(r.cell.states) * r.width, self.dtype) for r in layers)

    def dropout_masks(
        self, batch_size: int, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, ...]:
        """Draw the factors (B, D) of each level's outputs; none without dropout or without `rng`.

        A factor is 0, or 1 / (1 - dropout) so that the mean of an output stays as it is.
        """
        if rng is None or not self.dropout:
            return ()
        keep = 1 - self.dropout
        masks = []
        for D in self.widths:
            kept = rng.random((batch_size, D)) < keep
            masks.append((kept / keep).astype(self.dtype))
        return tuple(masks)

    def as_inputs(self, X: Sequence[np.ndarray]) -> Sequence[np.ndarray]:
        """Return sequences as the first layer sees them: standardised, if they are to be."""
        standardization = self.standardization
        if standardization is None:
            return [np.asarray(x) for x in X]
        return [standardization.applied(x, self.dtype) for x in X]

    # -- parameters --------------------------------------------------------------------------------

    @property
    def parameters(self) -> np.ndarray:
        """The flat vector (size,), zeros at first; whoever holds it may change it."""
        self._stale = True
        return self._vector()

    def _vector(self) -> np.ndarray:
        """Return the flat vector to read it only."""
        # Made late, so that a network too large for memory can be described and refused.
        if self._parameters is None:
            self._parameters = cpu.host.aligned(1, self.layout.size, self.dtype)[0]
            blocks = self.layout.blocks(self._parameters)
            for part in self.parts:
                part.bind(blocks)
        return self._parameters

    def initialize(
        self, rng: np.random.Generator, forget_bias: str | float = 1.0, longest: int = 1
    ) -> None:
        """Draw new parameters; the arguments are those of `Layer.initialize`."""
        arrays = self.embedding.initialize(rng) if self.embedding else {}
        for layer in self.layers:
            arrays |= layer.initialize(rng, forget_bias, longest)
        if self.pooling:
            arrays |= self.pooling.initialize()
        self.assign(arrays)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters by name, unpadded, gates in public order."""
        return self.named(self._vector())

    def assign(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Set every parameter by name."""
        self.parameters[:] = self.layout.flatten(arrays)

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Split a vector of the parameters' layout, a gradient or a moment, into named arrays."""
        return self.layout.arrays(vector)

    def flatten(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Undo `named`."""
        return self.layout.flatten(arrays)

    def rescale_outputs(self, factor: np.ndarray, shift: np.ndarray) -> None:
        """Turn every output o into o * factor + shift."""
        arrays = self.arrays()
        arrays["head.W"] = arrays["head.W"] * factor
        arrays["head.b"] = arrays["head.b"] * factor + shift
        self.assign(arrays)

    # -- what is derived from the parameters -------------------------------------------------------

    def refresh(self) -> None:
        """Let the output layer follow a change of the parameters."""
        if self._stale:
            with cpu.once.DERIVING:
                if self._stale:
                    self.head.refresh()
                    self._stale = False

    def transpose(self, inputs: bool = True) -> None:
        """Transpose every layer's matrices for the backward pass.

        Without `inputs` the gradient stops before the input, unless that is an embedding, so the
        first level's input matrices are left out.
        """
        first = () if inputs or self.embedding else self.levels[0]
        with cpu.once.DERIVING:
            for layer in self.layers:
                layer.transpose(layer not in first)
