"""Index and cut arrays, lists and tables in the same way."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def take(values: Any, indices: np.ndarray) -> Any:
    """Return the items of an array, a list or a DataFrame at the given indices.

    Parameters
    ----------
    values : ndarray, list, tuple or DataFrame
        The values.
    indices : ndarray of int, shape (m,)
        Positions along the first axis.

    Returns
    -------
    ndarray, list or DataFrame
        The m items, in a list if `values` is a list or a tuple.

    Examples
    --------
    >>> take(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    if isinstance(values, Sequence):
        return [values[i] for i in indices.tolist()]
    return (values.iloc if hasattr(values, "iloc") else values)[indices]


def split(values: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Cut concatenated values into one view per sequence.

    Examples
    --------
    >>> split(np.arange(5), np.array([2, 3]))
    [array([0, 1]), array([2, 3, 4])]
    """
    # Slices: np.split takes several times as long for many short sequences.
    return [
        values[end - T : end]
        for end, T in zip(np.cumsum(lengths).tolist(), lengths.tolist(), strict=True)
    ]


def object_array(items: Sequence[Any]) -> np.ndarray:
    """Return the items as an array of objects with one axis, even if all are arrays of one shape.

    Examples
    --------
    >>> object_array([np.zeros(3), np.zeros(3)]).shape
    (2,)
    """
    # Made empty first: np.array would turn items of equal shape into further axes.
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
