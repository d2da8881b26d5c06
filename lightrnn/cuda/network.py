"""A network on a GPU: the methods of `Network` over the same parameters."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from ..losses import Loss, make_loss
from ..nn.batches import Batch
from ..nn.groups import group_sequences, largest_batch, original_order
from ..nn.memory import SHARE, batch_bytes
from ..nn.network import Network
from ..nn.solvers import Outcome, Solver
from ..utils.indexing import take
from ..utils.tables import counted
from . import driver
from .blank_batch import blank_batch
from .context import Context
from .forward import CudaForward
from .forward_backward import CudaForwardBackward
from .heads import make_head
from .memory import rounded
from .program import Program, Sent
from .updates import add_update

_SHARE = 0.8  # of the free memory that may be filled with sequences; a batch needs the rest
_ROWS = 1 << 16  # rows that are predicted at once
_ON_CPU = "Predict on the CPU, which reads long sequences in pieces: set_params(device='cpu')"


def _on_its_gpu(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method run with the network's GPU as the thread's current one."""

    @wraps(method)
    def on_gpu(network: CudaNetwork, *arguments: Any, **options: Any) -> Any:
        with driver.current(network.context.number):
            return method(network, *arguments, **options)

    return on_gpu


class CudaNetwork:
    """A network on a GPU, where its newest parameters are until `finish` fetches them.

    Parameters
    ----------
    host : Network
        Network on the CPU with the same parameters.
    number : int
        Number of the GPU.

    Attributes
    ----------
    device : str
        "cuda:0" or another.
    available : float
        Bytes of the GPU's memory that are free; a batch that needs much of them is run in segments.

    Raises
    ------
    RuntimeError
        If the GPU cannot be used; see `driver.open_device`. Methods raise it if the GPU's memory
        does not suffice.
    """

    steps_in_flight = 1  # a step is prepared and sent while the GPU computes the one before

    def __init__(self, host: Network, number: int) -> None:
        self.host = host
        self.device = f"cuda:{number}"
        self.context = Context.of(host, number)
        self.memory = self.context.memory
        self.layout = self.context.addresses.layout
        with driver.current(number):
            self.available = driver.memory()[0]
        self._head = make_head(host.head)
        self._solver: Solver | None = None
        self._last: CudaForward | None = None
        self._sent = False  # whether the GPU has the parameters
        self._moments_sent = False
        self._newer = False  # whether the GPU has newer parameters than the host
        self._outcomes = self._make_outcomes()

    @_on_its_gpu
    def _make_outcomes(self) -> list[tuple[np.ndarray, Any]]:
        """Make for each step in flight an array for its loss and squared norm, and an event."""
        return [
            (driver.pinned(2, self.host.dtype), driver.cuda().event())
            for _ in range(1 + self.steps_in_flight)
        ]

    def __getattr__(self, name: str) -> Any:
        """Everything else is the host's."""
        return getattr(self.host, name)

    @property
    def cached(self) -> Any:
        """Sequences that are on the GPU and the address of the first, or None."""
        return self.context.cached

    # -- parameters --------------------------------------------------------------------------------

    @property
    @_on_its_gpu
    def parameters(self) -> np.ndarray:
        """The host's flat vector, brought up to date; the caller may change it."""
        self._pull()
        self._sent = False
        return self.host.parameters

    @property
    @_on_its_gpu
    def gradient(self) -> np.ndarray:
        """The gradient in the host's layout."""
        vector = self.memory.floats.fetch(self.context.addresses.gradient, self.layout.size)
        return self.host.flatten(self.layout.arrays(vector))

    def _pull(self) -> None:
        """Fetch newer parameters to the host."""
        if self._newer:
            vector = self.memory.floats.fetch(self.context.addresses.start, self.layout.size)
            self.host.assign(self.layout.arrays(vector))
            self._newer = False

    def _push(self) -> None:
        """Send the host's parameters and a solver's moments to the GPU, unless they are there."""
        addresses = self.context.addresses
        if not self._sent:
            vector = self.layout.flatten(self.host.arrays())
            self.memory.floats.send((addresses.start, [vector]))
            self._sent = True
        if self._solver is not None and not self._moments_sent:
            state = self._solver.state
            named = [self.host.named(state[moment]) for moment in self._solver.moments]
            self.memory.floats.send((addresses.moments, list(map(self.layout.flatten, named))))
            self._moments_sent = True

    @_on_its_gpu
    def finish(self) -> None:
        """Fetch parameters and moments to the host."""
        self._pull()
        if self._solver is not None and self._moments_sent:
            addresses = self.context.addresses
            for i, moment in enumerate(self._solver.moments):
                address = addresses.moments + i * addresses.stride
                vector = self.memory.floats.fetch(address, self.layout.size)
                self._solver.state[moment][:] = self.host.flatten(self.layout.arrays(vector))

    @_on_its_gpu
    def close(self) -> None:
        """Give the GPU's memory back."""
        self._last = None
        self.memory.free()

    @_on_its_gpu
    def cache_sequences(
        self, items: Sequence[np.ndarray], lengths: np.ndarray, batch_size: int
    ) -> None:
        """Send all sequences to the GPU, to stay there, if they and a batch's arrays fit."""
        if self.cached is not None and self.cached[0] is items:
            return
        self.host.check_sequences(items, lengths)
        if self.host.embedding is not None:
            self.host.embedding.joined(items)
        floats = self.memory.floats
        ints = self.memory.ints
        tokens = self.host.embedding is not None
        store = ints if tokens else floats
        start = 0 if tokens else self.context.addresses.end
        columns = 1 if tokens else items[0].shape[1]
        end = start + rounded(int(lengths.sum()) * columns)
        store.kept = end
        self.context.cached = items, start
        try:
            needed = self._program(*largest_batch(lengths, batch_size)).sizes
            if self.memory.bytes_for(*needed) > driver.memory()[0] * _SHARE:
                raise MemoryError
            floats.reserve(needed[0])
            ints.reserve(needed[1])
            store.send_rows(start, items, self.host.as_inputs)
        except MemoryError:  # the sequences of each minibatch are then sent with it
            store.kept = start
            self.context.cached = None

    # -- running -----------------------------------------------------------------------------------

    @_on_its_gpu
    def batch_bytes(self, batch_size: int, steps: int, available: float | None = None) -> float:
        """Return the GPU's memory that training takes for such a batch alone."""
        return self._program(batch_size, steps, available).bytes

    def _program(self, batch_size: int, steps: int, available: float | None = None) -> Program:
        """Return the program of such a batch, which nobody runs."""
        blank = blank_batch(self.host, batch_size, steps)
        run, _ = self._prepare(blank, make_loss("softmax"), available=available)
        return run.program

    def _fitting(self, run: CudaForward, free: float) -> str:
        """Return the remedy for a batch that does not fit: a batch size that would."""
        B = run.B

        def bytes_for(size: int) -> int:
            return self.memory.bytes_for(*self._program(size, run.index.n * size // B).sizes)

        fitting = bisect_right(range(1, B), free, key=bytes_for)
        if fitting:
            return f"batch_size={fitting} would fit"
        return (
            "Not even one sequence fits: lower hidden_layer_sizes, set truncate, or use "
            "device='cpu'"
        )

    def _run(self, run: CudaForward, remedy: str = "") -> None:
        """Begin a program, after the parameters were sent; the remedy is for too little memory."""
        floats, ints = run.program.sizes
        needed = self.memory.bytes_for(floats, ints)
        try:
            # There must be an array before the parameters can be sent to it.
            self.memory.floats.reserve(floats)
            self._push()
            run.program.run()
        except MemoryError as error:
            free = driver.memory()[0] + self.memory.bytes_held
            raise RuntimeError(
                f"device={self.device!r} must have {needed / 2**20:,.1f} MiB of memory free for "
                f"{counted(run.B, 'sequence')}, got {free / 2**20:,.1f} MiB. "
                f"{remedy or self._fitting(run, free)}."
            ) from error

    def _prepare(
        self,
        batch: Batch,
        loss: Loss,
        more: dict[str, np.ndarray] | None = None,
        *,
        learn: bool = True,
        available: float | None = None,
    ) -> tuple[CudaForwardBackward, dict[str, Sent]]:
        """Return the program of a batch's loss and, with `learn`, gradient; and where `more` is.

        It runs in segments if in one piece it would take much of the memory that is `available`.
        """
        most = SHARE * (available or self.available)
        arrays = None
        for in_segments in (False, True):
            run = CudaForwardBackward(self.context, self.host, batch, in_segments)
            arrays = arrays or run.sends(self._head, loss)  # the same in segments
            sent = [run.program.send_all(each) for each in arrays]
            others = run.program.send_all(more or {})
            run.learn(self._head, loss, sent, learn)
            if not learn or len(run.parts) == 1 or run.program.bytes <= most:
                break
        return run, others

    @_on_its_gpu
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
        if self._solver is not solver:
            self._solver = solver
            self._moments_sent = False
        limit = math.inf if clip_norm is None else clip_norm
        rule = np.array([limit, *solver.advance(rate)])
        run, more = self._prepare(batch, loss, {"rule": rule})
        add_update(run.program, solver.name, more["rule"])
        self._run(run)
        self._last = run
        self._newer = True
        # The other array may still wait for the step before.
        self._outcomes = self._outcomes[::-1]
        pinned, arrived = self._outcomes[0]
        stream = self.memory.streams.runs
        results = self.context.addresses.results
        driver.copy_to_host(pinned, self.memory.floats.array, results, stream)
        arrived.record(stream)

        def outcome() -> tuple[float, float]:
            with driver.current(self.context.number):
                arrived.synchronize()
            value, square = pinned.tolist()
            return value, math.sqrt(square) if square >= 0 else square

        return outcome

    @_on_its_gpu
    def loss_and_gradient(self, batch: Batch, loss: Loss, threads: int = 1) -> float:
        """Return the loss of a batch and leave its gradient in `gradient`."""
        self._last, _ = self._prepare(batch, loss)
        self._run(self._last)
        return float(self.memory.floats.fetch(self.context.addresses.results, 1)[0])

    def detached(self) -> CudaNetwork:
        """Return itself, whose states are nobody else's."""
        return self

    @_on_its_gpu
    def run(self, batch: Batch) -> None:
        """Advance `final_states` to the batch's end."""
        self._last = run = CudaForward(self.context, self.host, batch)
        run.forward()
        self._run(run)

    @_on_its_gpu
    def score(self, batch: Batch) -> float:
        """Return the batch's mean cross-entropy, and advance `final_states` to its end."""
        self._last, _ = self._prepare(batch, make_loss("softmax"), learn=False)
        self._run(self._last)
        return float(self.memory.floats.fetch(self.context.addresses.results, 1)[0])

    # -- states ------------------------------------------------------------------------------------

    def zero_states(self) -> tuple[np.ndarray, ...]:
        """Return the initial state of each layer and direction, (Z * H,)."""
        layers = [layer for level in self.host.levels for layer in level]
        sizes = [len(layer.cell.states) * layer.units for layer in layers]  # Z * H
        return tuple(np.zeros(size, self.host.dtype) for size in sizes)

    @property
    @_on_its_gpu
    def final_states(self) -> tuple[np.ndarray, ...]:
        """Final states of the last batch's sequences, (B, Z * H) for each layer and direction.

        They must be read before the next batch is run.
        """
        run: Any = self._last
        fetch = self.memory.floats.fetch
        return tuple(
            fetch(states.address, run.B * states.stride).reshape(-1, states.stride)
            for states in run.final_states
        )

    # -- prediction --------------------------------------------------------------------------------

    def outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return raw outputs (n, k), or a list of (T_i, k) for target "step"."""
        return self._predict(
            X, lambda run: self._head.outputs(run.program, run.features, run.count)
        )

    def final_outputs(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return the raw outputs (n, k) at the last steps, for target "step", too."""
        return self._predict(
            X,
            lambda run: self._head.outputs(run.program, run.final_features(), run.B),
            step=False,
        )

    def states(self, X: Sequence[np.ndarray], threads: int = 1) -> Any:
        """Return the last layer's state (n, D), or for target "step" a list of (T_i, D)."""
        return self._predict(X, CudaForward.read_features)

    @_on_its_gpu
    def _predict(
        self,
        X: Sequence[np.ndarray],
        read: Callable[[CudaForward], Any],
        step: bool | None = None,
    ) -> Any:
        """Run forward over groups of sequences and read each group, in the order of `X`."""
        order: list[np.ndarray] = []
        parts: list[np.ndarray] = []
        step = self.host.target == "step" if step is None else step
        # At most half of the free memory is filled: no step takes more than one that is alone.
        most = int(max(1, min(_ROWS, driver.memory()[0] // (2 * batch_bytes(self.host, 1, 1)))))
        for group in group_sequences(np.fromiter(map(len, X), np.int64, len(X)), most):
            batch = Batch.of_inputs([X[i] for i in group])
            run = CudaForward(self.context, self.host, batch)
            run.forward()
            fetch = read(run)
            self._run(run, _ON_CPU)
            values = fetch()
            order.append(group[batch.order])
            parts += run.index.packing.by_sequence(values) if step else [values]
        return take(parts if step else np.concatenate(parts), original_order(order))
