"""What an epoch is made of: minibatches of samples, or texts read by many at once.

A feed yields batches; what a batch learns may change the network before the next is drawn, whose initial states it has
then carried on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..nn.batches import Batch, longest_first
from .truncation import chunks

if TYPE_CHECKING:
    from ..nn.network import Network
from ..data.samples import Samples

BUCKET = 50  # minibatches whose sequences are sorted by length together


class BatchSource(Protocol):
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
        yield from (
            np.arange(start, min(start + batch_size, n)) for start in range(0, n, batch_size)
        )
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
        self,
        samples: Samples,
        batch_size: int,
        shuffle: bool,
        truncate: int | None,
        rng: np.random.Generator,
    ) -> None:
        self.samples, self.count, self.rng = samples, len(samples.items), rng
        self.batch_size, self.shuffle, self.truncate = batch_size, shuffle, truncate
        self._starts = np.cumsum(samples.lengths) - samples.lengths
        weights = samples.weights
        self.weight = float(
            weights.sum() if isinstance(weights, np.ndarray) else sum(map(np.sum, weights))
        )

    def epoch(self, network: Network) -> Iterator[tuple[int, Batch]]:
        """Yield every minibatch, or every chunk of it under truncated backpropagation."""
        network.cache_sequences(self.samples.items, self.samples.lengths, self.batch_size)
        drawn = minibatches(self.samples.lengths, self.batch_size, self.rng, self.shuffle)
        for number, indices in enumerate(drawn, 1):
            for batch in chunks(self._batch(indices, network, self.rng), self.truncate, network):
                yield number, batch

    def whole(self, network: Network, batch_size: int) -> Iterator[Batch]:
        """Yield all samples in order, without dropout."""
        network.cache_sequences(self.samples.items, self.samples.lengths, batch_size)
        for indices in minibatches(self.samples.lengths, batch_size, None, False):
            yield self._batch(indices, network, None)

    def _batch(
        self, indices: np.ndarray, network: Network, rng: np.random.Generator | None
    ) -> Batch:
        """Return the samples of some indices."""
        order = longest_first(self.samples.lengths[indices])
        indices = indices[order]
        some = self.samples.take(indices)
        batch = Batch(list(some.items), some.lengths, order, offsets=self._starts[indices])
        return batch.learned(some.targets, some.weights, rng, network)


__all__ = ["BatchSource", "Minibatches"]
