"""Minibatches of samples, and the interface of what yields the batches of an epoch.

A network may learn from each batch before the next is drawn, which then carries on the states in
which the batch before ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..data.ragged import pool
from ..nn.batches import Batch
from .prior import Prior, prior_of
from .truncation import chunks

if TYPE_CHECKING:
    from ..data.samples import Samples
    from ..losses import Loss
    from .trainable import TrainableNetwork

# Minibatches whose sequences are sorted by length together: more make lengths within a batch more
# alike, fewer make batches more random.
BUCKET = 50

_BATCHES = 50  # minibatches in an epoch, where that leaves each a size between these two
_SMALLEST = 8
_LARGEST = 32


def usual_batch_size(n: int) -> int:
    """Return the number of sequences in a minibatch of n in all, by default.

    Examples
    --------
    >>> usual_batch_size(40), usual_batch_size(1000), usual_batch_size(60_000)
    (8, 20, 32)
    """
    return min(max(n // _BATCHES, _SMALLEST), _LARGEST)


class BatchSource(Protocol):
    """Yields the batches that `training.train` learns from.

    Attributes
    ----------
    count : int
        Sequences or tokens in an epoch, to show progress.
    unit : str
        The name of what is counted.
    n_targets : int
        Targets with a positive weight in an epoch.
    name : str
        What is shown of the network, if several are trained at once.
    """

    count: int
    unit: str
    name: str
    n_targets: int

    def epoch(self, network: TrainableNetwork) -> Iterator[tuple[int, Batch]]:
        """Yield the batches of an epoch, each with its number, from 1."""

    def whole(self, network: TrainableNetwork, batch_size: int) -> Iterator[Batch]:
        """Yield everything in order, cut into batches that fit into memory."""

    def prior(self, loss: Loss) -> Prior:
        """Return the best prediction without inputs."""


def minibatches(
    lengths: np.ndarray,
    batch_size: int,
    rng: np.random.Generator | None,
) -> list[np.ndarray]:
    """Return the indices of each batch, every sequence once.

    Shuffled sequences are sorted by length within buckets of `BUCKET` batches, so that a batch has
    sequences of similar lengths. A bucket is rotated at random before it is cut, so that epochs
    differ even if there is one bucket and all lengths in it differ; then the batches are shuffled.

    Parameters
    ----------
    lengths : ndarray of int (n,)
        Steps of each sequence.
    batch_size : int
        Sequences in a batch; the last may have fewer. A size above n means n.
    rng : Generator or None
        Shuffles; None keeps the order.

    Returns
    -------
    list of ndarray of int
        Indices of each batch.
    """
    n = len(lengths)
    batch_size = min(batch_size, n)
    order = np.arange(n)
    starts = np.arange(0, n, batch_size)
    if rng is not None:
        order = rng.permutation(n)
        if lengths.min() != lengths.max():
            for start in range(0, n, BUCKET * batch_size):
                bucket = order[start : start + BUCKET * batch_size]
                ascending = bucket[np.argsort(lengths[bucket], kind="stable")]
                shift = len(bucket) - int(rng.integers(batch_size)) % len(bucket)
                bucket[:] = np.concatenate((ascending[shift:], ascending[:shift]))
        starts = rng.permutation(starts)
    return [order[first : first + batch_size] for first in starts.tolist()]


@dataclass(eq=False, repr=False)
class Minibatches:
    """Samples in minibatches.

    Parameters
    ----------
    samples : Samples
        Sequences, targets and sample weights.
    batch_size : int
        Sequences in a batch.
    shuffle : bool
        Whether to shuffle the sequences of each epoch.
    truncate : int or None
        Steps of a chunk under truncated backpropagation; None: whole sequences.
    rng : Generator
        Shuffles, and draws dropout masks.
    token_dropout : float, default=0.0
        Share of the tokens that are read as the unknown one, whose code is 0.
    """

    samples: Samples
    batch_size: int
    shuffle: bool
    truncate: int | None
    rng: np.random.Generator
    token_dropout: float = 0.0
    unit = "sequences"
    name = ""

    def __post_init__(self) -> None:
        """Count what an epoch yields."""
        lengths = self.samples.lengths
        self.count = len(lengths)
        # Where each sequence begins among all, concatenated.
        self._offsets = np.cumsum(lengths) - lengths
        self._of_one_length = bool((lengths == lengths[0]).all())
        self.n_targets = int(np.count_nonzero(pool(self.samples.weights)))

    def epoch(self, network: TrainableNetwork) -> Iterator[tuple[int, Batch]]:
        """Yield every minibatch, or every chunk of it under truncated backpropagation."""
        whole = self._batches(network, self.batch_size, self.rng if self.shuffle else None)
        for number, batch in enumerate(whole, 1):
            if self.token_dropout:
                batch.X = self._thinned(batch.X)
                batch.offsets = None  # the sequences are not those that a network keeps
            batch.masks = network.dropout_masks(len(batch.X), self.rng)
            for chunk in chunks(batch, self.truncate, network):
                yield number, chunk

    def whole(self, network: TrainableNetwork, batch_size: int) -> Iterator[Batch]:
        """Yield all samples in order, without dropout."""
        return self._batches(network, batch_size, None)

    def prior(self, loss: Loss) -> Prior:
        """Return the best constant prediction of the targets."""
        return prior_of(loss, pool(self.samples.targets), pool(self.samples.weights))

    def _batches(
        self,
        network: TrainableNetwork,
        batch_size: int,
        rng: np.random.Generator | None,
    ) -> Iterator[Batch]:
        """Yield all samples in batches, each longest first, shuffled if there is `rng`."""
        lengths = self.samples.lengths
        network.cache_sequences(self.samples.items, lengths, batch_size)
        drawn = minibatches(lengths, batch_size, rng)
        indices = np.concatenate(drawn)
        # One sort and one selection for all batches: for a small one each takes longer than a step.
        if not self._of_one_length:
            numbers = np.repeat(np.arange(len(drawn)), list(map(len, drawn)))
            indices = indices[np.lexsort((-lengths[indices], numbers))]
        samples = self.samples.take(indices)
        offsets = self._offsets[indices]
        stops = np.cumsum(list(map(len, drawn))).tolist()
        parts = [slice(*ends) for ends in pairwise([0, *stops])]
        # Some batches at a time: the Python that makes one takes twice as long after a step, which
        # has driven it out of the cache.
        for first in range(0, len(parts), BUCKET):
            yield from [
                Batch(
                    samples.items[part], samples.lengths[part], offsets=offsets[part]
                ).with_targets(samples.targets[part], samples.weights[part])
                for part in parts[first : first + BUCKET]
            ]

    def _thinned(self, X: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return sequences of codes in which some are that of the unknown token."""
        return [codes * (self.rng.random(len(codes)) >= self.token_dropout) for codes in X]


__all__ = ["BatchSource", "Minibatches", "usual_batch_size"]
