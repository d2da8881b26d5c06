"""What an epoch is made of: minibatches of samples, or texts read by many at once.

A feed yields batches; what a batch learns may change the network before the next is drawn, whose initial states it has
then carried on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .batches import Batch, chunks, longest_first, taken

if TYPE_CHECKING:
    from .network import Network

BUCKET = 50  # minibatches whose sequences are sorted by length together


class Feed(Protocol):
    """What `training.train` learns from.

    Attributes
    ----------
    count, unit : int, str
        Things in an epoch, and what they are called, to show progress.
    weight : float
        Sum of an epoch's weights.
    """

    count: int
    unit: str
    weight: float

    def epoch(self, network: Network) -> Iterator[tuple[int, Batch]]:
        """Yield the batches of an epoch, each with its number, from 1."""

    def whole(self, network: Network, batch_size: int) -> Iterator[Batch]:
        """Yield everything in order, cut into batches that fit into memory."""


@dataclass(frozen=True)
class Samples:
    """Sequences with their encoded targets and weights.

    Parameters
    ----------
    items : list of ndarray (T_i, F), or of codes (T_i,)
        As the user gave them, memory maps included; a minibatch copies its own.
    lengths : ndarray of int64 (n,)
        Their numbers of steps.
    targets : ndarray (n,) or (n, k), or list of ndarray (T_i,) or (T_i, k)
        Class codes (intp) or values (float).
    weights : ndarray of float (n,), or list of ndarray (T_i,)
        Positive in sum.
    """

    items: Sequence[np.ndarray]
    lengths: np.ndarray
    targets: Any
    weights: Any

    def take(self, indices: np.ndarray) -> Samples:
        """Return the samples of some indices."""
        items, targets, weights = (taken(values, indices) for values in (self.items, self.targets, self.weights))
        return Samples(items, self.lengths[indices], targets, weights)


def minibatches(
    lengths: np.ndarray, batch_size: int, rng: np.random.Generator | None, shuffle: bool
) -> Iterator[np.ndarray]:
    """Yield the indices of each batch; over an epoch every sequence once.

    Shuffled sequences are sorted by length within buckets of some batches, cut into batches from a random one on,
    and these shuffled again: a batch has sequences of similar lengths, and each epoch has other batches, even of one
    bucket whose lengths all differ.

    Parameters
    ----------
    lengths : ndarray of int (n,)
        Steps of each sequence.
    batch_size : int
        Sequences in a batch; the last may have fewer. More than there are means all.
    rng : Generator or None
        What shuffles; not used without `shuffle`.
    shuffle : bool
        Whether to shuffle at all.
    """
    n = len(lengths)
    batch_size = min(batch_size, n)
    if not shuffle or rng is None:
        yield from (np.arange(start, min(start + batch_size, n)) for start in range(0, n, batch_size))
        return
    order = rng.permutation(n)
    if lengths.min() != lengths.max():
        for start in range(0, n, BUCKET * batch_size):
            bucket = order[start : start + BUCKET * batch_size]
            ascending = bucket[np.argsort(lengths[bucket], kind="stable")]
            cut = len(bucket) - rng.integers(batch_size) % len(bucket)
            bucket[:] = np.concatenate([ascending[cut:], ascending[:cut]])
    starts = np.arange(0, n, batch_size)
    for start in starts[rng.permutation(len(starts))]:
        yield order[start : start + batch_size]


class Minibatches:
    """Samples, some at a time.

    Parameters
    ----------
    samples : Samples
        What to learn.
    batch_size, shuffle, truncate : int, bool, int or None
        See `lightrnn.RNNClassifier`.
    rng : Generator
        Shuffles, and draws dropout masks.
    """

    unit = "sequences"

    def __init__(
        self, samples: Samples, batch_size: int, shuffle: bool, truncate: int | None, rng: np.random.Generator
    ) -> None:
        self.samples, self.count, self.rng = samples, len(samples.items), rng
        self.batch_size, self.shuffle, self.truncate = batch_size, shuffle, truncate
        self._starts = np.cumsum(samples.lengths) - samples.lengths
        weights = samples.weights
        self.weight = float(weights.sum() if isinstance(weights, np.ndarray) else sum(map(np.sum, weights)))

    def epoch(self, network: Network) -> Iterator[tuple[int, Batch]]:
        """Yield every minibatch, or every chunk of it under truncated backpropagation."""
        network.hold(self.samples.items, self.samples.lengths, self.batch_size)
        drawn = minibatches(self.samples.lengths, self.batch_size, self.rng, self.shuffle)
        for number, indices in enumerate(drawn, 1):
            for batch in chunks(self._batch(indices, network, self.rng), self.truncate, network):
                yield number, batch

    def whole(self, network: Network, batch_size: int) -> Iterator[Batch]:
        """Yield all samples in order, without dropout."""
        network.hold(self.samples.items, self.samples.lengths, batch_size)
        for indices in minibatches(self.samples.lengths, batch_size, None, False):
            yield self._batch(indices, network, None)

    def _batch(self, indices: np.ndarray, network: Network, rng: np.random.Generator | None) -> Batch:
        """Return the samples of some indices."""
        order = longest_first(self.samples.lengths[indices])
        indices = indices[order]
        some = self.samples.take(indices)
        batch = Batch(list(some.items), some.lengths, order, places=self._starts[indices])
        return batch.learned(some.targets, some.weights, rng, network)


@dataclass
class _Reader:
    """Somewhere in a text: the next step to read, and where to stop."""

    codes: np.ndarray
    at: int
    stop: int


class Texts:
    """Texts read by many readers at once, some steps at a time: at each step the next token is to be predicted.

    A text of N tokens has N + 1 steps: the first sees the boundary and predicts the first token, the last predicts the
    boundary. A reader carries its state from chunk to chunk of its text, and takes the next text when it is through.
    To learn from, texts longer than a reader's share are cut into several, so that all readers are busy.

    Parameters
    ----------
    texts : sequence of ndarray of int (N_i,)
        Codes; arrays on disk are read some steps at a time.
    boundary : int
        Code of the start and the end of a text.
    batch_size, truncate : int
        Readers, and steps they read at a time.
    window : int
        Steps before that a feed-forward net sees again, with no weight; 0 for recurrent cells.
    rng : Generator or None
        Shuffles the texts, and draws dropout masks; None reads texts in order, uncut, without dropout.
    """

    unit = "tokens"

    def __init__(
        self,
        texts: Sequence[np.ndarray],
        boundary: int,
        batch_size: int,
        truncate: int,
        window: int = 0,
        rng: np.random.Generator | None = None,
        shuffle: bool = True,
    ) -> None:
        self.texts, self.boundary, self.rng, self.shuffle = texts, boundary, rng, shuffle
        self.batch_size, self.truncate, self.before = batch_size, truncate, max(0, window - 1)
        self.count = sum(len(text) + 1 for text in texts)
        self.weight = float(self.count)

    def epoch(self, network: Network) -> Iterator[tuple[int, Batch]]:
        """Yield what the readers read, chunk by chunk."""
        waiting = self._parts()
        readers: list[_Reader] = []
        states: list[np.ndarray] = []  # of each layer and direction, a row a reader
        number = 0
        while waiting or readers:
            new = [waiting.pop() for _ in range(min(len(waiting), self.batch_size - len(readers)))]
            if new and network.recurrent:
                fresh = [np.tile(zeros, (len(new), 1)) for zeros in network.zero_states()]
                states = [np.vstack(pair) for pair in zip(states, fresh, strict=True)] if states else fresh
            readers += new
            number += 1
            batch = self._batch(readers, network)
            batch.states = tuple(rows[batch.order] for rows in states)
            yield number, batch
            for reader in readers:
                reader.at = min(reader.at + self.truncate, reader.stop)
            going_on = np.flatnonzero([reader.at < reader.stop for reader in readers])
            if network.recurrent:
                back = np.argsort(batch.order)[going_on]
                states = [rows[back] for rows in network.final_states]
            readers = taken(readers, going_on)

    def whole(self, network: Network, batch_size: int) -> Iterator[Batch]:
        """Yield the same chunks without their numbers."""
        return (batch for _, batch in self.epoch(network))

    def _parts(self) -> list[_Reader]:
        """Return readers for all texts, those to begin with last."""
        share = self.count if self.rng is None else max(self.truncate, -(-self.count // self.batch_size))
        parts = [
            _Reader(text, start, min(start + share, len(text) + 1))
            for text in self.texts
            for start in range(0, len(text) + 1, share)
        ]
        if self.rng is not None and self.shuffle:
            return [parts[i] for i in self.rng.permutation(len(parts)).tolist()]
        return parts[::-1]

    def _batch(self, readers: list[_Reader], network: Network) -> Batch:
        """Pack the next chunk of every reader."""
        pieces = [self._piece(reader) for reader in readers]
        X, targets, weights = (list(values) for values in zip(*pieces, strict=True))
        return Batch.of(X, targets, weights, self.rng, network)

    def _piece(self, reader: _Reader) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs, targets and weights of a reader's next steps."""
        start, stop = reader.at, min(reader.at + self.truncate, reader.stop)
        first = max(0, start - self.before)
        tokens = np.asarray(reader.codes[max(0, first - 1) : stop], np.int64)
        X = tokens[: stop - first] if first else np.concatenate([[self.boundary], tokens])[: stop - first]
        targets = tokens[first > 0 :]
        if len(targets) < stop - first:
            targets = np.concatenate([targets, [self.boundary]])
        weights = np.ones(stop - first)
        weights[: start - first] = 0
        return X, targets, weights


__all__ = ["Feed", "Minibatches", "Samples", "Texts"]
