"""Batches of texts that are read side by side, each carrying its state from chunk to chunk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..nn.batches import Batch
from ..utils.indexing import take

if TYPE_CHECKING:
    from ..nn.network import Network


@dataclass
class Cursor:
    """Somewhere in a text: the next step to read, and where to stop."""

    codes: np.ndarray
    at: int
    stop: int


class TextBatches:
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
        readers: list[Cursor] = []
        states: list[np.ndarray] = []  # of each layer and direction, a row a reader
        number = 0
        while waiting or readers:
            new = [waiting.pop() for _ in range(min(len(waiting), self.batch_size - len(readers)))]
            if new and network.recurrent:
                fresh = [np.tile(zeros, (len(new), 1)) for zeros in network.zero_states()]
                states = (
                    [np.vstack(pair) for pair in zip(states, fresh, strict=True)]
                    if states
                    else fresh
                )
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
            readers = take(readers, going_on)

    def whole(self, network: Network, batch_size: int) -> Iterator[Batch]:
        """Yield the same chunks without their numbers."""
        return (batch for _, batch in self.epoch(network))

    def _parts(self) -> list[Cursor]:
        """Return readers for all texts, those to begin with last."""
        share = (
            self.count
            if self.rng is None
            else max(self.truncate, -(-self.count // self.batch_size))
        )
        parts = [
            Cursor(text, start, min(start + share, len(text) + 1))
            for text in self.texts
            for start in range(0, len(text) + 1, share)
        ]
        if self.rng is not None and self.shuffle:
            return [parts[i] for i in self.rng.permutation(len(parts)).tolist()]
        return parts[::-1]

    def _batch(self, readers: list[Cursor], network: Network) -> Batch:
        """Pack the next chunk of every reader."""
        pieces = [self._piece(reader) for reader in readers]
        X, targets, weights = (list(values) for values in zip(*pieces, strict=True))
        return Batch.of(X, targets, weights, self.rng, network)

    def _piece(self, reader: Cursor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs, targets and weights of a reader's next steps."""
        start, stop = reader.at, min(reader.at + self.truncate, reader.stop)
        first = max(0, start - self.before)
        tokens = np.asarray(reader.codes[max(0, first - 1) : stop], np.int64)
        X = (
            tokens[: stop - first]
            if first
            else np.concatenate([[self.boundary], tokens])[: stop - first]
        )
        targets = tokens[first > 0 :]
        if len(targets) < stop - first:
            targets = np.concatenate([targets, [self.boundary]])
        weights = np.ones(stop - first)
        weights[: start - first] = 0
        return X, targets, weights
