"""Partitions as workers read them: checked once, and kept in memory or in a file.

A partition is read by a task of dask, which lets the partition go as soon as it was read, and runs
the task again if the result is lost with its worker.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from .. import cpu
from ..data.arrays import is_missing
from ..data.containers import unwrapped
from ..data.form import Form
from ..data.on_disk import OnDisk
from ..data.sequences import Sequences, as_sequences
from ..data.tokens import as_items, has_blank, kind_of, refuse_numbers
from ..utils.checks import shown

# Share of a worker's memory that its partitions may take; those of a larger whole go to files.
_IN_MEMORY = 0.25


_NONE = np.zeros(0, np.int64)


class Reading(NamedTuple):
    """How partitions are read.

    Attributes
    ----------
    estimator : str
        Name of the estimator's class for messages.
    dtype : str
        Precision in which numbers must be finite.
    missing : bool
        Whether NaN stand for missing values.
    tokens : str
        Kind of the tokens, "number", or "auto".
    form : Form or None
        Form of the numbers of an earlier fit.
    pairs : bool
        Whether partitions hold pairs of a sequence and its target.
    texts : bool
        Whether X is what a language model learns from, where no token is a number.
    """

    estimator: str
    dtype: str = "float32"
    missing: bool = False
    tokens: str = "auto"
    form: Form | None = None
    pairs: bool = False
    texts: bool = False


class Summary(NamedTuple):
    """Facts about one partition, which go to the client.

    Attributes
    ----------
    kind : str
        Kind of the tokens, or "number".
    targets : object
        Targets of a partition of pairs, else None.
    lengths : ndarray of int (n,)
        Steps of the sequences of numbers.
    n_features, is_table, width, feature_names
        As in `Sequences`.
    spaced : list of bool
        Of each text, whether it has a blank between other characters.
    """

    kind: str
    targets: Any
    lengths: np.ndarray = _NONE
    n_features: int = 0
    is_table: bool = False
    width: int = 0
    feature_names: np.ndarray | None = None
    spaced: Sequence[bool] = ()


@dataclass(frozen=True, eq=False)
class Partition:
    """Sequences of one partition.

    Attributes
    ----------
    summary : Summary or None
        None if the partition is empty.
    sequences : Sequences or None
        Numbers.
    texts : list
        Tokens, as the user gave them.
    """

    summary: Summary | None = None
    sequences: Sequences | None = None
    texts: list[Any] = field(default_factory=list)


def read_partition(given: Any, number: int, reading: Reading, share: int) -> Partition:
    """Check and read one partition.

    Parameters
    ----------
    given : object
        Sequences as the local class takes them, or pairs.
    number : int
        Number of the partition, for messages.
    reading : Reading
        How to read it.
    share : int
        Number of partitions that each worker is going to have.
    """
    try:
        X, y = split_pairs(given) if reading.pairs else (given, None)
        X = [X] if isinstance(X, str) else X
        if not len(X):
            return Partition()
        kind = kind_of(X if reading.texts else unwrapped(X), reading.tokens)
        if kind == "number" and not reading.texts:
            return _of_numbers(X, y, reading, share)
        return _of_tokens(X, y, "category" if kind == "number" else kind, reading)
    except (TypeError, ValueError) as error:
        raise type(error)(f"In partition {number}: {error}") from error


def split_pairs(given: Any) -> tuple[Any, Any]:
    """Return sequences and targets of a partition of pairs, or of a pair (X, y)."""
    if type(given) is tuple and len(given) == 2:
        X, y = given
        if len(X) != len(y):
            raise ValueError(
                f"y must have {len(X)} entries as X has sequences, got {len(y)}. Give one each."
            )
        return X, y
    pairs = list(given)
    for i, pair in enumerate(pairs):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ValueError(
                f"X[{i}] must be a pair (sequence, target) where y is None, got {shown(pair)}. "
                "Give y, or pairs."
            )
        if is_missing(pair[1]):
            raise ValueError(f"X[{i}] must have a target, got {shown(pair[1])}. Leave it out.")
    return [x for x, _ in pairs], [y for _, y in pairs]


def _of_numbers(X: Any, y: Any, reading: Reading, share: int) -> Partition:
    """Return a partition of sequences of numbers."""
    dtype = np.dtype(reading.dtype)
    if reading.form is None:
        sequences = as_sequences(X, dtype, missing=reading.missing)
    else:
        sequences = reading.form.read(reading.estimator, X, dtype)
    facts = sequences.n_features, sequences.is_table, sequences.width, sequences.feature_names
    return Partition(Summary("number", y, sequences.lengths, *facts), _kept(sequences, share))


def _of_tokens(X: Any, y: Any, kind: str, reading: Reading) -> Partition:
    """Return a partition of texts, or of lists of categories."""
    if reading.texts:
        return Partition(Summary(kind, None), None, list(X))
    items = as_items(X, kind)
    if reading.tokens == "auto":
        refuse_numbers(items, X)
    spaced = list(map(has_blank, items)) if kind == "char" else []
    return Partition(Summary(kind, y, spaced=spaced), None, items)


def _kept(sequences: Sequences, share: int) -> Sequences:
    """Return sequences that take little of the worker's memory: large ones are put into a file."""
    items: Any = sequences.items
    if not all(isinstance(item, np.memmap) for item in items):
        worker = cpu.once.imported("distributed").get_worker()
        limit = worker.memory_manager.memory_limit or np.inf
        if share * sum(item.nbytes for item in items) <= _IN_MEMORY * limit:
            return sequences
        items = _written(items, worker.local_directory)
    on_disk: list[Any] = [OnDisk(item) for item in items]
    return replace(sequences, items=on_disk)


def _written(items: list[np.ndarray], directory: str) -> list[np.ndarray]:
    """Return sequences as memory maps of a file without a name, whose space is freed with them."""
    with tempfile.TemporaryFile(dir=directory) as file:
        starts = []
        for item in items:
            file.write(bytes(-file.tell() % item.itemsize))
            starts.append(file.tell())
            file.write(np.ascontiguousarray(item).data)
        file.flush()
        data = np.memmap(file, np.uint8, "r")
    return [
        data[start : start + item.nbytes].view(item.dtype).reshape(item.shape)
        for start, item in zip(starts, items, strict=True)
    ]
