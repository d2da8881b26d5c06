"""Sequences in the layouts of other libraries, as lists of arrays (T, F)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..utils.checks import choice, shown
from .arrays import as_array
from .containers import unwrapped

_NUMBERS = "Give numbers."


def as_sequences(data: Any, form: str, *, lengths: Any = None) -> list[np.ndarray]:
    """Return sequences in another library's layout as a list of arrays, one per sequence.

    Parameters
    ----------
    data : array-like, DataFrame, or list of arrays
        The sequences.
    form : {"aeon", "sktime", "tslearn", "hmmlearn", "long"}
        The layout.

        - "aeon": an array (n, channels, time), or a list of arrays (channels, T_i).
        - "sktime": a DataFrame whose index is (instance, time), "pd-multiindex"; a nested
          DataFrame; or an array (n, channels, time).
        - "tslearn": an array (n, time, features) that NaN fill up at the end.
        - "hmmlearn": an array (sum of lengths, features), and `lengths`.
        - "long": a DataFrame whose first column names the sequence and whose second one is the
          time, the others being the features. Rows may stand in any order; the sequences come in
          the order in which their names first occur.
    lengths : array-like of int, shape (n,), optional
        The number of steps of each sequence, for "hmmlearn".

    Returns
    -------
    sequences : list of ndarray (T_i, F)
        The sequences; the estimators take them as X.

    Raises
    ------
    TypeError, ValueError
        If `data` does not have the layout.

    Examples
    --------
    >>> import numpy as np
    >>> from lightrnn.preprocessing import as_sequences
    >>> [x.shape for x in as_sequences(np.zeros((2, 3, 50)), form="aeon")]
    [(50, 3), (50, 3)]
    >>> [x.shape for x in as_sequences(np.zeros((7, 3)), form="hmmlearn", lengths=[5, 2])]
    [(5, 3), (2, 3)]
    """
    choice("form", form, tuple(_READERS))
    if (lengths is not None) != (form == "hmmlearn"):
        raise ValueError(
            "lengths must be given for form='hmmlearn' and no other, got "
            f"{shown(lengths)} for {form!r}."
        )
    if form == "hmmlearn":
        return _concatenated(data, lengths)
    return _READERS[form](data)


def _channels_first(data: Any) -> list[np.ndarray]:
    """Return the sequences of (n, channels, time), or of a list of (channels, T_i)."""
    items = data if isinstance(data, (list, tuple)) else _array(data, 3, "(n, channels, time)")
    arrays = [as_array(item, f"data[{i}]", _NUMBERS) for i, item in enumerate(items)]
    for i, array in enumerate(arrays):
        if array.ndim != 2:
            raise ValueError(
                f"data[{i}] must have the shape (channels, time), got {shown(array)}. "
                "A series of one channel has the shape (1, time)."
            )
    return [array.T for array in arrays]


def _array(data: Any, axes: int, shape: str) -> np.ndarray:
    """Return data as an array after a check of the number of its axes."""
    array = as_array(data, "data", _NUMBERS)
    if array.ndim != axes:
        raise ValueError(f"data must have the shape {shape}, got {shown(array)}.")
    return array


def _of_sktime(data: Any) -> list[np.ndarray]:
    """Return the sequences of a DataFrame of sktime's, or of an array."""
    if not hasattr(data, "columns"):
        return _channels_first(data)
    items = unwrapped(data, "data")
    if items is data:
        raise ValueError(
            f"data must have an index (instance, time) or series in its cells, got {shown(data)}. "
            "A DataFrame with columns for both has form='long'."
        )
    return [as_array(item, f"data[{i}]", _NUMBERS) for i, item in enumerate(items)]


def _without_padding(data: Any) -> list[np.ndarray]:
    """Return the sequences of an array that NaN fill up at the end."""
    array = _array(data, 3, "(n, time, features)").astype(np.float64, copy=False)
    there = np.logical_not(np.isnan(array).all(axis=2))
    lengths = there.shape[1] - there[:, ::-1].argmax(axis=1)
    empty = np.flatnonzero(~there.any(axis=1))
    if len(empty):
        raise ValueError(
            f"data[{empty[0]}] must have at least one step, got NaN alone. "
            "Leave empty sequences out."
        )
    return [rows[:T] for rows, T in zip(array, lengths, strict=True)]


def _concatenated(data: Any, lengths: Any) -> list[np.ndarray]:
    """Return the sequences of an array in which they stand one after another."""
    array = as_array(data, "data", _NUMBERS)
    array = array[:, None] if array.ndim == 1 else array
    counts = np.asarray(lengths)
    whole = counts.ndim == 1 and counts.dtype.kind in "iu" and (counts > 0).all()
    if not whole or counts.sum() != len(array):
        raise ValueError(
            f"lengths must be positive integers with the sum {len(array)}, the rows of data, got "
            f"{shown(lengths)}."
        )
    return np.split(array, np.cumsum(counts)[:-1])


def _of_long(data: Any) -> list[np.ndarray]:
    """Return the sequences of a DataFrame with columns for name and time."""
    if not hasattr(data, "columns") or len(data.columns) < 3:
        raise ValueError(
            f"data must be a DataFrame with columns for name, time and features, got {shown(data)}."
        )
    names, times, *features = (
        np.asarray(data[column]) for column in data.columns
    )  # pandas and polars alike
    _, first, codes = np.unique(names, return_index=True, return_inverse=True)
    codes = np.argsort(np.argsort(first))[codes]  # numbered as they first occur
    order = np.lexsort((times, codes))
    again = (np.diff(codes[order]) == 0) & (times[order][1:] == times[order][:-1])
    if again.any():
        row = order[1:][again][0]
        raise ValueError(
            f"data must have one row for each time of a sequence, got {shown(times[row])} twice "
            f"for {shown(names[row])}."
        )
    rows = np.column_stack(features)[order]
    return np.split(rows, np.cumsum(np.bincount(codes))[:-1])


_READERS: dict[str, Callable[..., list[np.ndarray]]] = {
    "aeon": _channels_first,
    "sktime": _of_sktime,
    "tslearn": _without_padding,
    "hmmlearn": _concatenated,
    "long": _of_long,
}
