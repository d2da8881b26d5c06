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
    """Return whether values are in partitions: a collection of dask, one Delayed, or a list."""
    if isinstance(values, (list, tuple)):
        return bool(values) and all(map(is_block, values))
    return is_block(values) or hasattr(values, "to_delayed")


def is_block(value: Any) -> bool:
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
    values : dask.array, dask.dataframe, dask.bag, Delayed, Future, or list of the last two
        Only the first axis of an array is cut in the result.
    name : str
        Name of the values in messages.

    Raises
    ------
    TypeError
        If they are in memory, or of another kind.
    """
    if isinstance(values, (list, tuple)) and any(map(is_block, values)):
        for i, value in enumerate(values):
            if not is_block(value):
                raise TypeError(
                    f"{name}[{i}] must be a Delayed or Future, as other partitions of the list "
                    f"are, got {shown(value)}. Wrap it: dask.delayed({name}[{i}])."
                )
    if not is_collection(values):
        cut = f"dask.array.from_array({name}, chunks=(1000, ...))"
        if isinstance(values, (list, tuple)):
            cut = f"dask.bag.from_sequence({name})"
        raise TypeError(
            f"{name} must be a collection of dask, or a list of Delayed or Future with a partition "
            f"each, got {shown(values)}. Cut it, as in {cut}; or fit the estimator that is not on "
            "dask."
        )
    if is_block(values):
        return [values]
    if isinstance(values, (list, tuple)):
        return list(values)
    if _is_bag(values):
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


def joined(parts: list[Any], name: str) -> Any:
    """Return the sequences of all partitions: an array or DataFrame if they have one form."""
    if len({(type(part), getattr(part, "shape", ())[1:]) for part in parts}) == 1:
        return concatenated(parts, name)
    return list(chain.from_iterable(parts))


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


def mapped(function: Any, X: Any, sample: Any, columns: Any = None) -> Any:
    """Return the lazy results of a function of each partition, as far as can be in the form of X.

    Parameters
    ----------
    function : callable
        (partition) -> array (n, ...), or a list.
    X : dask.array, or another collection
        Its partitions.
    sample : ndarray or other
        The result for one sequence; if it is no array, results are not joined to one.
    columns : sequence, optional
        Names of the results' columns, where X is a DataFrame.

    Returns
    -------
    dask.array, dask.bag, dask.dataframe, or list of Delayed
    """
    delayed = cpu.once.imported("dask").delayed
    # One task for the function: each worker gets the network once.
    whole = delayed(function, pure=False, traverse=False)
    apply = delayed(_applied, pure=False, traverse=False)
    blocks = blocks_of(X, "X")
    results = [apply(whole, block) for block in blocks]
    joins = isinstance(sample, np.ndarray)
    if _is_bag(X):
        return cpu.once.imported("dask.bag").from_delayed(results)
    if joins and hasattr(X, "chunks"):
        array = cpu.once.imported("dask.array")
        shapes = [(rows, *sample.shape[1:]) for rows in X.chunks[0]]
        pieces = [
            array.from_delayed(result, shape, sample.dtype)
            for result, shape in zip(results, shapes, strict=True)
        ]
        return array.concatenate(pieces)
    if joins and hasattr(X, "divisions"):
        label = delayed(_with_index, pure=False, traverse=False)
        parts = [label(*pair, columns) for pair in zip(results, blocks, strict=True)]
        meta = in_frame(sample[:0], X._meta.index[:0], columns)
        frames = cpu.once.imported("dask.dataframe")
        return frames.from_delayed(parts, meta, X.divisions, verify_meta=False)
    return results


def in_frame(values: np.ndarray, index: Any, columns: Any) -> Any:
    """Return values as a Series, or as a DataFrame of these columns."""
    pandas = cpu.once.imported("pandas")
    if values.ndim == 1:
        return pandas.Series(values, index)
    return pandas.DataFrame(values, index, columns)


def _is_bag(values: Any) -> bool:
    """Return whether values are a bag of dask."""
    return hasattr(values, "map_partitions") and hasattr(values, "fold")


def _applied(function: Any, block: Any) -> Any:
    """Return the result of a function of a partition, of an empty one an empty list."""
    return function(block) if len(block) else []


def _with_index(values: Any, block: Any, columns: Any) -> Any:
    """Return the results of a partition that is a DataFrame, one for each of its rows."""
    return in_frame(np.asarray(values), block.index, columns)
