"""Batches of texts that are read side by side, each carrying its state from chunk to chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..nn.batches import Batch
from ..utils.indexing import take
from .prior import RELEVANT, Prior, entropy

if TYPE_CHECKING:
    from ..losses import Loss
    from .trainable import TrainableNetwork


@dataclass
class Cursor:
    """A position in a text: the next step to read, and where to stop."""

    codes: np.ndarray
    at: int
    stop: int


@dataclass(eq=False, repr=False)
class TextBatches:
    """Texts read by many cursors at once, some steps at a time; each step predicts the next token.

    A text of N tokens has N + 1 steps: the first sees the boundary and predicts the first token,
    the last predicts the boundary. A cursor carries its state from chunk to chunk of its text; at
    the text's end another takes its place. For training, texts longer than one cursor's part of the
    corpus are cut into several, so that all cursors are busy.

    Parameters
    ----------
    texts : sequence of ndarray of int (N_i,)
        Codes; arrays on disk are read some steps at a time.
    boundary : int
        Code of the start and the end of a text.
    batch_size : int
        Texts that are read at once.
    truncate : int
        Steps of a chunk.
    window : int, default=0
        Inputs that a feed-forward net sees: its chunks begin `window` - 1 steps earlier, with
        weight 0. 0 for recurrent cells.
    rng : Generator or None, default=None
        Shuffles the texts, and draws dropout masks; None reads texts in order, uncut, without
        dropout.
    shuffle : bool, default=True
        Whether to shuffle the texts.
    """

    texts: Sequence[np.ndarray]
    boundary: int
    batch_size: int
    truncate: int
    window: int = 0
    rng: np.random.Generator | None = None
    shuffle: bool = True
    unit = "tokens"
    name = ""

    def __post_init__(self) -> None:
        """Count what an epoch yields."""
        self.count = sum(len(text) + 1 for text in self.texts)
        self.n_targets = self.count

    def epoch(self, network: TrainableNetwork) -> Iterator[tuple[int, Batch]]:
        """Yield the next chunk of all cursors until every text is read."""
        waiting = self._parts()
        cursors: list[Cursor] = []
        states: list[np.ndarray] = []  # (cursors, Z * H) for each layer and direction
        number = 0
        while waiting or cursors:
            count = min(len(waiting), self.batch_size - len(cursors))
            if count and network.recurrent:
                fresh = [np.tile(zeros, (count, 1)) for zeros in network.zero_states()]
                if states:
                    fresh = [np.vstack(pair) for pair in zip(states, fresh, strict=True)]
                states = fresh
            cursors += [waiting.pop() for _ in range(count)]
            number += 1
            batch = self._batch(cursors, network)
            batch.states = tuple(rows[batch.order] for rows in states)
            yield number, batch
            for cursor in cursors:
                cursor.at = min(cursor.at + self.truncate, cursor.stop)
            going_on = np.flatnonzero([cursor.at < cursor.stop for cursor in cursors])
            if network.recurrent:
                back = np.argsort(batch.order)[going_on]  # from the batch's order to the cursors'
                states = [rows[back] for rows in network.final_states]
            cursors = take(cursors, going_on)

    def whole(self, network: TrainableNetwork, batch_size: int) -> Iterator[Batch]:
        """Yield the same chunks without their numbers."""
        return (batch for _, batch in self.epoch(network))

    def prior(self, loss: Loss) -> Prior:
        """Return the frequencies of the tokens as a prediction."""
        counts = np.zeros(1 + max(map(np.max, self.texts), default=0))
        for text in self.texts:
            np.add.at(counts, text, 1)
        counts[self.boundary] += len(self.texts)
        mean = entropy(counts)
        return Prior(mean, RELEVANT * mean, "the frequencies of the tokens")

    def _parts(self) -> list[Cursor]:
        """Return cursors for all texts, those to begin with last."""
        size = self.count
        if self.rng is not None:
            size = max(self.truncate, -(-self.count // self.batch_size))
        parts = [
            Cursor(text, start, min(start + size, len(text) + 1))
            for text in self.texts
            for start in range(0, len(text) + 1, size)
        ]
        if self.rng is not None and self.shuffle:
            return take(parts, self.rng.permutation(len(parts)))
        return parts[::-1]  # they are taken from the end

    def _batch(self, cursors: list[Cursor], network: TrainableNetwork) -> Batch:
        """Pack the next chunk of every cursor."""
        X, targets, weights = map(list, zip(*map(self._piece, cursors), strict=True))
        return Batch.of(X, targets, weights, network.dropout_masks(len(X), self.rng))

    def _piece(self, cursor: Cursor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs, targets and sample weights of a cursor's next steps."""
        start = cursor.at
        stop = min(start + self.truncate, cursor.stop)
        first = max(0, start - max(0, self.window - 1))
        # Step t sees token t - 1 and predicts token t; the boundary stands before and after all.
        tokens = np.asarray(cursor.codes[max(0, first - 1) : stop], np.int64)
        X = tokens if first else np.concatenate([[self.boundary], tokens])
        targets = tokens[first > 0 :]
        if len(targets) < stop - first:
            targets = np.concatenate([targets, [self.boundary]])
        sample_weight = np.ones(stop - first)
        sample_weight[: start - first] = 0  # steps that were learned from, and fill windows now
        return X[: stop - first], targets, sample_weight
