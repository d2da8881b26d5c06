"""A stack of layers over one flat vector of parameters: outputs, and the loss with its gradient.

A batch is cut into shards, each of which runs all layers forward and back by itself, on a thread of its own where there
are several. How it is cut depends on the work alone, and the shards' gradients are added in order, so that the number
of threads changes no bit.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Mapping, Sequence
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import cpu
from ..cpu.host import aligned
from ..losses import Loss
from . import prediction
from .batches import Batch
from .forward_backward import ForwardBackward
from .heads import make_head
from .layers import Embedding, Layer
from .parameters import Layout
from .workspace import Workspace

if TYPE_CHECKING:
    from .solvers import Outcome, Solver

_WORTH_TWO, _WORTH_MORE = (
    50e6,
    240e6,
)  # FLOP of a batch that is worth two shards, and of a shard where there are more
_SHARDS = 8
_MEDIUM = 200_000  # parameters above which a shard has 16 sequences, so that they are read from afar less often
_LARGE = 1_000_000  # parameters above which more than two shards cost more memory traffic than they bring
_HELD = 1 << 26  # bytes of sequences that are worth a second copy


class Network:
    """Layers of one kind of cell and a linear output layer, for sequences of any lengths.

    Parameters
    ----------
    cell : {"ffnn", "rnn", "gru", "lstm"}
        Kind of cell.
    n_features : int
        Columns of the input; those of the embedding, if the input is tokens.
    hidden_layer_sizes : sequence of int
        Units of each layer.
    n_outputs : int
        Columns of the output.
    target : {"sequence", "step"}
        Whether the output reads the final state or that of every step.
    bidirectional : bool
        Whether each layer has a second direction, back from the end.
    window : int
        Inputs that an "ffnn" sees.
    dropout : float in [0, 1)
        Share of each layer's outputs that is dropped in training, by sequence [1]_.
    n_tokens : int
        Codes that a step may be, if the input is tokens (T,) instead of numbers (T, F); else 0.
    head : {"linear", "tied", "adaptive"}
        Output layer: one of its own, the embedding's matrix, or an adaptive softmax; see `heads.py`.
    dtype : {"float32", "float64"}
        Of the parameters and of all that is computed.

    Attributes
    ----------
    parameters, gradient : ndarray (size,)
        Flat vectors; `named` tells what they hold.
    n_parameters : int
        Number of parameters, padding not counted.
    held : (sequence of ndarray, ndarray) or None
        Sequences that are learned from, and the same joined.

    References
    ----------
    .. [1] Gal, Y. and Ghahramani, Z. (2016). A theoretically grounded application of dropout in recurrent neural
       networks. NIPS: one mask for all steps.
    """

    device, steps_in_flight = (
        "cpu",
        0,
    )  # and how many steps to begin before the first one's outcome is asked for

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
        dropout: float = 0.0,
        n_tokens: int = 0,
        head: str = "linear",
        dtype: np.typing.DTypeLike = "float32",
    ) -> None:
        self.cell, self.target, self.window, self.dropout, self.dtype = (
            cell,
            target,
            window,
            dropout,
            np.dtype(dtype),
        )
        self.embedding = Embedding(n_tokens, n_features, dtype) if n_tokens else None
        self.levels: list[tuple[Layer, ...]] = []
        features = n_features * window if cell == "ffnn" else n_features
        for number, units in enumerate(hidden_layer_sizes):
            names = [f"layer{number}", f"layer{number}.reverse"][: 1 + bidirectional]
            self.levels.append(tuple(Layer(name, cell, features, units, dtype) for name in names))
            features = len(names) * units
        self.head = make_head(head, features, n_outputs, dtype, self.embedding)
        self.layers = [*(layer for level in self.levels for layer in level), *self.head.layers]
        self._parts: list[Embedding | Layer] = [self.embedding] if self.embedding else []
        self._parts += self.layers
        self.layout = Layout(
            [parameter for part in self._parts for parameter in part.parameters], self.dtype
        )
        self.n_parameters = self.layout.count
        self.cached: tuple[Sequence[np.ndarray], np.ndarray] | None = None
        self._last: tuple[int, list[ForwardBackward]] = 0, []
        self._parameters: np.ndarray | None = None
        self._gradients: list[Gradient] = []
        self._rooms: deque[Workspace] = deque(maxlen=_SHARDS)
        self._stale, self._lock = True, Lock()

    # -- parameters ---------------------------------------------------------------------------------------------------

    @property
    def parameters(self) -> np.ndarray:
        """The flat vector, zeros at first; whoever holds it may change it."""
        self._stale = True
        return self._vector()

    def _vector(self) -> np.ndarray:
        """Return the flat vector to look at."""
        if self._parameters is None:
            self._parameters = aligned(1, self.layout.size, self.dtype)[0]
            blocks = self.layout.blocks(self._parameters)
            for part in self._parts:
                part.bind(blocks)
        return self._parameters

    @property
    def gradient(self) -> np.ndarray:
        """What `loss_and_gradient` has filled."""
        return self._shard_gradients(1)[0].vector

    def initialize(self, rng: np.random.Generator) -> None:
        """Draw new parameters; the output layer's bias is 0."""
        self.assign(
            {name: array for part in self._parts for name, array in part.initialize(rng).items()}
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Return copies of the parameters by name, unpadded, gates in public order."""
        return self.named(self._vector())

    def assign(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Set every parameter by name."""
        self.parameters[:] = self.layout.flatten(arrays)

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Split any vector of the parameters' layout, a gradient or a moment, into named arrays."""
        return self.layout.arrays(vector)

    def flatten(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Undo `named`."""
        return self.layout.flatten(arrays)

    def set_output_units(self, scale: np.ndarray, shift: np.ndarray) -> None:
        """Make every output o into o * scale + shift."""
        arrays = self.arrays()
        arrays["head.W"] = arrays["head.W"] * scale
        arrays["head.b"] = arrays["head.b"] * scale + shift
        self.assign(arrays)

    def bytes_needed(self, batch_size: int, T: int) -> int:
        """Memory to train on batches of this size: parameters and moments, and what each row keeps for the way back."""
        rows = sum(
            r.features + (len(r.cell.slots) + 2 * len(r.cell.states) + 3) * r.width
            for r in self.layers
        )
        shards = min(2 if self.layout.size > _LARGE else _SHARDS, -(-batch_size // 8))
        return self.dtype.itemsize * ((6 + shards) * self.layout.size + batch_size * (T + 1) * rows)

    # -- training -----------------------------------------------------------------------------------------------------

    def cache_sequences(
        self, items: Sequence[np.ndarray], lengths: np.ndarray, batch_size: int
    ) -> None:
        """Join all sequences that will be learned from, to pack minibatches from, unless they are many or on disk."""
        if self.cached is not None and self.cached[0] is items:
            return
        self.cached, shape = None, (int(lengths.sum()), *items[0].shape[1:])
        small = math.prod(shape) * self.dtype.itemsize <= _HELD and not any(
            isinstance(x, np.memmap) for x in items
        )
        if small and self.recurrent and self.embedding is None:
            self.cached = (
                items,
                np.concatenate(items, out=np.empty(shape, self.dtype), casting="unsafe"),
            )

    def dropout_masks(self, batch_size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Draw what each layer's output is multiplied by: 0, or 1 / (1 - dropout) so that the mean stays."""
        keep = 1 - self.dropout
        widths = [sum(layer.units for layer in level) for level in self.levels]
        return tuple(
            ((rng.random((batch_size, D)) < keep) / keep).astype(self.dtype) for D in widths
        )

    @property
    def recurrent(self) -> bool:
        """Whether there is a state to carry."""
        return self.levels[0][0].cell.recurrent

    def zero_states(self) -> tuple[np.ndarray, ...]:
        """Return the state of rest of each layer and direction, (Z * width,)."""
        return tuple(
            np.zeros(len(r.cell.states) * r.width, self.dtype)
            for level in self.levels
            for r in level
        )

    def loss_and_gradient(self, batch: Batch, loss: Loss, threads: int = 1) -> float:
        """Return sum(w * l) / sum(w) over the batch and leave its gradient in `gradient`.

        Parameters
        ----------
        batch : Batch
            With targets and weights; its states are constants, no gradient goes through them.
        loss : Loss
            What the outputs cost.
        threads : int
            Most threads to use; changes nothing but the time.
        """
        count = self._shards(batch)
        self.transpose(inputs=False)
        gradients = self._shard_gradients(count)
        shards = [self.acquire(batch.shard(s, count)) for s in range(count)]
        tasks = [partial(shard.train, loss, gradients[s].layers) for s, shard in enumerate(shards)]
        losses = cpu.threads.run(tasks, threads)
        total = gradients[0].vector
        for other in gradients[1:count]:
            np.add(total, other.vector, out=total)
        self._last = len(batch.X), shards
        self.release(shards)
        return sum(losses)

    def transpose(self, inputs: bool = True) -> None:
        """Bring every layer's matrices into the form in which the way back reads them, to the inputs or not so far."""
        first = () if inputs or self.embedding else self.levels[0]
        with self._lock:
            for layer in self.layers:
                layer.transpose(layer not in first)

    def learn(
        self,
        batch: Batch,
        loss: Loss,
        solver: Solver,
        rate: float,
        clip_norm: float | None,
        threads: int = 1,
    ) -> Outcome:
        """Let a solver make a step, unless loss or gradient is not finite; what is returned tells its outcome."""
        value = self.loss_and_gradient(batch, loss, threads)
        norm = (
            solver.step(self.parameters, self.gradient, rate, clip_norm)
            if math.isfinite(value)
            else math.nan
        )
        return lambda: (value, norm)

    def run(self, batch: Batch) -> None:
        """Bring `final_states` to the batch's end."""
        self._run(batch, lambda shard: None)

    def score(self, batch: Batch) -> float:
        """Return the batch's mean cross-entropy, and bring `final_states` to its end."""
        self.refresh()
        return float(self._run(batch, ForwardBackward.score))

    def _run(self, batch: Batch, read: Any) -> Any:
        shard = self.acquire(batch)
        shard.forward()
        value = read(shard)
        self._last = len(batch.X), [shard]
        self.release([shard])
        return value

    def _shards(self, batch: Batch) -> int:
        """Into how many parts to cut a batch: a power of two, so that they share out evenly."""
        work = 6.0 * self.layout.size * int(batch.lengths.sum())
        if work < _WORTH_TWO:
            return 1
        B = len(batch.X)
        most = (
            2
            if self.layout.size > _LARGE
            else max(2, B // 16)
            if self.layout.size > _MEDIUM
            else _SHARDS
        )
        parts = max(1, min(most, B // 8, max(2, int(work / _WORTH_MORE))))
        return 1 << (parts.bit_length() - 1)

    def _shard_gradients(self, count: int) -> list[Gradient]:
        """Return one for each shard; the first is the network's."""
        while len(self._gradients) < count:
            vector = aligned(1, self.layout.size, self.dtype)[0]
            blocks = self.layout.blocks(vector)
            self._gradients.append(
                Gradient(vector, {part.name: part.parts(blocks) for part in self._parts})
            )
        return self._gradients

    @property
    def final_states(self) -> tuple[np.ndarray, ...]:
        """States in which the last batch's sequences ended, (B, Z * H) a layer; read before the next run."""
        B, shards = self._last
        parts = [shard.final_states() for shard in shards]
        states = tuple(np.empty((B, part.shape[1]), self.dtype) for part in parts[0])
        for s, part in enumerate(parts):
            for state, rows in zip(states, part, strict=True):
                state[s :: len(shards)] = rows
        return states

    # -- prediction ---------------------------------------------------------------------------------------------------

    def outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Raw outputs (n, k), or for target "step" a list of (T_i, k), in the order of `X`."""
        return self._predict(X, threads, ForwardBackward.outputs)

    def final_outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> np.ndarray:
        """Return the raw outputs (n, k) at each sequence's last step, though the target is "step"."""
        outputs: np.ndarray = self._predict(X, threads, ForwardBackward.final_outputs)
        return outputs

    def states(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return the last layer's state (n, D), or for target "step" a list of (T_i, D)."""
        return self._predict(X, threads, ForwardBackward.features)

    def _predict(self, X: Sequence[np.ndarray], threads: int, read: prediction.Read) -> Any:
        self.refresh()
        return prediction.predict(self, X, threads, read)

    def refresh(self) -> None:
        """Let the output layer follow a change of the parameters; without one, no lock that a fork could find held."""
        if self._stale:
            with self._lock:
                if self._stale:
                    self.head.refresh()
                    self._stale = False

    def detached(self) -> Network:
        """Return a network of the same parameters that has states of its own, for a run beside others."""
        self.refresh()
        other = copy.copy(self)
        other._last, other._rooms = (0, []), deque(maxlen=_SHARDS)
        return other

    def release_training_memory(self) -> None:
        """Give back the memory that only training needs."""
        self._last, self.cached = (0, []), None
        self._rooms.clear()
        self._gradients.clear()
        for layer in self.layers:
            layer.release_training_memory()

    # -- workspaces ---------------------------------------------------------------------------------------------------

    def acquire(self, batch: Batch) -> ForwardBackward:
        """Lend a workspace to a run over `batch`."""
        try:
            room = self._rooms.pop()
        except IndexError:
            room = Workspace(self.levels, self.dtype)
        return ForwardBackward(self, batch, room)

    def release(self, shards: list[ForwardBackward]) -> None:
        """Take the workspaces back, as many as training uses; a crowd of threads may have had more."""
        self._rooms.extend(shard.room for shard in reversed(shards))


class Gradient(NamedTuple):
    """A flat gradient and where each layer's part of it is."""

    vector: np.ndarray
    layers: dict[str, Any]
