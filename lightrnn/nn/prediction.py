"""Predictions of any number of sequences, some at a time: only what was asked for is kept of all.

Sequences are run in groups of up to `_ROWS` steps. A longer one goes piece by piece, the state carried from one to the
next, unless it is read from both ends. Neither changes a bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import cpu
from ..utils.indexing import take
from .batches import Batch, longest_first
from .forward_backward import ForwardBackward

if TYPE_CHECKING:
    from .network import Network

_ROWS = 4096  # rows that are predicted at once
Read = Callable[[ForwardBackward], Any]


def predict(network: Network, X: Sequence[np.ndarray], threads: int, read: Read) -> Any:
    """Run forward and read what is asked for, in the order of `X`.

    Parameters
    ----------
    network : Network
        What predicts.
    X : sequence of ndarray (T_i, F), or of codes (T_i,)
        Sequences.
    threads : int
        Most threads to use.
    read : callable
        Method of a `ForwardBackward` that gives an array of one row, or a list of one item, a sequence.
    """
    if len(X) == 1:
        return _group(network, list(X), read)
    groups = grouped(np.fromiter(map(len, X), np.int64, len(X)), _ROWS)
    parts = cpu.threads.run(
        [partial(_group, network, [X[i] for i in group], read) for group in groups], threads
    )
    rows = (
        [row for part in parts for row in part]
        if isinstance(parts[0], list)
        else np.concatenate(parts)
    )
    return take(rows, regrouped(groups))


def grouped(lengths: np.ndarray, rows: int) -> list[np.ndarray]:
    """Cut sequences, longest first, into groups of about so many steps at most, and of about equally many."""
    order, total = longest_first(lengths), int(lengths.sum())
    share = -(-total // -(-total // rows))
    groups, start = [], 0
    while start < len(order):
        count = -(-share // int(lengths[order[start]]))
        groups.append(order[start : start + count])
        start += count
    return groups


def regrouped(groups: list[np.ndarray]) -> np.ndarray:
    """Return where in the groups, one after another, each sequence stands."""
    return np.argsort(np.concatenate(groups))


def _group(network: Network, X: list[np.ndarray], read: Read) -> Any:
    """Predict one group."""
    batch = Batch.of_inputs(X)
    if batch.lengths[0] > _ROWS and all(len(level) == 1 for level in network.levels):
        return _pieces(network, X[0], read)
    result, _ = _run(network, batch, read)
    if len(X) == 1:
        return result
    return take(result, np.argsort(batch.order))


def _run(
    network: Network, batch: Batch, read: Read, *, carry: bool = False
) -> tuple[Any, tuple[np.ndarray, ...]]:
    """Run over a batch; return what was read, and with `carry` the states in which its sequences end."""
    shard = network.acquire(batch)
    shard.forward()
    result, states = read(shard), tuple(shard.final_states()) if carry else ()
    if (
        len(shard.batch.X) * int(batch.lengths[0]) <= 2 * _ROWS
    ):  # the workspace of an unusually long run is not kept
        network.release([shard])
    return result, states


def _pieces(network: Network, x: np.ndarray, read: Read) -> Any:
    """Predict one long sequence, piece by piece."""
    by_step: list[np.ndarray] = []
    states: tuple[np.ndarray, ...] = ()
    for piece, before in _cut(x, 0 if network.recurrent else network.window - 1):
        result, states = _run(
            network, replace(Batch.of_inputs([piece]), states=states), read, carry=network.recurrent
        )
        if isinstance(result, list):
            by_step.append(result[0][before:])
    return [np.concatenate(by_step)] if by_step else result


def _cut(x: np.ndarray, window: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yield the pieces of a sequence, each with so many steps before it as a window sees, and their number."""
    for start in range(0, len(x), _ROWS):
        first = max(0, start - window)
        yield x[first : start + _ROWS], start - first
