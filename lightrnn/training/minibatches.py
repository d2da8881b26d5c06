"""Minibatches of samples, and the interface of what yields the batches of an epoch.

A network may learn from each batch before the next is drawn, which then carries on the states in
which the batch before ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    shuffle: bool,
) -> Iterator[np.ndarray]:
    """Yield the indices of each batch, every sequence once.

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
        Shuffles; not used without `shuffle`.
    shuffle : bool
        Whether to shuffle at all.

    Yields
    ------
    ndarray of int
        Indices of a batch.
    """
    n = len(lengths)
    batch_size = min(batch_size, n)
    order = np.arange(n)
    starts = np.arange(0, n, batch_size)
    if shuffle and rng is not None:
        order = rng.permutation(n)
        if lengths.min() != lengths.max():
            for start in range(0, n, BUCKET * batch_size):
                bucket = order[start : start + BUCKET * batch_size]
                ascending = bucket[np.argsort(lengths[bucket], kind="stable")]
                bucket[:] = np.roll(ascending, rng.integers(batch_size) % len(bucket))
        starts = rng.permutation(starts)
    for first in starts:
        yield order[first : first + batch_size]


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
        whole = self._batches(network, self.batch_size, self.rng, self.shuffle)
        for number, batch in enumerate(whole, 1):
            for chunk in chunks(batch, self.truncate, network):
                yield number, chunk

    def whole(self, network: TrainableNetwork, batch_size: int) -> Iterator[Batch]:
        """Yield all samples in order, without dropout."""
        return self._batches(network, batch_size, None, False)

    def prior(self, loss: Loss) -> Prior:
        """Return the best constant prediction of the targets."""
        return prior_of(loss, pool(self.samples.targets), pool(self.samples.weights))

    def _batches(
        self,
        network: TrainableNetwork,
        batch_size: int,
        rng: np.random.Generator | None,
        shuffle: bool,
    ) -> Iterator[Batch]:
        """Yield all samples in batches, each longest first, with dropout if there is `rng`."""
        lengths = self.samples.lengths
        network.cache_sequences(self.samples.items, lengths, batch_size)
        drawn = list(minibatches(lengths, batch_size, rng, shuffle))
        sizes = [len(indices) for indices in drawn]
        stops = np.cumsum(sizes)
        indices = np.concatenate(drawn)
        # One sort and one selection for all batches: for a small one each takes longer than a step.
        ranks = np.arange(len(indices))
        if not self._of_one_length:
            ranks = np.lexsort((-lengths[indices], np.repeat(np.arange(len(sizes)), sizes)))
            indices = indices[ranks]
        order = ranks - np.repeat(stops - sizes, sizes)
        samples = self.samples.take(indices)
        offsets = self._offsets[indices]
        for size, stop in zip(sizes, stops.tolist(), strict=True):
            part = slice(stop - size, stop)
            batch = Batch(
                list(samples.items[part]),
                samples.lengths[part],
                order[part],
                offsets=offsets[part],
            )
            if rng is not None and self.token_dropout:
                batch.X = self._thinned(batch.X, rng)
                batch.offsets = None  # the sequences are not those that a network keeps
            yield batch.with_targets(
                samples.targets[part],
                samples.weights[part],
                network.dropout_masks(size, rng),
            )

    def _thinned(self, X: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
        """Return sequences of codes in which some are that of the unknown token."""
        return [codes * (rng.random(len(codes)) >= self.token_dropout) for codes in X]


__all__ = ["BatchSource", "Minibatches", "usual_batch_size"]
