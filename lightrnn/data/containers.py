"""Turn containers of other libraries into lists of sequences, or say which line of code does.

Read as they are meant: a PackedSequence or nested tensor of PyTorch, a long DataFrame whose index
is (instance, time), a nested DataFrame with a series in each cell. Mappings, groups, iterators and
long DataFrames with a column that names the sequence leave something open, mostly the order of y:
they are errors with the list comprehension that says it.
"""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np

from ..utils.checks import shown
from .arrays import as_array, is_arrow, is_tensor


def unwrapped(X: Any, name: str = "X") -> Any:
    """Return X as it is, or as a list of sequences if another library's container holds them.

    Parameters
    ----------
    X : object
        The user's data.
    name : str, default="X"
        Name of X in messages.

    Raises
    ------
    TypeError
        If X is a mapping, a grouping, an iterator, or a DataFrame of text and numbers.
    ValueError
        If the steps of an instance are not in the order of time, or the series in a row of a
        nested DataFrame differ in length.

    Examples
    --------
    >>> unwrapped([[1, 2], [3]])
    [[1, 2], [3]]
    >>> unwrapped({"a": [1, 2], "b": [3]})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    TypeError: X must be an array, a DataFrame or a list, got {'a': [1, 2], 'b': [3]}. ...
    """
    if isinstance(X, np.ndarray):
        return X
    if hasattr(X, "batch_sizes") and is_tensor(X.data):
        return _unpacked(X)
    if is_tensor(X):
        return list(X.unbind()) if getattr(X, "is_nested", False) else X
    if hasattr(X, "iloc"):
        return _read_frame(X, name)
    _refuse(X, name)
    return X


def _unpacked(X: Any) -> list[np.ndarray]:
    """Return the sequences of a PackedSequence in their first order."""
    data = as_array(X.data, "X.data", "")  # step by step, the longest sequence first
    counts = as_array(X.batch_sizes, "X.batch_sizes", "").astype(int)  # sequences at each step
    starts = np.cumsum(counts) - counts
    lengths = (counts[:, None] > np.arange(counts[0])).sum(axis=0)
    items = [data[starts[:T] + i] for i, T in enumerate(lengths.tolist())]
    if X.unsorted_indices is None:
        return items
    return [items[i] for i in as_array(X.unsorted_indices, "X.unsorted_indices", "").tolist()]


# -- DataFrames -----------------------------------------------------------------------------------


def _read_frame(X: Any, name: str) -> Any:
    """Return the sequences of a long or nested DataFrame; a table, or a Series, as it is."""
    if getattr(X.index, "nlevels", 1) > 1:
        return _instances(X, name)
    if X.ndim == 1 or not len(X):
        return X
    # Only columns of objects can hold text or series.
    columns = [list(X.iloc[:, i]) if kind.kind in "OTU" else [] for i, kind in enumerate(X.dtypes)]
    if all(columns) and all(map(_is_series, chain.from_iterable(columns))):
        return _rows(X, name)
    is_text = [any(isinstance(cell, str) for cell in column) for column in columns]
    if any(is_text) and not all(is_text):
        column = X.columns[is_text.index(True)]
        raise TypeError(
            f"{name} must hold text or numbers alone, got text in column {shown(column)} and none "
            f"in column {shown(X.columns[is_text.index(False)])}. Encode it as numbers, or if "
            f"it names the sequence of each row: {_grouped(name, column)}."
        )
    return X


def _instances(X: Any, name: str) -> list[Any]:
    """Return one DataFrame per instance of an index (instance, time), as they first occur."""
    if X.ndim == 2 and X.shape[1] == 1 and X.dtypes.iloc[0].kind in "OTU":
        X = X.iloc[:, 0]  # a column of tokens: each sequence is a list of them
    instances = []
    for key, steps in X.groupby(level=list(range(X.index.nlevels - 1)), sort=False):
        times = steps.index.get_level_values(-1)
        if not (times.is_monotonic_increasing and times.is_unique):
            raise ValueError(
                f"{name} must have the steps of each instance in the order of time, one each, got "
                f"others for instance {shown(key[0] if len(key) == 1 else key)}. "
                f"Sort them: {name}.sort_index()."
            )
        instances.append(steps)
    return instances


def _is_series(cell: Any) -> bool:
    """Whether a cell of a DataFrame holds a series of its own."""
    return isinstance(cell, (list, tuple, np.ndarray)) or hasattr(cell, "to_numpy")


def _rows(X: Any, name: str) -> list[Any]:
    """Return one DataFrame per row of a nested DataFrame, whose cells hold a series each."""
    if X.shape[1] == 1:
        return list(X.iloc[:, 0])
    rows = []
    for i, cells in enumerate(X.itertuples(index=False, name=None)):
        lengths = list(map(len, cells))
        if len(set(lengths)) > 1:
            raise ValueError(
                f"{name} must have series of one length in each row, got {shown(lengths)} steps in "
                f"row {i}. Cut or fill them."
            )
        series = [as_array(cell, f"{name} in row {i}", "Give a series.") for cell in cells]
        rows.append(type(X)(np.column_stack(series), columns=X.columns))
    return rows


def refuse_long_frame(names: Any, items: list[np.ndarray], n: int) -> None:
    """Raise a ValueError if a table with n targets looks long: one row per step of n sequences.

    Parameters
    ----------
    names : ndarray of str (T,)
        Names of the columns.
    items : list of ndarray (T, 1)
        The rows.
    n : int
        Number of targets.
    """
    table = np.array(items)[..., 0]
    for name, column in zip(names, table.T, strict=True):
        if n == len(np.unique(column)) < len(items):
            raise ValueError(
                f"X has {len(items)} sequences but y has {n}: each row of a DataFrame is one. If "
                f"{shown(name)} names the sequence of each row: {_grouped('X', name)}."
            )


def _grouped(name: str, column: Any) -> str:
    """Return the lines of code that cut a long DataFrame into sequences, with a time or without."""
    column = shown(column)
    return (
        f"{name} = lightrnn.preprocessing.as_sequences({name}, form='long', sequence={column}, "
        f"time=<the column of the time>), or if there is none: {name} = "
        f"[x.drop(columns={column}) for _, x in {name}.groupby({column}, sort=False)]"
    )


# -- what leaves something open -------------------------------------------------------------------


def _is_keyed(x: Any) -> bool:
    """Whether an item of a list is the key of a group and the group, a DataFrame or Series."""
    return type(x) is tuple and len(x) == 2 and hasattr(x[1], "iloc")


def _refuse(X: Any, name: str) -> None:
    """Raise a TypeError for a container whose items must be put into a list first."""
    if hasattr(X, "shape") or is_arrow(X):
        return  # an array of another library
    if isinstance(X, Mapping):
        remedy = f"Give its values, X and y in one order: [{name}[key] for key in {name}]."
    elif hasattr(X, "get_group"):
        key = getattr(X, "keys", None)
        _, group = next(iter(X), ("", ()))
        held = isinstance(key, str) and X.ndim == 2 and key in group  # not if columns were chosen
        column = f".drop(columns={key!r})" if held else ""
        remedy = f"Give its groups, X and y in one order: [x{column} for _, x in {name}]."
    elif isinstance(X, (list, tuple)):
        if not X or not all(map(_is_keyed, X)):
            return
        remedy = f"Leave the keys out: [x for _, x in {name}]."
    elif isinstance(X, Iterable) and not isinstance(X, (str, bytes)):
        remedy = f"Give a list: list({name})."
    else:
        return
    raise TypeError(f"{name} must be an array, a DataFrame or a list, got {shown(X)}. {remedy}")
