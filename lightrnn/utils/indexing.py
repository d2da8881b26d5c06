"""Index and cut arrays, lists and tables in the same way."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def take(values: Any, indices: np.ndarray) -> Any:
    """Return the items of an array or a list at the given indices.

    Parameters
    ----------
    values : ndarray or list
        The values.
    indices : ndarray of int, shape (m,)
        Positions along the first axis.

    Returns
    -------
    ndarray or list
        An array if `values` is one, else a list, with m items.

    Examples
    --------
    >>> take(["a", "b", "c"], np.array([2, 0]))
    ['c', 'a']
    """
    if isinstance(values, np.ndarray):
        return values[indices]
    return [values[i] for i in indices.tolist()]


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


def take_rows(values: Any, rows: np.ndarray) -> Any:
    """Return the items of whatever a user gave for X or y, in the same form.

    Parameters
    ----------
    values : list, tuple, array-like or DataFrame
        The items.
    rows : ndarray of int, shape (m,)
        Their positions.

    Returns
    -------
    list, array-like or DataFrame
        m items.

    Examples
    --------
    >>> take_rows(("a", "b", "c"), np.array([2, 0]))
    ['c', 'a']
    """
    if isinstance(values, Sequence):
        return take(values, rows)
    return values.iloc[rows] if hasattr(values, "iloc") else values[rows]
