"""Sequences of partitions, as the client sees them: how long each is, and where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np

from ..data.missing import COLUMNS, with_marks
from ..data.moments import standardization_of
from ..data.patches import count_patches, in_patches
from ..data.sequences import Sequences
from ..utils.standardization import Standardization
from .partitions import Summary


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Steps start .. stop - 1 of one sequence of a partition; it is read where it is.

    Attributes
    ----------
    replicas : Replicas
        They hold the partitions.
    partition : int
        Number of the partition.
    row : int
        Number of the sequence in it.
    start, stop : int
        Steps, as the network reads them.
    read : ndarray of bool (stop - start,) or None
        Tokens that are read; the others count as unknown. None: all are.
    """

    replicas: Any
    partition: int
    row: int
    start: int
    stop: int
    read: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of steps."""
        return self.stop - self.start

    def __getitem__(self, steps: Any) -> Any:
        """Return some steps that follow one another."""
        start, stop, _ = steps.indices(len(self))
        read = None if self.read is None else self.read[start:stop]
        return replace(self, start=self.start + start, stop=self.start + stop, read=read)

    def __mul__(self, read: np.ndarray) -> Span:
        """Return the tokens where `read` is true, and unknown ones elsewhere."""
        return replace(self, read=read)


class SpanRows(NamedTuple):
    """Spans of one partition, as they are sent to it.

    Attributes
    ----------
    steps : ndarray of int64 (n, 3)
        Row, first step and end of each.
    read : list of ndarray of bool, or None
        As in `Span`.
    """

    steps: np.ndarray
    read: list[np.ndarray] | None = None

    @classmethod
    def of(cls, X: Iterable[Span]) -> Self:
        """Return spans of one partition as arrays."""
        steps = np.array([(span.row, span.start, span.stop) for span in X], np.int64)
        read = [span.read for span in X if span.read is not None]
        return cls(steps, read or None)


class TokenCounts(NamedTuple):
    """Facts about the texts of one partition.

    Attributes
    ----------
    counts : Counter
        How often each token occurs.
    lengths : ndarray of int (n,)
        Number of tokens of each text.
    n_characters : int
        In all of them; 0 for categories.
    """

    counts: Counter[Any]
    lengths: np.ndarray
    n_characters: int


@dataclass(frozen=True, slots=True, eq=False)
class PartitionedSequences(Sequences):
    """Sequences of all partitions, one after another; the items are spans.

    Attributes
    ----------
    replicas : Replicas
        They hold the partitions.
    counts : ndarray of int (P,)
        Number of sequences in each partition.
    fill : ndarray (F,) or None
        If marks of missing values are read, the value of each feature before its first one.
    """

    replicas: Any = None
    counts: Any = None
    fill: np.ndarray | None = None

    def by_partition(self, values: np.ndarray) -> dict[int, np.ndarray]:
        """Return values (n,) of all sequences by the number of their partition."""
        parts = np.split(values, np.cumsum(self.counts)[:-1])
        return {number: part for number, part in enumerate(parts) if len(part)}


def of_numbers(replicas: Any, summaries: dict[int, Summary]) -> PartitionedSequences:
    """Return the sequences of numbers of all partitions.

    Parameters
    ----------
    replicas : Replicas
        They hold the partitions.
    summaries : dict of int to Summary
        Of each partition that has sequences.

    Raises
    ------
    ValueError
        If their features differ.
    """
    numbers = sorted(summaries)
    first = summaries[numbers[0]]
    for number in numbers:
        _check_alike(first, summaries[number], numbers[0], number)
    lengths = [summaries[number].lengths for number in numbers]
    counts = np.zeros(replicas.n_partitions, np.int64)
    counts[numbers] = list(map(len, lengths))
    return PartitionedSequences(
        spans_of(replicas, numbers, lengths),
        np.concatenate(lengths),
        n_features=first.n_features,
        is_table=first.is_table,
        width=first.width,
        feature_names=first.feature_names,
        replicas=replicas,
        counts=counts,
    )


def of_tokens(replicas: Any, found: dict[int, TokenCounts]) -> PartitionedSequences:
    """Return the sequences of tokens of all partitions."""
    lengths = [part.lengths for part in found.values()]
    counts = np.zeros(replicas.n_partitions, np.int64)
    counts[list(found)] = list(map(len, lengths))
    return PartitionedSequences(
        spans_of(replicas, found, lengths),
        np.concatenate(lengths),
        n_features=1,
        replicas=replicas,
        counts=counts,
    )


def common_kind(summaries: dict[int, Summary], name: str) -> str:
    """Return the kind of the tokens of all partitions, or "number".

    Raises
    ------
    ValueError
        If all partitions are empty.
    TypeError
        If their kinds differ.
    """
    if not summaries:
        raise ValueError(
            f"{name} must hold at least one sequence, got empty partitions alone. Pass data."
        )
    kinds = {summary.kind: number for number, summary in summaries.items()}
    if len(kinds) > 1:
        raise TypeError(
            f"{name} must hold one kind of tokens in every partition, got {kinds}: a partition of "
            "each. Convert them, or set `tokens`."
        )
    return next(iter(kinds))


def merged(parts: Iterable[Counter[Any]]) -> Counter[Any]:
    """Return how often each token occurs in all partitions."""
    counts: Counter[Any] = Counter()
    for part in parts:
        counts.update(part)
    return counts


def spans_of(replicas: Any, numbers: Iterable[int], lengths: list[np.ndarray]) -> list[Any]:
    """Return a span for each whole sequence."""
    return [
        Span(replicas, number, row, 0, T)
        for number, part in zip(numbers, lengths, strict=True)
        for row, T in enumerate(part.tolist())
    ]


def _check_alike(first: Summary, other: Summary, number: int, other_number: int) -> None:
    """Raise a ValueError if two partitions do not hold sequences of the same form."""
    for what, before, now in (
        ("features a step", first.n_features, other.n_features),
        ("the form of a table", first.is_table, other.is_table),
        ("columns", first.is_table and first.width, other.is_table and other.width),
        ("column names", _listed(first.feature_names), _listed(other.feature_names)),
    ):
        if before != now:
            raise ValueError(
                f"X must have the same {what} in every partition, got {before} in partition "
                f"{number} and {now} in partition {other_number}. Bring them to one form."
            )


def _listed(names: np.ndarray | None) -> list[Any] | None:
    return None if names is None else names.tolist()


# -- computed where the sequences are -------------------------------------------------------------


@standardization_of.register
def _(
    X: PartitionedSequences, weights: np.ndarray | None = None, *, missing: bool = False
) -> Standardization:
    if weights is None:
        weights = np.ones(len(X))
    found = X.replicas.call("moments", X.by_partition(weights), X.fill, missing)
    merged = None
    for number in sorted(found):
        moments = found[number]
        # A partition without weight has no mean.
        if not np.any(moments.weight):
            continue
        merged = moments if merged is None else merged.merged(moments)
    return merged if merged is not None else found[min(found)]


@with_marks.register
def _(X: PartitionedSequences, fill: np.ndarray) -> PartitionedSequences:
    return replace(X, n_features=COLUMNS * X.n_features, fill=fill)


@in_patches.register
def _(X: PartitionedSequences, patch: int) -> PartitionedSequences:
    if patch == 1:
        return X
    lengths = count_patches(X.lengths, patch)
    spans: Any = X.items
    return replace(
        X,
        items=[replace(span, stop=T) for span, T in zip(spans, lengths.tolist(), strict=True)],
        lengths=lengths,
        n_features=patch * X.n_features,
    )
