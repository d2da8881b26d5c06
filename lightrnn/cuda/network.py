"""A network's twin on a GPU: the same methods over the same parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from ..losses import Loss, make_loss
from ..nn.batches import Batch, group_sequences, original_order
from ..nn.layers import Layer
from ..nn.network import Network
from ..nn.solvers import Outcome, Solver
from ..utils.indexing import take
from . import driver, reductions, updates
from .forward_backward import CudaForwardBackward
from .heads import Sends, make_head
from .memory import Memory, Program, rounded
from .parameters import Places
from .recurrence.tiling import Regime, choose

RESULTS = 0  # place of the loss and the squared norm of the gradient
_SHARE = 0.8  # of the free memory that may be filled with sequences
_ROWS = 1 << 16  # rows that are predicted at once
_PARTS = 256  # of a sum over many numbers, at most


def _there(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a twin's method run with its GPU as the thread's current one, whatever that was before."""

    @wraps(method)
    def on_gpu(twin: CudaNetwork, *arguments: Any, **options: Any) -> Any:
        with driver.current(twin.number):
            return method(twin, *arguments, **options)

    return on_gpu


class CudaNetwork:
    """What a network can do, done by a GPU; until it is closed, the parameters are there.

    Parameters
    ----------
    host : Network
        Whose parameters are used, and changed by `finish`.
    number : int
        Which GPU.

    Attributes
    ----------
    device : str
        "cuda:0" or another.

    Raises
    ------
    RuntimeError
        If the GPU cannot be used; see `driver.open_device`. The methods: if its memory does not suffice.
    """

    steps_in_flight = 1  # a step is prepared and sent while the GPU computes the one before

    def __init__(self, host: Network, number: int) -> None:
        self.host, self.limits, self.device = host, driver.open_device(number), f"cuda:{number}"
        self.number, self.dtype_name = number, host.dtype.name
        self.memory, self.threads = Memory(host.dtype, driver.streams(number)), driver.THREADS
        self.addresses = Places(host)
        self.layout, self.memory.floats.kept = self.addresses.layout, self.addresses.end
        self.cached: Any = None  # the sequences that are on the GPU, and where they begin
        self._head = make_head(self)
        self._solver: Solver | None = None
        self._last: CudaForwardBackward | None = None
        self._sent = False  # whether the GPU has the parameters
        self._moments_sent = False
        self._newer = False  # whether it has newer ones than the host
        self._outcomes = self._make_outcomes()

    @_there
    def _make_outcomes(self) -> list[tuple[np.ndarray, Any]]:
        """Make the places where a step's loss and squared norm arrive, and what tells when, one for each step begun."""
        return [
            (driver.pinned(2, self.host.dtype), driver.cuda().event())
            for _ in range(1 + self.steps_in_flight)
        ]

    def __getattr__(self, name: str) -> Any:
        """Everything else is the host's."""
        return getattr(self.host, name)

    # -- layers -------------------------------------------------------------------------------------------------------

    @property
    def tied(self) -> bool:
        """Whether the head has the embedding's matrix."""
        return self.host.head.layer.tied

    def regime(self, layer: Layer, B: int, *, back: bool) -> Regime:
        """Choose how a layer's loop is cut."""
        return choose(layer.cell, layer.units, B, self.host.dtype.itemsize, self.limits, back=back)

    def spans(self, cut: Regime, T: int, back: bool) -> Sequence[tuple[int, int]]:
        """Return the steps of each launch: all; but one, where blocks would wait that the simulator runs in turn."""
        if cut.blocks == 1 or not driver.SIMULATED:
            return [(0, T)]
        steps = [(t, t + 1) for t in range(T)]
        return steps[::-1] if back else steps

    # -- parameters ---------------------------------------------------------------------------------------------------

    @property
    @_there
    def parameters(self) -> np.ndarray:
        """The host's flat vector, brought up to date; whoever holds it may change it."""
        self._pull()
        self._sent = False
        return self.host.parameters

    @property
    @_there
    def gradient(self) -> np.ndarray:
        """The gradient in the host's layout."""
        vector = self.memory.floats.fetch(self.addresses.gradient, self.layout.size)
        return self.host.flatten(self.layout.arrays(vector))

    def _pull(self) -> None:
        """Bring newer parameters to the host."""
        if self._newer:
            vector = self.memory.floats.fetch(self.addresses.start, self.layout.size)
            self.host.assign(self.layout.arrays(vector))
            self._newer = False

    def _push(self) -> None:
        """Bring the host's parameters, and a solver's moments, to the GPU, unless it has them."""
        if not self._sent:
            self.memory.floats.send(
                (self.addresses.start, [self.layout.flatten(self.host.arrays())])
            )
            self._sent = True
        if self._solver is not None and not self._moments_sent:
            state, named = self._solver.state, self.host.named
            vectors = [self.layout.flatten(named(state[moment])) for moment in self._solver.moments]
            self.memory.floats.send((self.addresses.moments, vectors))
            self._moments_sent = True

    def _adopt(self, solver: Solver) -> None:
        """Take over a solver's moments."""
        if self._solver is not solver:
            self._solver, self._moments_sent = solver, False

    @_there
    def finish(self) -> None:
        """Bring parameters and moments to the host."""
        self._pull()
        if self._solver is not None and self._moments_sent:
            for i, moment in enumerate(self._solver.moments):
                vector = self.memory.floats.fetch(
                    self.addresses.moments + i * self.addresses.apart, self.layout.size
                )
                self._solver.state[moment][:] = self.host.flatten(self.layout.arrays(vector))

    @_there
    def close(self) -> None:
        """Give the GPU's memory back."""
        self._last = None
        self.memory.free()

    @_there
    def cache_sequences(
        self, items: Sequence[np.ndarray], lengths: np.ndarray, batch_size: int
    ) -> None:
        """Send all sequences to the GPU, to stay there, if they and what a batch needs fit."""
        if self.cached is not None and self.cached[0] is items:
            return
        tokens, steps, B = (
            self.host.embedding is not None,
            int(lengths.sum()),
            min(batch_size, len(items)),
        )
        store, start = (self.memory.ints, 0) if tokens else (self.memory.floats, self.addresses.end)
        size = rounded(steps) if tokens else rounded(steps * items[0].shape[1])
        room = self.host.bytes_needed(B, int(lengths.max())) // self.host.dtype.itemsize
        if (
            start + size
        ) * store.dtype.itemsize + room * self.host.dtype.itemsize > driver.memory()[0] * _SHARE:
            return
        store.kept = start + size
        try:
            self.memory.floats.reserve(self.memory.floats.kept + room)
            self.memory.ints.reserve(self.memory.ints.kept + 8 * B * int(lengths.max()))
            store.send_rows(start, items)
        except MemoryError:  # each minibatch is sent, then
            store.kept = start
            return
        self.cached = items, start

    # -- running ------------------------------------------------------------------------------------------------------

    def _too_much(self, needed: int, free: float, B: int) -> str:
        """Say what does not fit, and what would."""
        fixed = self.memory.floats.kept * self.host.dtype.itemsize
        fitting = int(B * (free - fixed) / max(1, needed - fixed))
        remedy = (
            f"batch_size={fitting} would fit"
            if fitting > 0
            else "Not even one sequence fits: lower hidden_layer_sizes, set truncate, or use device='cpu'"
        )
        return (
            f"device={self.device!r} must have {needed / 2**20:,.1f} MiB of memory free for {B} sequences, got "
            f"{free / 2**20:,.1f} MiB. {remedy}."
        )

    def _run(self, run: CudaForwardBackward) -> None:
        """Begin what a pass does."""
        floats, ints = run.program.sizes
        needed = self.memory.bytes_for(floats, ints)
        try:
            self.memory.floats.reserve(floats)
            self._push()
            run.program.run()
        except MemoryError as error:
            free = driver.memory()[0] + self.memory.bytes_held
            raise RuntimeError(self._too_much(needed, free, run.B)) from error

    def total(
        self, program: Program, source: int, size: int, result: int, *, squared: bool = False
    ) -> None:
        """Sum numbers, or their squares, to one of the results."""
        part = max(4 * self.threads, -(-size // _PARTS))
        parts = -(-size // part)
        with program.scratch():
            partial = program.room(parts)
            first, second = (reductions.total(self.dtype_name, flag) for flag in (squared, False))
            program.blocks(
                first, parts, self.threads, source, size, part, partial, shared=self.threads
            )
            program.blocks(
                second,
                1,
                self.threads,
                partial,
                parts,
                parts,
                RESULTS + result,
                shared=self.threads,
            )

    def _learning(self, batch: Batch, loss: Loss, more: Sends) -> CudaForwardBackward:
        """Make the pass that computes a batch's loss and gradient."""
        run = CudaForwardBackward(
            self, batch, lambda rows: self._head.sends(loss, *self._wanted(batch, rows)) | more
        )
        run.forward()
        run.backward(self._head.learn(run, loss, run.count))
        return run

    def _wanted(self, batch: Batch, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and weights in the order of the outputs' rows; the weights' sum over the batch is 1."""
        targets, weights = batch.targets, batch.weights
        if self.host.target == "step":
            targets, weights = rows.by_step(targets), rows.by_step(weights)
        return targets, weights / batch.weight

    @_there
    def learn(
        self,
        batch: Batch,
        loss: Loss,
        solver: Solver,
        rate: float,
        clip_norm: float | None,
        threads: int = 1,
    ) -> Outcome:
        """Begin a step of a solver; see `Network.learn`."""
        self._adopt(solver)
        limit = math.inf if clip_norm is None else clip_norm
        run = self._learning(batch, loss, {"rule": np.array([limit, *solver.advance(rate)])})
        name, size, program = self.dtype_name, self.layout.size, run.program
        at = self.addresses
        self.total(program, at.gradient, size, 1, squared=True)
        arguments = at.start, at.gradient, size, at.moments, at.apart, RESULTS, run.sent["rule"]
        program.over(updates.update(solver.name, name), size, *arguments)
        self._run(run)
        self._last, self._newer = run, True
        self._outcomes = self._outcomes[::-1]
        pinned, there = self._outcomes[0]
        driver.fetch(pinned, self.memory.floats.array, RESULTS, self.memory.streams.runs)
        there.record(self.memory.streams.runs)

        def outcome() -> tuple[float, float]:
            with driver.current(self.number):
                there.synchronize()
            value, square = pinned.tolist()
            return value, math.sqrt(square) if square >= 0 else square

        return outcome

    @_there
    def loss_and_gradient(self, batch: Batch, loss: Loss, threads: int = 1) -> float:
        """Return the loss of a batch and leave its gradient in `gradient`; see `Network.loss_and_gradient`."""
        self._last = run = self._learning(batch, loss, {})
        self._run(run)
        return float(self.memory.floats.fetch(RESULTS, 1)[0])

    def detached(self) -> CudaNetwork:
        """Return itself, whose states are nobody else's."""
        return self

    @_there
    def run(self, batch: Batch) -> None:
        """Bring `final_states` to the batch's end."""
        self._last = run = CudaForwardBackward(self, batch)
        run.forward()
        self._run(run)

    @_there
    def score(self, batch: Batch) -> float:
        """Return the batch's mean cross-entropy, and bring `final_states` to its end."""
        loss = make_loss("softmax")
        self._last = run = CudaForwardBackward(
            self, batch, lambda rows: self._head.sends(loss, *self._wanted(batch, rows))
        )
        run.forward()
        self._head.learn(run, loss, run.count, learn=False)
        self._run(run)
        return float(self.memory.floats.fetch(RESULTS, 1)[0])

    # -- states -------------------------------------------------------------------------------------------------------

    def zero_states(self) -> tuple[np.ndarray, ...]:
        """Return the state of rest of each layer and direction, (Z * H,)."""
        layers = (layer for level in self.host.levels for layer in level)
        return tuple(
            np.zeros(len(layer.cell.states) * layer.units, self.host.dtype) for layer in layers
        )

    @property
    @_there
    def final_states(self) -> tuple[np.ndarray, ...]:
        """States in which the last batch's sequences ended, (B, Z * H) a layer; read before the next run."""
        run: Any = self._last
        fetch = self.memory.floats.fetch
        return tuple(
            fetch(place, run.B * columns).reshape(-1, columns) for place, columns in run.finals
        )

    # -- prediction ---------------------------------------------------------------------------------------------------

    def outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Raw outputs (n, k), or for target "step" a list of (T_i, k), in the order of `X`."""
        return self._predict(X, lambda run: self._head.outputs(run, run.features, run.count))

    def final_outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return the raw outputs (n, k) at each sequence's last step, though the target is "step"."""
        return self._predict(
            X, lambda run: self._head.outputs(run, run.final_features(), run.B), step=False
        )

    def states(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return the last layer's state (n, D), or for target "step" a list of (T_i, D)."""
        return self._predict(X, CudaForwardBackward.read_features)

    @_there
    def _predict(
        self,
        X: Sequence[np.ndarray],
        read: Callable[[CudaForwardBackward], Any],
        step: bool | None = None,
    ) -> Any:
        """Run forward over groups of sequences and read what is wanted of each, in the order of `X`."""
        order: list[np.ndarray] = []
        parts: list[np.ndarray] = []
        step = self.host.target == "step" if step is None else step
        per_row = self.host.bytes_needed(1, 2) - self.host.bytes_needed(1, 1)
        most = int(max(1, min(_ROWS, driver.memory()[0] // (2 * per_row))))
        for group in group_sequences(np.fromiter(map(len, X), np.int64, len(X)), most):
            batch = Batch.of_inputs([X[i] for i in group])
            run = CudaForwardBackward(self, batch)
            run.forward()
            fetch = read(run)
            self._run(run)
            values = fetch()
            order.append(group[batch.order])
            parts += run.rows.by_sequence(values) if step else [values]
        return take(parts if step else np.concatenate(parts), original_order(order))
