"""Per-sequence and per-step values as rows: how y and its weights are read, whatever they hold.

A target a sequence is an array of n rows; a target a step is a list with one array of T_i rows a sequence. Here both
become rows one below the other, and are split again when they leave.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..utils.checks import shown
from .arrays import as_array, first_bad, first_not_finite

Values = np.ndarray | list[np.ndarray]

_ONE_EACH = "Give one entry a sequence, or use target='step' for one a step."
_ONE_A_STEP = "Give an array with one entry a step, or use target='sequence' for one a sequence."


def split(rows: np.ndarray, lengths: np.ndarray) -> list[np.ndarray]:
    """Cut rows into one view a sequence.

    Examples
    --------
    >>> split(np.arange(5), np.array([2, 3]))
    [array([0, 1]), array([2, 3, 4])]
    """
    ends = np.cumsum(lengths)
    return [
        rows[start:end] for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True)
    ]


def pool(values: Values) -> np.ndarray:
    """Put a list of per-step arrays one below the other; an array passes as it is."""
    return values if isinstance(values, np.ndarray) else np.concatenate(values)


def as_values(y: Any, lengths: np.ndarray, step: bool, name: str = "y") -> np.ndarray:
    """Read y as rows, whatever its type: one a sequence, or one a step if `step`.

    Parameters
    ----------
    y : array-like
        (n,) or (n, k); with `step` a list (or array) of n items (T_i,) or (T_i, k).
    lengths : ndarray of int64, shape (n,)
        The sequences' lengths.
    step : bool
        Whether there is a target for every step.
    name : str
        What messages call y.

    Returns
    -------
    ndarray, shape (N,) or (N, k)
        N is n, or the sum of the lengths.

    Raises
    ------
    ValueError
        If y is None, its length differs from X's, an item's from its sequence's, or it is ragged otherwise.
    TypeError
        If it is no array, sparse, or mixes text and numbers.
    """
    if y is None:
        raise ValueError(
            f"This estimator requires y to be passed, but the target y is None: {name} must be given."
        )
    rows = _step_values(y, lengths, name) if step else read(y, name)
    if not step:
        _check_count(len(lengths), rows, name)
    if rows.ndim > 2 or rows.size == 0:
        raise ValueError(
            f"{name} must have one or two axes and no empty one, got {shown(rows)}. {_ONE_EACH}"
        )
    return rows


def _check_count(n: int, values: Any, name: str) -> None:
    """Check that y has n items."""
    if len(values) != n:
        raise ValueError(
            f"X has {n} sequences but {name} has {len(values)}. Give one entry of {name} a sequence."
        )


def _step_values(y: Any, lengths: np.ndarray, name: str) -> np.ndarray:
    """Read a target of one array a sequence."""
    items = list(y) if isinstance(y, (list, tuple)) else list(read(y, name))
    _check_count(len(lengths), items, name)
    arrays = [read(item, f"{name}[{i}]", _ONE_A_STEP) for i, item in enumerate(items)]
    for i, (array, T) in enumerate(zip(arrays, lengths.tolist(), strict=True)):
        if len(array) != T:
            raise ValueError(
                f"{name}[{i}] must have {T} entries, one for each step of X[{i}], got {len(array)}. "
                "Cut or fill one of the two."
            )
        if array.shape[1:] != arrays[0].shape[1:]:
            raise ValueError(
                f"{name}[{i}] must have the columns of {name}[0], shape {('T', *arrays[0].shape[1:])}, got "
                f"{shown(array)}. Give every step the same outputs."
            )
    if len({array.dtype.kind in "US" for array in arrays if array.dtype.kind != "O"}) > 1:
        raise TypeError(
            f"{name} must be all text or all numbers, got both in different items. Convert one of them."
        )
    return np.concatenate(arrays)


def read(values: Any, where: str, remedy: str = _ONE_EACH) -> np.ndarray:
    """Read an array-like with at least one axis; NumPy would turn numbers beside text into text, so that is refused."""
    array = as_array(values, where, remedy)
    if array.ndim == 0:
        raise ValueError(f"{where} must be an array or list, got {shown(values)}. {remedy}")
    if array.dtype.kind in "US" and isinstance(values, (list, tuple)):
        kinds = {type(value).__name__ for value in np.array(values, dtype=object).ravel().tolist()}
        if len({kind.removesuffix("_") for kind in kinds}) > 1:
            raise TypeError(
                f"{where} must be all text or all numbers, got {sorted(kinds)}. Convert one of them."
            )
    return array.astype(object) if array.dtype.kind == "T" else array


def check_finite(rows: np.ndarray, dtype: npt.DTypeLike, name: str) -> None:
    """Raise for the first NaN, infinity or overflow in rows of y."""
    if rows.size and first_not_finite([rows], dtype) is not None:
        index, value, remedy = first_bad(rows, dtype)
        kind = "NaN" if value == "NaN" else "infinity or a value too large"
        raise ValueError(
            f"Input {name} contains {kind}: it must be finite, got {value} in row {index[0]}. {remedy}"
        )
