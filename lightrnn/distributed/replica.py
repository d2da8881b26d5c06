"""A copy of the network on one worker, together with the partitions that the worker holds.

It is a dask actor. It keeps nothing that training changes: each call brings the parameters, so a
replica that is lost with its worker is made anew elsewhere and answers with the same bits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set
from dataclasses import replace
from functools import partial
from itertools import chain, compress
from typing import Any

import numpy as np

from .. import cpu
from ..data.form import Form
from ..data.missing import with_marks
from ..data.moments import standardization_of
from ..data.sequences import Sequences
from ..data.tokens import Vocabulary, as_items, is_blank, split
from ..estimators.model import build_network
from ..losses import Loss
from ..nn.batches import Batch
from ..utils.standardization import Standardization
from .messages import packed, unpacked
from .partitions import Partition, Summary
from .sequences import SpanRows, TokenCounts
from .sums import Terms, partial_sums

_FEWEST_SHARDS = 2  # of the share of one partition, for workers of several threads

Setup = list[tuple[str, tuple[Any, ...]]]


class Replica:
    """Network and partitions of one worker.

    Parameters
    ----------
    partitions : dict of int to Partition
        What was read, by the number of the partition.
    threads : int or None
        Threads to use; None: those of the worker.
    setup : list of (str, tuple)
        Methods to call for all partitions with their arguments, as they were called of the replica
        that this one takes the place of.
    """

    def __init__(self, partitions: dict[int, Partition], threads: int | None, setup: Setup) -> None:
        self._partitions = partitions
        self._threads = threads or _worker_threads()
        self._texts: dict[int, list[Any]] = {}
        self._items: dict[int, Any] = {}
        # Where the steps of each partition's sequences begin among all.
        self._offsets: dict[int, np.ndarray] = {}
        self._network: Any = None
        for method, arguments in setup:
            getattr(self, method)(dict.fromkeys(partitions), *arguments)

    # -- setting up -------------------------------------------------------------------------------

    def summaries(self, numbers: dict[int, None]) -> dict[int, Summary]:
        """Return a summary of each partition that is not empty."""
        found = ((number, self._partitions[number].summary) for number in numbers)
        return {number: summary for number, summary in found if summary is not None}

    def count(
        self, numbers: dict[int, None], kind: str, vocabulary: Vocabulary | None, blank: bool
    ) -> dict[int, TokenCounts]:
        """Count the tokens of each partition that has some; `blank` leaves out blank texts."""
        found = {}
        split_item = partial(split, kind=kind) if vocabulary is None else vocabulary.split
        for number in numbers:
            texts = self._partitions[number].texts
            if blank:
                texts = [text for text in texts if not is_blank(text, kind)]
            if texts:
                items = as_items(texts, kind, f"texts in partition {number}")
                parts = list(map(split_item, items))
                lengths = np.array(list(map(len, parts)), np.int64)
                counts = Counter(chain.from_iterable(parts))
                n_characters = sum(len(item) for item in items if isinstance(item, str))
                found[number] = TokenCounts(counts, lengths, n_characters)
                self._texts[number] = items
        return found

    def token_counts(self, kept: dict[int, np.ndarray], kind: str) -> dict[int, Counter[Any]]:
        """Count the tokens of some sequences of each partition that `count` has read."""
        found = {}
        for number, some in kept.items():
            items = compress(self._texts[number], some)
            found[number] = Counter(chain.from_iterable(split(item, kind) for item in items))
        return found

    def encode(
        self, numbers: dict[int, None], vocabulary: Vocabulary, bounds: tuple[int, ...]
    ) -> dict[int, None]:
        """Encode the tokens, each sequence between two codes, or none, that bound a text."""
        dtype = np.min_scalar_type(len(vocabulary) - 1)
        for number in numbers:
            # Steps of a text read the codes from the first bound on, and predict those after it.
            self._items[number] = [
                np.concatenate([bounds, vocabulary.encode(item), bounds]).astype(dtype)
                for item in self._texts.pop(number, [])
            ]
        return numbers

    def moments(
        self, weights: dict[int, np.ndarray], fill: np.ndarray | None, missing: bool
    ) -> dict[int, Standardization]:
        """Return the standardisation of each partition by sequences of these weights."""
        found = {}
        sequences = self._sequences()
        for number, w in weights.items():
            X = sequences[number]
            X = X if fill is None else with_marks(X, fill)
            found[number] = standardization_of(X, w, missing=missing)
        return found

    def _sequences(self) -> dict[int, Sequences]:
        """Return the sequences of numbers by partition."""
        found = ((number, part.sequences) for number, part in self._partitions.items())
        return {number: sequences for number, sequences in found if sequences is not None}

    def prepare(
        self,
        numbers: dict[int, None],
        form: Form | None,
        architecture: dict[str, Any],
        standardization: Standardization | None,
        batch_size: int,
        n_partitions: int,
    ) -> dict[int, None]:
        """Make the network, and encode the sequences that are numbers."""
        encoded = {number: form.encoded(X) for number, X in self._sequences().items() if form}
        network = build_network(architecture)
        network.standardization = standardization
        # The partitions are shards already: many small ones would cost more than threads win.
        network.most_shards = max(_FEWEST_SHARDS, network.most_shards // n_partitions)
        start = 0
        for number, X in encoded.items():
            self._items[number] = X.items
            self._offsets[number] = start + np.cumsum(X.lengths) - X.lengths
            start += int(X.lengths.sum())
        if encoded:
            items = [item for X in encoded.values() for item in X.items]
            lengths = np.concatenate([X.lengths for X in encoded.values()])
            network.cache_sequences(items, lengths, batch_size)
        self._network = network
        return numbers

    # -- computing --------------------------------------------------------------------------------

    def answer(self, method: str, *frames: Any) -> list[Any]:
        """Call a method with packed arguments and return its packed result."""
        return packed(getattr(self, method)(*unpacked(list(frames))))

    def gradient(
        self,
        shares: dict[int, Batch],
        parameters: np.ndarray,
        loss: Loss,
        tree: tuple[int, Set[int]],
        carry: bool,
    ) -> tuple[Terms, dict[int, Any]]:
        """Return the loss and gradient of the shares of a minibatch, added as far as can be.

        Parameters
        ----------
        shares : dict of int to Batch
            Share of each partition; its X is the array of `share`.
        parameters : ndarray (size,)
            Of the network.
        loss : Loss
            Is minimised.
        tree : (int, set of int)
            Number of all partitions, and those that have a share of this minibatch.
        carry : bool
            Whether the final states are wanted, too.

        Returns
        -------
        terms : dict
            Sums over subtrees.
        states : dict
            Final states by partition, None if they are not wanted.
        """
        network = self._at(parameters)
        terms: Terms = {}
        states = {}
        for number, share in shares.items():
            batch = self._batch(number, share)
            value = network.loss_and_gradient(batch, loss, self._threads)
            terms[number, number + 1] = (value, network.gradient.copy())
            states[number] = network.final_states if carry else None
        n_partitions, sharing = tree
        return partial_sums(terms, 0, n_partitions, sharing - shares.keys()), states

    def run(self, shares: dict[int, Batch], parameters: np.ndarray) -> dict[int, Any]:
        """Return the states in which the shares of a minibatch end, by partition."""
        network = self._at(parameters)
        states = {}
        for number, share in shares.items():
            network.run(self._batch(number, share))
            states[number] = network.final_states
        return states

    def outputs(
        self, spans: dict[int, SpanRows], parameters: np.ndarray, what: str
    ) -> dict[int, Any]:
        """Return outputs, or what else a method of the network returns, of some spans."""
        network = self._at(parameters)
        read = getattr(network, what)
        return {
            number: read(self._cut(number, rows), self._threads) for number, rows in spans.items()
        }

    def _at(self, parameters: np.ndarray) -> Any:
        """Return the network with these parameters."""
        self._network.parameters[:] = parameters
        return self._network

    def _cut(self, number: int, spans: SpanRows) -> list[Any]:
        """Return the sequences of spans."""
        items = self._items[number]
        found = [items[row][start:stop] for row, start, stop in spans.steps.tolist()]
        if spans.read is None:
            return found
        # All others are read as the unknown token, whose code is 0.
        return [codes * read for codes, read in zip(found, spans.read, strict=True)]

    def _batch(self, number: int, share: Batch) -> Batch:
        """Return the share of a minibatch with its sequences."""
        spans: Any = share.X
        offsets = None
        targets = share.targets
        if number in self._offsets:
            offsets = self._offsets[number][spans.steps[:, 0]] + spans.steps[:, 1]
        if targets is None and share.weights is not None:
            after = SpanRows(spans.steps + np.array([0, 1, 1]))
            targets = [codes.astype(np.int64) for codes in self._cut(number, after)]
        return replace(
            share,
            X=self._cut(number, spans),
            offsets=offsets,
            # What was sent may be read-only, for which no kernel is compiled.
            lengths=np.array(share.lengths),
            targets=_writable(targets),
            weights=_writable(share.weights),
            masks=tuple(map(np.array, share.masks)),
            states=tuple(map(np.array, share.states)),
        )


def _writable(values: Any) -> Any:
    """Return a copy of an array; a list of them is concatenated later."""
    return np.array(values) if isinstance(values, np.ndarray) else values


def _worker_threads() -> int:
    """Return the number of threads of the worker that this runs on."""
    worker = cpu.once.imported("distributed").get_worker()
    return int(worker.state.nthreads)
