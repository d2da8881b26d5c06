"""Sequences in the layouts of other libraries, as lists of arrays (T, F)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import numpy as np

from ..exceptions import warn
from ..utils.checks import choice, shown
from .arrays import as_array, as_numbers, is_missing
from .containers import unwrapped

_NUMBERS = "Give numbers."


def as_sequences(
    data: Any, form: str, *, lengths: Any = None, sequence: Any = None, time: Any = None
) -> list[np.ndarray]:
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
        - "long": a DataFrame with a row for each step: a column names the sequence, another one
          is the time, and all others are features. Rows may stand in any order; the sequences come
          in the order in which their names first occur.
    lengths : array-like of int, shape (n,), optional
        The number of steps of each sequence, for "hmmlearn".
    sequence : str, optional
        The column that names the sequence, for "long"; by default the first one.
    time : str, optional
        The column of the time, for "long"; by default the first one that is not the sequence.

    Returns
    -------
    sequences : list of ndarray (T_i, F)
        The sequences; the estimators take them as X. The names of columns are not kept, so that
        data to predict must have the columns of `fit` in the same order.

    Raises
    ------
    TypeError, ValueError
        If `data` does not have the layout.

    Warns
    -----
    UserWarning
        If each sequence of a long DataFrame has a single step.

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
    if form == "long":
        return _of_long(data, sequence, time)
    for name, column in (("sequence", sequence), ("time", time)):
        if column is not None:
            raise ValueError(
                f"{name} must be None for form={form!r}, got {shown(column)}. "
                "It is a column for form='long'."
            )
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
    array = as_numbers(_array(data, 3, "(n, time, features)"), "data")
    array = array.astype(np.float64, copy=False)
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


def _of_long(data: Any, sequence: Any, time: Any) -> list[np.ndarray]:
    """Return the sequences of a DataFrame with columns for name and time."""
    if not hasattr(data, "columns") or len(data.columns) < 3 or not len(data):
        raise ValueError(
            "data must be a DataFrame with a row for each step and columns for name, time and "
            f"features, got {shown(data)}."
        )
    sequence, time, *features = _columns(list(data.columns), sequence, time)
    names = np.asarray(data[sequence]).tolist()  # pandas and polars alike
    times = np.asarray(data[time])
    values = [_feature(np.asarray(data[column]), column) for column in features]
    numbers: dict[Any, int] = {}  # of the names, as they first occur
    codes = np.array([numbers.setdefault(name, len(numbers)) for name in names])
    _refuse_missing(numbers, sequence)
    _refuse_missing(times.tolist(), time)
    try:
        order = np.lexsort((times, codes))
    except TypeError as error:
        raise TypeError(
            f"data must have times of one type, got {shown(times.tolist())} in column "
            f"{shown(time)}. Convert them."
        ) from error
    again = (np.diff(codes[order]) == 0) & (times[order][1:] == times[order][:-1])
    if again.any():
        row = order[1:][again][0]
        raise ValueError(
            f"data must have one row for each time of a sequence, got {shown(times[row])} twice "
            f"for {shown(names[row])}."
        )
    if 1 < len(numbers) == len(codes):
        warn(
            UserWarning,
            f"data is read as {len(codes)} sequences of one step, each with a name of its own in "
            f"column {shown(sequence)}. If another column names the sequence of each row, give "
            "sequence=<that column> and time=<the column of the time>.",
        )
    rows = np.column_stack(values)[order]
    return np.split(rows, np.cumsum(np.bincount(codes))[:-1])


def _columns(columns: list[Any], sequence: Any, time: Any) -> list[Any]:
    """Return the columns of a long DataFrame, that of the sequence first, then that of the time."""
    if len(set(columns)) < len(columns):
        raise ValueError(
            f"data must have columns of different names, got {shown(columns)}. Rename some."
        )
    for name, column in (("sequence", sequence), ("time", time)):
        if column is not None and column not in columns:
            raise ValueError(
                f"{name} must be a column of data, got {shown(column)} where the columns are "
                f"{shown(columns)}."
            )
    others = [column for column in columns if column not in (sequence, time)]
    sequence = others.pop(0) if sequence is None else sequence
    time = others.pop(0) if time is None else time
    if not others or sequence == time:
        raise ValueError(
            "sequence and time must be two columns of data besides the features, got "
            f"{shown(sequence)} and {shown(time)} of {shown(columns)}."
        )
    return [sequence, time, *others]


def _refuse_missing(keys: Iterable[Any], column: Any) -> None:
    """Raise a ValueError if a name or a time is missing."""
    if any(map(is_missing, keys)):
        raise ValueError(
            f"data must name the sequence and the time of each row, got a missing value in column "
            f"{shown(column)}. Fill it in, or leave such rows out."
        )


def _feature(values: np.ndarray, column: Any) -> np.ndarray:
    """Return the values of a feature, which are numbers."""
    if values.dtype.kind == "O":
        others = [value for value in values if isinstance(value, (str, date))]
    else:
        others = list(values[: values.dtype.kind in "mMTU"])
    if others:
        raise TypeError(
            f"data must hold numbers in each column of features, got {shown(others[0])} in "
            f"column {shown(column)}. Leave it out: data.drop(columns={shown(column)}). If it is "
            "the sequence or the time, name it in `sequence` or `time`."
        )
    return values


_READERS: dict[str, Callable[..., list[np.ndarray]]] = {
    "aeon": _channels_first,
    "sktime": _of_sktime,
    "tslearn": _without_padding,
    "hmmlearn": _concatenated,
    "long": _of_long,
}
