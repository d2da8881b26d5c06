"""A network whose gradients are computed where the sequences are."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..losses import Loss
from ..nn.batches import Batch
from ..nn.network import Network
from ..utils.indexing import take
from .sequences import Span, SpanRows
from .sums import total

if TYPE_CHECKING:
    from .replicas import Replicas


class DistributedNetwork(Network):
    """A network that asks replicas for gradients, and for outputs of the sequences they hold.

    Parameters and the solver's step stay here. Sequences that are arrays are computed here too.
    """

    replicas: Replicas
    _carries: bool
    _states: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, network: Network, replicas: Replicas, carries: bool) -> DistributedNetwork:
        """Return a network, with the same parameters in memory, that works by replicas.

        With `carries` the states in which a chunk of a minibatch ends are fetched for the next one.
        """
        other = object.__new__(cls)
        vars(other).update(vars(network), replicas=replicas, _carries=carries, _states=())
        return other

    def local(self) -> Network:
        """Return the network, with the same parameters in memory, that works by itself."""
        network = copy.copy(self)
        network.__class__ = Network  # type: ignore[assignment]
        for name in ("replicas", "_carries", "_states"):
            del vars(network)[name]
        return network

    # -- training ---------------------------------------------------------------------------------

    def cache_sequences(
        self, items: Sequence[np.ndarray], lengths: np.ndarray, batch_size: int
    ) -> None:
        """Do nothing: the replicas keep the sequences."""

    def loss_and_gradient(self, batch: Batch, loss: Loss, threads: int = 1) -> float:
        """Return the mean loss of a minibatch and set `gradient`; see `Network`."""
        members = _members(batch.X)
        parts = self.replicas.gather(
            "gradient",
            {number: _share(batch, rows) for number, rows in members.items()},
            self.parameters,
            loss,
            (self.replicas.n_partitions, frozenset(members)),
            self._carries,
        )
        terms = {node: term for part, _ in parts for node, term in part.items()}
        value, gradient = total(terms, 0, self.replicas.n_partitions)
        self.gradient[:] = gradient
        if self._carries:
            states = {number: rows for _, part in parts for number, rows in part.items()}
            self._states = _arranged(states, members)
        return float(value)

    def run(self, batch: Batch) -> None:
        """Run over a batch, so that `final_states` are those of its ends."""
        if not isinstance(batch.X[0], Span):
            super().run(batch)
            return
        members = _members(batch.X)
        shares = {number: _share(batch, rows) for number, rows in members.items()}
        self._states = _arranged(self.replicas.call("run", shares, self.parameters), members)

    def _run(self, batch: Batch, read: Any) -> Any:
        result = super()._run(batch, read)
        self._states = super().final_states
        return result

    @property
    def final_states(self) -> tuple[np.ndarray, ...]:
        """States (B, Z * H) in which the last batch's sequences ended."""
        return self._states

    # -- prediction -------------------------------------------------------------------------------

    def outputs(self, X: Sequence[Any], threads: int = 1) -> Any:
        """Return raw outputs (n, k), or for target "step" a list of (T_i, k), in the order of X."""
        if not isinstance(X[0], Span):
            return super().outputs(X, threads)
        members = _members(X)
        spans = {number: SpanRows.of([X[i] for i in rows]) for number, rows in members.items()}
        found = self.replicas.call("outputs", spans, self.parameters, "outputs")
        order = np.argsort(np.concatenate([members[number] for number in found]))
        if self.target == "step":
            return take([steps for part in found.values() for steps in part], order)
        return np.concatenate(list(found.values()))[order]


def _members(X: Sequence[Any]) -> dict[int, np.ndarray]:
    """Return by partition the positions of its spans in X, partitions in ascending order."""
    partitions = np.fromiter((span.partition for span in X), np.int64, len(X))
    order = np.argsort(partitions, kind="stable")
    numbers, starts = np.unique(partitions[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))


def _share(batch: Batch, rows: np.ndarray) -> Batch:
    """Return the part of a batch that one partition holds, with `SpanRows` in the place of X."""
    some: Any = SpanRows.of([batch.X[i] for i in rows.tolist()])
    targets = batch.targets
    return replace(
        batch,
        X=some,
        lengths=batch.lengths[rows],
        order=None,
        # Those of texts are spans, too: their next tokens, which the partition has.
        targets=None if targets is None or isinstance(targets[0], Span) else take(targets, rows),
        weights=None if targets is None else take(batch.weights, rows),
        masks=tuple(mask[rows] for mask in batch.masks),
        states=tuple(state[rows] for state in batch.states),
        offsets=None,
    )


def _arranged(
    states: dict[int, tuple[np.ndarray, ...]], members: dict[int, np.ndarray]
) -> tuple[np.ndarray, ...]:
    """Return the states of all partitions in the order of the batch."""
    order = np.argsort(np.concatenate([members[number] for number in states]))
    return tuple(np.concatenate(parts)[order] for parts in zip(*states.values(), strict=True))
