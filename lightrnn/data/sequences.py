"""Check X once and turn every accepted form of it into `Sequences`.

A list, tuple or object array holds one sequence per item, of any length: `(T, F)` arrays or
DataFrames, `(T,)` for a single feature, `(T, h, w[, c])` frames, nested lists of numbers. An array
with 3 to 5 axes holds sequences of one length. A 2-D array, a DataFrame or a rectangular list of
lists of numbers is a table: each of its rows is a sequence of one feature. `containers.py` reads
those of other libraries. Anything else is an error with its remedy.

Arrays and tables of sequences of different lengths are filled up with NaN, as those of the UCR
archive are: the steps at a sequence's end in which every feature is NaN are not part of it. The
items of a list have lengths of their own, so a NaN in them is a missing value wherever it is.

Items stay views of the user's data, in their own dtype, so that a list of memory maps is never
copied whole. That every value is finite in the network's dtype is checked here; the cast itself
happens batch by batch.
"""

import math
import numbers
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..utils.checks import shown
from ..utils.tables import counted
from .arrays import as_array, as_numbers, first_bad, first_not_finite, text_found
from .containers import unwrapped
from .feature_names import column_names, columns_of
from .on_disk import blocks, release_pages

_JOINED = 8192  # numbers of the sequences that are checked together


@dataclass(frozen=True, slots=True, eq=False)
class Sequences:
    """Sequences that `as_sequences` has checked.

    Attributes
    ----------
    items : list of ndarray, each (T_i, F)
        float, int or bool of any width; views of the user's data where possible. As the network
        reads them, they may be what becomes an array late, such as `patches.LazyPatches`.
    lengths : ndarray of int64, shape (n,)
        T_i, each at least 1.
    n_features : int
        F, at least 1.
    is_table : bool
        Whether X was a table, whose rows are sequences of one feature.
    width : int
        Steps of each sequence of an array or a table, with the NaN that fill it up; 0 for a list.
    feature_names : ndarray of str (dtype object) or None
        Names of the columns, if X was a DataFrame (T names) or a list of DataFrames (F names).
    """

    items: list[np.ndarray]
    lengths: np.ndarray
    n_features: int
    is_table: bool = False
    width: int = 0
    feature_names: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of sequences."""
        return len(self.items)


def as_sequences(
    X: Any,
    dtype: npt.DTypeLike = np.float32,
    *,
    name: str = "X",
    missing: bool = False,
) -> Sequences:
    """Check X and return it as `Sequences`.

    Parameters
    ----------
    X : list, tuple, ndarray, DataFrame or Sequences
        In any of the forms that this module's docstring lists; `Sequences` are returned as they
        are.
    dtype : dtype, default=numpy.float32
        float32 or float64, the network's precision: every value must be finite in it.
    name : str, default="X"
        Name of X in messages.
    missing : bool, default=False
        Whether NaN stand for missing values, and are let through.

    Returns
    -------
    Sequences

    Raises
    ------
    TypeError
        If X is sparse, text, None, a mapping, or holds anything but real numbers.
    ValueError
        If X is empty or complex, a sequence has no step or no feature, feature counts differ, a
        nested list is ragged inside a sequence, or a value is infinite, too large for `dtype`, or
        NaN where that does not end a row of an array.

    Examples
    --------
    >>> import numpy as np
    >>> X = as_sequences([np.zeros((3, 2)), np.ones((5, 2))])
    >>> X.lengths, X.n_features, X.is_table
    (array([3, 5]), 2, False)
    >>> X = as_sequences(np.array([[1.0, 2.0, 3.0], [4.0, np.nan, np.nan]]))
    >>> X.lengths, X.width, X.is_table
    (array([3, 1]), 3, True)
    """
    if isinstance(X, Sequences):
        return X
    X = unwrapped(X, name)
    # Lists are read item by item, even rectangular ones, so that messages can name the item.
    if type(X) not in (list, tuple):
        array = _array(X, name)
        if array.dtype.kind != "O" or array.ndim != 1:
            return _from_array(array, X, dtype, name, missing)
        X = array.tolist()
    return _from_items(X, dtype, name, missing)


def as_series(series: Any) -> np.ndarray:
    """Return one long series, array-like (T,) or (T, F), as an array (T, F) of finite numbers."""
    steps = as_array(unwrapped(series, "series"), "series", "Give one row per step.")
    if steps.ndim not in (1, 2):
        raise ValueError(
            f"series must be (T,) or (T, F), got shape {steps.shape}. "
            "Flatten each step's axes into F features first."
        )
    if steps.size == 0:
        raise ValueError(
            f"series must have steps and features, got shape {steps.shape}. Pass some data."
        )
    if steps.dtype.kind not in "fiubO":
        raise TypeError(
            f"series must hold real numbers, got dtype {steps.dtype}. Convert it to floats first."
        )
    steps = as_numbers(steps, "series").reshape(len(steps), -1)
    _check_steps(steps, np.float64, "series")
    return steps


def _from_array(
    array: np.ndarray,
    X: Any,
    dtype: npt.DTypeLike,
    name: str,
    missing: bool,
) -> Sequences:
    """Return the sequences of an array of 2 to 5 axes."""
    if not 2 <= array.ndim <= 5:
        raise ValueError(_wrong_axes(array, name))
    if len(array) == 0:
        raise ValueError(
            f"{name} must hold at least one sequence, got 0 sample(s) (shape={array.shape}). "
            "Pass data."
        )
    array = as_numbers(array, name)
    T = array.shape[1]
    F = math.prod(array.shape[2:])  # 1 for a table, which has no axis of features
    if T * F == 0:
        raise ValueError(
            f"{name} must have steps and features, got 0 feature(s) (shape={array.shape}) "
            "while a minimum of 1 is required. Pass arrays without an empty axis."
        )
    items = list(array[:, :, None] if array.ndim == 2 else array)
    if array.ndim > 3:
        # One by one: reshaping all at once would copy a whole array of another memory order.
        items = [frames.reshape(T, F) for frames in items]
    # One pass over the whole array is faster; only after a hit are the sequences looked at.
    if first_not_finite(blocks(array), dtype) is not None:
        items = _cut(items, name)
        _check_finite(items, dtype, name, missing, _hint_for_swapped_axes)
    return Sequences(
        items,
        _lengths(items),
        n_features=F,
        is_table=array.ndim == 2,
        width=T,
        feature_names=column_names(X),
    )


def _lengths(items: list[np.ndarray]) -> np.ndarray:
    return np.fromiter(map(len, items), np.int64, len(items))


def _cut(items: list[np.ndarray], name: str) -> list[np.ndarray]:
    """Return sequences of an array without the steps at their ends that are nothing but NaN."""
    cut = []
    for i, item in enumerate(items):
        if item.dtype.kind == "f" and np.isnan(item[-1]).all():
            present = np.flatnonzero(~np.isnan(item).all(axis=1))
            if not len(present):
                raise ValueError(
                    f"{name}[{i}] must be finite, got NaN at every step. In an array, NaN "
                    "at a sequence's end are no steps: leave empty sequences out, in y too."
                )
            item = item[: present[-1] + 1]
        cut.append(item)
    return cut


def _wrong_axes(array: np.ndarray, name: str) -> str:
    """Return the message for a wrong number of axes; for one axis with scikit-learn's hint."""
    text = f"{name} must be a list of sequences or an array with 2 to 5 axes, got {shown(array)}."
    if array.ndim > 1:
        return f"{text} Flatten each step's axes first."
    return (
        f"{text} Reshape your data: [{name}] is one sequence of one feature, "
        f"{name}.reshape(-1, 1) is many of one step."
    )


def _from_items(X: Sequence[Any], dtype: npt.DTypeLike, name: str, missing: bool) -> Sequences:
    """Return the sequences of a list, each item checked."""
    if not X:
        raise ValueError(
            f"{name} must hold at least one sequence, got an empty {type(X).__name__}. "
            "Pass some data."
        )
    # A flat list of numbers may be one sequence or many of one step: that is for the user to say.
    if all(isinstance(x, (numbers.Number, np.generic)) for x in X):
        raise ValueError(_wrong_axes(np.asarray(X, dtype=object), name))
    items = [x if _is_steps(x) else _item(x, f"{name}[{i}]") for i, x in enumerate(X)]
    F = items[0].shape[1]
    for i, item in enumerate(items):
        if item.shape[1] != F:
            raise ValueError(
                f"{name}[{i}] must have {counted(F, 'feature')} like {name}[0], "
                f"got {item.shape[1]}. Give every sequence the same features, one column each"
                f"{_hint_for_swapped_items(items, name)}."
            )
    lengths = _lengths(items)
    if (lengths == lengths[0]).all() and all(map(_is_row, X)):
        return _from_array(np.stack(items)[..., 0], X, dtype, name, missing)
    _check_finite(items, dtype, name, missing, _hint_for_padding)
    return Sequences(items, lengths, F, feature_names=feature_names(X, name))


def _is_row(x: Any) -> bool:
    """Whether an item is a list of numbers: as many as in all others make a table."""
    return type(x) in (list, tuple) and not isinstance(x[0], (list, tuple, np.ndarray))


def _is_steps(value: Any) -> bool:
    """Whether a sequence is an array (T, F) of numbers already, as most of thousands are."""
    is_array = type(value) is np.ndarray and value.ndim == 2 and value.size > 0
    return is_array and value.dtype.kind in "fiub"


def _item(value: Any, where: str) -> np.ndarray:
    """Return one sequence as a (T, F) array of numbers."""
    array = as_numbers(_array(value, where), where)
    if not 1 <= array.ndim <= 4:
        raise ValueError(
            f"{where} must be (T, F), (T,) or frames (T, h, w[, c]), got {shown(value)}. "
            "Give each sequence one row per step."
        )
    if len(array) == 0:
        raise ValueError(f"{where} must have at least one step, got 0. Leave empty sequences out.")
    if array.size == 0:
        raise ValueError(
            f"{where} must have features, got 0 feature(s) (shape={array.shape}) "
            "while a minimum of 1 is required. Give each step at least one number."
        )
    # One feature, or a frame flattened to h * w * c features.
    return array if array.ndim == 2 else array.reshape(len(array), -1)


def _array(value: Any, where: str) -> np.ndarray:
    """Return anything array-like as an ndarray; refuse text with a message of its own."""
    if isinstance(value, (str, bytes)):
        raise TypeError(text_found(value, where))
    return as_array(
        value,
        where,
        "Give a list with one array per sequence, one row per step, each of as many features.",
    )


def _check_finite(
    items: list[np.ndarray],
    dtype: npt.DTypeLike,
    name: str,
    missing: bool,
    hint: Callable[[np.ndarray, str], str],
) -> None:
    """Raise for the first sequence with a value that is not finite in `dtype`.

    `hint` is called with the sequence and `name`; it returns a remedy for NaN, or nothing.
    """
    together = max(1, _JOINED // max(item.size for item in items))
    for start in range(0, len(items), together):
        some = items[start : start + together]
        # A check of a short sequence costs more than its numbers do, so that many share one.
        joined = [np.concatenate(some)] if together > 1 else some
        found = first_not_finite(joined, dtype, missing=missing)
        for item in some:
            release_pages(item)
        if found is not None:
            for i, item in enumerate(some, start):
                _check_steps(item, dtype, f"{name}[{i}]", missing, hint(item, name))


def _check_steps(
    item: np.ndarray, dtype: npt.DTypeLike, where: str, missing: bool = False, hint: str = ""
) -> None:
    """Raise for the first value of a sequence (T, F) that is not finite in `dtype`."""
    if first_not_finite([item], dtype, missing=missing) is None:
        return
    (step, feature), value, remedy = first_bad(item, dtype, missing=missing)
    if value == "NaN":
        remedy += hint or " RNNClassifier and RNNRegressor take them with missing='mask'."
    raise ValueError(
        f"{where} must be finite, got {value} at step {step}, feature {feature}. {remedy}"
    )


def _is_filled_up(item: np.ndarray) -> bool:
    """Whether the only NaN of an array (N, k) are whole rows at its end."""
    missing = np.isnan(item)
    rows = missing.all(axis=1)
    first = len(item) - int(rows.sum())
    return 0 < first < len(item) and not missing[:first].any()


def _hint_for_padding(item: np.ndarray, name: str) -> str:
    """Return the remedy for an item of a list whose only NaN are whole steps at its end."""
    if not _is_filled_up(item):
        return ""
    cut = "x[~np.isnan(x)]" if item.shape[1] == 1 else "x[~np.isnan(x).all(axis=1)]"
    return f" If it is padding, cut it off: {name} = [{cut} for x in {name}]."


def _hint_for_swapped_axes(item: np.ndarray, name: str) -> str:
    """Return the remedy for a sequence of an array whose only NaN are its last features."""
    return (
        f" If its axes are (n, F, T), give {name}.swapaxes(1, 2)." if _is_filled_up(item.T) else ""
    )


def _hint_for_swapped_items(items: list[np.ndarray], name: str) -> str:
    """Return the remedy for sequences of one number of steps and different numbers of features."""
    same = len(set(map(len, items))) == 1 < len(items[0])
    return f"; if its items are (F, T), give [x.T for x in {name}]" if same else ""


def feature_names(X: Any, name: str = "X") -> np.ndarray | None:
    """Return the column names of a DataFrame or of a list of DataFrames, None without names.

    Raises
    ------
    ValueError
        If the DataFrames of a list have different columns, or the same in another order.
    TypeError
        If column names mix text with other types.
    """
    is_list = isinstance(X, (list, tuple)) or (
        isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind == "O"
    )
    if not is_list:
        return column_names(X)
    # A list with anything but DataFrames in it has no names.
    names = column_names(X[0]) if len(X) else None
    if names is None or not all(hasattr(x, "columns") for x in X):
        return None
    for i, x in enumerate(X):
        columns = columns_of(x)
        if not np.array_equal(names, np.asarray(columns, dtype=object)):
            raise ValueError(
                f"{name}[{i}] must have the columns of {name}[0], {shown(list(names))}, "
                f"got {shown(list(columns))}. "
                "Give every DataFrame the same columns in the same order."
            )
    return names
