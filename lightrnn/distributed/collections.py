"""Dask's collections, and lists of partitions: cut into blocks, and computed on the client."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from .. import cpu
from ..data.arrays import as_array
from ..utils.checks import shown


@dataclass(frozen=True)
class Blocks:
    """Partitions of sequences in the order in which they were given.

    Attributes
    ----------
    blocks : list of Delayed or Future
        The partitions.
    column : None
        No column names sequences.
    """

    blocks: list[Any]
    column: ClassVar[None] = None

    def arranged(self, values: Any, name: str, step: bool) -> Any:
        """Return targets or weights as they are; see `LongFrame`."""
        return values


def is_collection(values: Any) -> bool:
    """Return whether values are in partitions: a collection of dask, or a list of Delayed."""
    if isinstance(values, (list, tuple)):
        return bool(values) and all(map(_is_block, values))
    return not _is_block(values) and hasattr(values, "to_delayed")


def _is_block(value: Any) -> bool:
    """Return whether an object stands for one partition: a Delayed or a Future."""
    # By class: a Delayed has every attribute. Without dask there are none.
    classes = (("dask.delayed", "Delayed"), ("distributed", "Future"))
    found = [
        getattr(sys.modules[module], name) for module, name in classes if module in sys.modules
    ]
    return isinstance(value, tuple(found))


def blocks_of(values: Any, name: str) -> list[Any]:
    """Return the partitions of a collection as Delayed or Futures.

    Parameters
    ----------
    values : dask.array, dask.dataframe, dask.bag, or list of Delayed or Future
        Only the first axis of an array may be cut.
    name : str
        Name of the values in messages.

    Raises
    ------
    TypeError
        If they are in memory, or of another kind.
    """
    if not is_collection(values):
        raise TypeError(
            f"{name} must be a collection of dask, or a list of Delayed or Future with a partition "
            f"each, got {shown(values)}. Cut it, as in dask.array.from_array({name}, "
            "chunks=(1000, ...)); or fit the estimator that is not on dask."
        )
    if isinstance(values, (list, tuple)):
        return list(values)
    if hasattr(values, "map_partitions") and hasattr(values, "fold"):
        values = values.map_partitions(list)  # partitions of a bag may be iterators
    if hasattr(values, "rechunk"):
        whole = dict.fromkeys(range(1, values.ndim), -1)
        values = values.rechunk(whole) if whole else values
    blocks: list[Any] = np.ravel(values.to_delayed()).tolist()
    return blocks


def computed(client: Any, values: Any, name: str) -> list[Any] | None:
    """Return the partitions of y or sample_weight, computed; None if they are in memory already."""
    if not is_collection(values):
        return None
    return gathered(client, blocks_of(values, name))


def gathered(client: Any, blocks: list[Any]) -> list[Any]:
    """Return the values of Delayed or Futures; an error leaves nothing on the cluster."""
    futures = client.compute(blocks)
    try:
        return list(client.gather(futures))
    finally:
        # The traceback of an error would keep them.
        for future, block in zip(futures, blocks, strict=True):
            if future is not block:
                future.release()


def concatenated(parts: list[Any], name: str) -> Any:
    """Return the values of all partitions: an array, a list if the partitions are lists."""
    if all(hasattr(part, "iloc") for part in parts):
        return cpu.once.imported("pandas").concat(parts)  # the index may say which is which
    if all(isinstance(part, (list, tuple)) for part in parts):
        return list(chain.from_iterable(parts))
    return np.concatenate([as_array(part, name, "Give an array.") for part in parts])


def check_counts(parts: list[Any], counts: np.ndarray, name: str) -> None:
    """Raise a ValueError unless y has as many rows in each partition as X has sequences."""
    found = list(map(len, parts))
    if len(found) != len(counts):
        raise ValueError(
            f"{name} must have {len(counts)} partitions as X has, got {len(found)}. Rechunk {name}."
        )
    wrong = np.flatnonzero(np.array(found) != counts)
    if len(wrong):
        number = wrong[0]
        raise ValueError(
            f"{name} must have {counts[number]} rows in partition {number} as X has sequences, got "
            f"{found[number]}. Rechunk {name}."
        )


def mapped(function: Any, X: Any, tail: tuple[int, ...], dtype: Any) -> Any:
    """Return the lazy results of a function of each partition.

    Parameters
    ----------
    function : callable
        (partition) -> array (n, *tail), or a list.
    X : dask.array, or another collection
        Its partitions.
    tail : tuple of int
        Shape of the result for one sequence.
    dtype : dtype or None
        Of the results of a dask.array; None: they stay lists of Delayed.

    Returns
    -------
    dask.array, or list of Delayed
        An array of results if X is one and they are arrays.
    """
    delayed = cpu.once.imported("dask").delayed(_applied, pure=False, traverse=False)
    results = [delayed(function, block) for block in blocks_of(X, "X")]
    if dtype is None:
        return results
    array = cpu.once.imported("dask.array")
    pieces = [
        array.from_delayed(result, (rows, *tail), dtype)
        for result, rows in zip(results, X.chunks[0], strict=True)
    ]
    return array.concatenate(pieces)


def _applied(function: Any, block: Any) -> Any:
    """Return the result of a function of a partition, of an empty one an empty list."""
    return function(block) if len(block) else []
