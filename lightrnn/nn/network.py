"""A network on the CPU: outputs, and the loss with its gradient.

Training cuts a batch into shards, each of which runs all layers forward and back by itself, on a
thread of its own where there are several. Prediction cuts sequences into groups, and a long
sequence into pieces. How all this is cut depends on the work alone, and the shards' gradients are
added in a fixed order, so that the number of threads changes no bit.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..losses import Loss
from ..utils.indexing import take
from . import memory
from .batches import Batch
from .checkpoints import CheckpointedRun
from .directions import BidirectionalRun
from .forward_backward import ForwardBackward
from .groups import group_sequences, original_order, pieces
from .stack import Stack
from .workspace import Workspace

if TYPE_CHECKING:
    from .solvers import Outcome, Solver

Read = Callable[[ForwardBackward], Any]
Run = ForwardBackward | CheckpointedRun | BidirectionalRun
Gradient = tuple[np.ndarray, dict[str, Any]]  # flat, and each layer's part of it

# A batch is cut in two from this many FLOP on, and into more shards of at least _WORTH_MORE FLOP
# each. A shard costs some Python, which a second thread must win back: at 61 MFLOP (JapaneseVowels
# in minibatches) it just does on a Xeon, and more than that on slower cores.
_WORTH_TWO = 50e6
_WORTH_MORE = 240e6
_SHARDS = 8
# Every shard reads all parameters and writes a gradient of its own. From _MEDIUM parameters on a
# shard has 16 sequences instead of 8, so that they are read less often; from _LARGE on there are at
# most two shards: more would cost more memory traffic than the threads win.
_MEDIUM = 200_000
_LARGE = 1_000_000
# Bytes of sequences of which training keeps a concatenated copy, from which minibatches are packed
# in one copy instead of two.
_CACHED_BYTES = 1 << 26
# Rows that are predicted at once: many enough for Python to cost little, few enough for the cache.
# Of 512 sequences of 100 steps, half as many are 2 to 6 % faster than twice as many.
_PREDICTED_ROWS = 4096


class Network(Stack):
    """A stack of layers that learns and predicts; `Stack` describes the parameters.

    Attributes
    ----------
    device : str
        Where it computes: "cpu".
    available : float
        Bytes of memory that are free. A batch that would take more than a quarter of them is run
        in segments.
    threads : int
        Most threads that training is going to use: so many shards take memory at once.
    steps_in_flight : int
        How many training steps to begin before the outcome of the first one is awaited.
    cached : (sequence of ndarray, ndarray) or None
        The sequences that are learned from, and the same concatenated, a row of zeros before them.
    """

    device = "cpu"
    steps_in_flight = 0

    def __init__(
        self,
        cell: str,
        n_features: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        **options: Any,
    ) -> None:
        super().__init__(cell, n_features, hidden_layer_sizes, n_outputs, **options)
        self.cached: tuple[Sequence[np.ndarray], np.ndarray] | None = None
        self.most_shards = _SHARDS  # of a batch
        self.available = math.inf
        self.threads = _SHARDS
        self._gradients: list[Gradient] = []
        self._workspaces: deque[Workspace] = deque(maxlen=_SHARDS)
        # Number of sequences of the last batch, and the final states of each shard.
        self._last_states: tuple[int, Sequence[list[np.ndarray]]] = (0, [])

    def bytes_needed(self, batch_size: int, steps: int) -> int:
        """Return the memory that training takes on batches of this size and sum of lengths."""
        shards = self._shards_of(batch_size, steps)
        return int(self.batch_bytes(batch_size, steps) + memory.parameter_bytes(self, shards))

    def batch_bytes(self, batch_size: int, steps: int, available: float | None = None) -> float:
        """Return the memory that training takes for such a batch alone, where so much is there."""
        count = self._shards_of(batch_size, steps)
        sizes = batch_size, steps, count, min(count, self.threads)
        return memory.taken_bytes(self, *sizes, available or self.available)

    @cached_property
    def _row_bytes(self) -> float:  # the most that a step can take: small batches are small at once
        return memory.batch_bytes(self, 1, 1) / 2

    # -- training ----------------------------------------------------------------------------------

    def cache_sequences(
        self,
        items: Sequence[np.ndarray],
        lengths: np.ndarray,
        batch_size: int,
    ) -> None:
        """Concatenate all sequences to learn from, unless they are many, on disk or tokens."""
        if self.cached is not None and self.cached[0] is items:
            return
        self.check_sequences(items, lengths)
        self.cached = None
        shape = (int(lengths.sum()), *items[0].shape[1:])
        few = math.prod(shape) * self.dtype.itemsize <= _CACHED_BYTES
        # Memory maps, and what reads patches of them.
        on_disk = set(map(type, items)) != {np.ndarray}
        if few and not on_disk and self.embedding is None:
            joined = np.zeros((1 + shape[0], *shape[1:]), self.dtype)
            self.join(items, joined[1:])
            self.cached = items, joined

    @property
    def gradient(self) -> np.ndarray:
        """The flat gradient (size,) that `loss_and_gradient` has set."""
        return self._shard_gradients(1)[0][0]

    def loss_and_gradient(self, batch: Batch, loss: Loss, threads: int = 1) -> float:
        """Return sum(w * l) / n over the n targets of the batch that count, and set `gradient`.

        Parameters
        ----------
        batch : Batch
            Sequences with targets and weights. Its states are constants: no gradient goes through
            them.
        loss : Loss
            Loss of the outputs.
        threads : int, default=1
            Most threads to use; changes nothing but the time.

        Returns
        -------
        float
            The loss.
        """
        count = self._shard_count(batch)
        self.transpose(inputs=False)
        gradients = self._shard_gradients(count)
        make = self._run_of(batch, self.available * count / min(count, threads))
        tasks = [partial(self._train, make, batch, loss, count, s) for s in range(count)]
        losses, states = zip(*cpu.threads.run(tasks, threads), strict=True)
        # The order of these sums is fixed, so that threads change no bit.
        total, _ = gradients[0]
        for other, _ in gradients[1:count]:
            np.add(total, other, out=total)
        self._last_states = len(batch.X), states
        return sum(losses)

    def _train(
        self, make: type[Run], batch: Batch, loss: Loss, count: int, index: int
    ) -> tuple[float, list[np.ndarray]]:
        """Set the gradient of a shard; return its part of the loss and its final states."""
        # A thread runs one shard after another in the same workspace, which is in its cache then:
        # so one thread is 2 to 5 % faster than with a workspace for each shard.
        run = self.acquire(batch.shard(index, count), make)
        vector, layers = self._gradients[index]
        vector.fill(0)
        value = run.train(loss, layers)
        # Batches that follow begin with them only where each step has a target.
        states = run.final_states() if self.target == "step" else []
        self.release(run)
        return value, states

    def learn(
        self,
        batch: Batch,
        loss: Loss,
        solver: Solver,
        rate: float,
        clip_norm: float | None,
        threads: int = 1,
    ) -> Outcome:
        """Let a solver make a step, unless loss or gradient is not finite.

        Parameters
        ----------
        batch, loss, threads
            See `loss_and_gradient`.
        solver : Solver
            Solver that moves the parameters.
        rate : float
            Learning rate.
        clip_norm : float or None
            Norm to which longer gradients are scaled down.

        Returns
        -------
        Outcome
            Callable that returns the loss and the norm of the gradient.
        """
        value = self.loss_and_gradient(batch, loss, threads)
        norm = math.nan
        if math.isfinite(value):
            norm = solver.step(self.parameters, self.gradient, rate, clip_norm)
        return lambda: (value, norm)

    def run(self, batch: Batch) -> None:
        """Run over a batch, so that `final_states` are those of its ends."""
        self._run(batch, lambda shard: None)

    def score(self, batch: Batch) -> float:
        """Return the batch's mean cross-entropy; `final_states` are then those of its ends."""
        self.refresh()
        return float(self._run(batch, ForwardBackward.score))

    def _run(self, batch: Batch, read: Read) -> Any:
        """Run forward over a batch in one piece and read a result."""
        shard = self.acquire(batch)
        shard.forward(kept=False)
        result = read(shard)
        self._last_states = len(batch.X), [shard.final_states()]
        self.release(shard)
        return result

    def _run_of(self, batch: Batch, available: float) -> type[Run]:
        """Return how a batch is learned from: in one piece if there is memory for all gates."""
        B = len(batch.X)
        steps = batch.n_steps
        small = (B + steps) * self._row_bytes < available * memory.SHARE
        if small or not memory.in_segments(self, B, steps, available):
            return ForwardBackward
        return BidirectionalRun if len(self.levels[0]) > 1 else CheckpointedRun

    def _shard_count(self, batch: Batch) -> int:
        """Return the number of shards of a batch: a power of two, which threads share evenly."""
        return self._shards_of(len(batch.X), batch.n_steps)

    def _shards_of(self, B: int, steps: int) -> int:
        """Return the number of shards of a batch of B sequences and these steps in all."""
        # Forward, and back to the inputs and to the weights: two FLOP each per parameter and step.
        # A feed-forward network that is read at the end alone computes no other step.
        computed = steps if self.recurrent or self.every_step else B
        work = 6.0 * self.layout.size * computed
        if work < _WORTH_TWO:
            return 1
        most = self.most_shards
        if self.layout.size > _LARGE:
            most = 2
        elif self.layout.size > _MEDIUM:
            most = max(2, B // 16)
        count = max(1, min(most, B // 8, max(2, int(work / _WORTH_MORE))))
        return 1 << (count.bit_length() - 1)

    def _shard_gradients(self, count: int) -> list[Gradient]:
        """Return at least `count` gradients, one per shard; the first is the network's."""
        while len(self._gradients) < count:
            vector = cpu.host.aligned(1, self.layout.size, self.dtype)[0]
            blocks = self.layout.blocks(vector)
            layers = {part.name: part.parts(blocks) for part in self.parts}
            self._gradients.append((vector, layers))
        return self._gradients

    @property
    def final_states(self) -> tuple[np.ndarray, ...]:
        """States (B, Z * H) in which the last batch's sequences ended.

        After learning there are none unless each step has a target: see `run` and `score`.
        """
        B, parts = self._last_states
        states = tuple(np.empty((B, part.shape[1]), self.dtype) for part in parts[0])
        for s, part in enumerate(parts):
            for state, rows in zip(states, part, strict=True):
                # Shard s has the sequences s, s + count, s + 2 count ...: see `Batch.shard`.
                state[s :: len(parts)] = rows
        return states

    # -- prediction --------------------------------------------------------------------------------

    def outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return raw outputs (n, k), or for target "step" a list of (T_i, k), in the order of X."""
        return self._predict(X, threads, ForwardBackward.outputs)

    def final_outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> np.ndarray:
        """Return raw outputs (n, k) at each sequence's last step, for target "step"."""
        outputs: np.ndarray = self._predict(X, threads, ForwardBackward.final_outputs)
        return outputs

    def states(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return the last layer's state (n, D), or for target "step" a list of (T_i, D)."""
        return self._predict(X, threads, ForwardBackward.features)

    def _predict(self, X: Sequence[np.ndarray], threads: int, read: Read) -> Any:
        """Run forward over any number of sequences and read results, in the order of X.

        Only the results are kept of all sequences; the bits do not depend on the groups.
        """
        self.refresh()
        if len(X) == 1 and len(X[0]):
            return self._predict_group(list(X), np.array([len(X[0])]), read)
        lengths = np.fromiter(map(len, X), np.int64, len(X))
        groups = group_sequences(lengths, _PREDICTED_ROWS, threads)
        tasks = [
            partial(self._predict_group, [X[i] for i in group.tolist()], lengths[group], read)
            for group in groups
        ]
        parts = cpu.threads.run(tasks, threads)
        if isinstance(parts[0], list):
            results: Any = [steps for part in parts for steps in part]
        else:
            results = np.concatenate(parts)
        return take(results, original_order(groups))

    def _predict_group(self, X: list[np.ndarray], lengths: np.ndarray, read: Read) -> Any:
        """Return the results of one group of sequences, longest first."""
        batch = Batch(X, lengths)
        # The first sequence of a group is the longest, and where it is that long, the only one.
        if lengths[0] > _PREDICTED_ROWS:
            if len(self.levels[0]) == 1:
                return self._predict_pieces(X[0], read)
            # A reverse direction has to see the end first: one direction runs after the other.
            return read(self.acquire(batch, BidirectionalRun).forward(kept=False))
        result, _ = self._predict_batch(batch, read, carry=False)
        return result

    def _predict_pieces(self, x: np.ndarray, read: Read) -> Any:
        """Return the result of one long sequence, piece by piece, the state carried on."""
        carry = self.recurrent or self.pooling is not None
        by_step: list[np.ndarray] = []
        states: tuple[np.ndarray, ...] = ()
        for piece, before in pieces(x, _PREDICTED_ROWS, 0 if self.recurrent else self.window - 1):
            batch = replace(Batch.of_inputs([piece]), states=states, context=before)
            result, states = self._predict_batch(batch, read, carry)
            if isinstance(result, list):
                by_step.append(result[0][before:])
        # What is read of a sequence's end is the last piece's.
        return [np.concatenate(by_step)] if by_step else result

    def _predict_batch(
        self,
        batch: Batch,
        read: Read,
        carry: bool,
    ) -> tuple[Any, tuple[np.ndarray, ...]]:
        """Return the results of a batch, and with `carry` the final states of its sequences."""
        shard = self.acquire(batch)
        shard.forward(kept=False)
        result = read(shard)
        states = tuple(shard.final_states()) if carry else ()
        # The workspace of an unusually large run is not kept.
        if len(batch.X) * int(batch.lengths[0]) <= 2 * _PREDICTED_ROWS:
            self.release(shard)
        return result, states

    # -- workspaces --------------------------------------------------------------------------------

    def acquire(self, batch: Batch, make: type[Run] = ForwardBackward) -> Any:
        """Return a run over a batch in a workspace that nobody else uses until `release`."""
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = Workspace(self.levels, self.dtype)
        return make(self, batch, workspace, self.cached and self.cached[1])

    def release(self, run: Run) -> None:
        """Take the workspace of a run back, up to the number that training uses."""
        # Prediction may have had more, one for each of a crowd of threads: the deque drops these.
        self._workspaces.append(run.workspace)

    def detached(self) -> Network:
        """Return a network of the same parameters with its own states, for another thread."""
        self.refresh()
        other = copy.copy(self)
        other._last_states = (0, [])
        other._workspaces = deque(maxlen=_SHARDS)
        return other

    def release_training_memory(self) -> None:
        """Drop the arrays that only training needs."""
        self._last_states = (0, [])
        self.cached = None
        self._workspaces.clear()
        self._gradients.clear()
        for layer in self.layers:
            layer.release_training_memory()
