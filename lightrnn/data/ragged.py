"""Read y and its weights: values per sequence or per step, concatenated into one array.

With one target per sequence, y is an array of n values. With one per step, it is a list with one
array of T_i values per sequence; these arrays are concatenated here and split again when they
leave.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..utils.checks import shown
from ..utils.indexing import object_array, split
from .arrays import as_array, first_bad, first_not_finite
from .containers import unwrapped

Values = np.ndarray | list[np.ndarray]  # (n,), (n, k), or one (T_i,) or (T_i, k) per sequence

_ONE_PER_SEQUENCE = "Give one entry per sequence, or use target='step' for one per step."
_ONE_PER_STEP = (
    "Give an array with one entry per step, or use target='sequence' for one per sequence."
)


def pool(values: Values) -> np.ndarray:
    """Concatenate a list of per-step arrays; return an array as it is."""
    return values if isinstance(values, np.ndarray) else np.concatenate(values)


def arranged_like(values: np.ndarray, form: Values) -> Values:
    """Return concatenated values as `form` is: one array, or one view for each of its parts."""
    if isinstance(form, np.ndarray):
        return values
    return split(values, np.array([len(part) for part in form]))


def contained_like(values: Values, X: Any) -> Any:
    """Return one array per sequence as an object array if X is one, else `values` as they are.

    scikit-learn's cross_val_predict joins the predictions of its folds as arrays.
    """
    if isinstance(values, list) and isinstance(X, np.ndarray) and X.ndim == 1:
        return object_array(values)
    return values


def as_values(y: Any, lengths: np.ndarray, step: bool, name: str = "y") -> np.ndarray:
    """Read y, whatever its type, as one array: a value per sequence, or per step if `step`.

    Parameters
    ----------
    y : array-like
        (n,) or (n, k); with `step` a list (or array) of n items (T_i,) or (T_i, k).
    lengths : ndarray of int64, shape (n,)
        The sequences' lengths.
    step : bool
        Whether there is a target for every step.
    name : str, default="y"
        Name of y in messages.

    Returns
    -------
    ndarray, shape (N,) or (N, k)
        N is n, or the sum of the lengths.

    Raises
    ------
    ValueError
        If y is None, its length differs from X's, an item's length from its sequence's, or it is
        ragged otherwise.
    TypeError
        If it is no array, sparse, or mixes text and numbers.
    """
    if y is None:
        raise ValueError(
            "This estimator requires y to be passed, but the target y is None: "
            f"{name} must be given."
        )
    if step:
        values = _step_values(y, lengths, name)
    else:
        values = read(y, name)
        _check_count(len(lengths), values, name)
        if isinstance(y, (list, tuple)):
            _refuse_steps(values, lengths, name)
    if values.ndim > 2 or values.size == 0:
        raise ValueError(
            f"{name} must have one or two axes and no empty one, got {shown(values)}. "
            f"{_ONE_PER_SEQUENCE}"
        )
    return values


def _check_count(n: int, values: Any, name: str) -> None:
    """Check that y has n items."""
    if len(values) != n:
        raise ValueError(
            f"X has {n} sequences but {name} has {len(values)}. "
            f"Give one entry of {name} per sequence; a single sequence stands in a list, [X]."
        )


def _refuse_steps(values: np.ndarray, lengths: np.ndarray, name: str) -> None:
    """Refuse a list with an entry for each step, which targets of a sequence may be by chance."""
    k = values.shape[-1]
    if values.ndim == 2 and k > 1 and (lengths == k).all():
        raise ValueError(
            f"{name} must have one entry per sequence with target='sequence', got a list of {k} "
            f"for the {k} steps of each. Use target='step' for one per step, "
            f"or np.array({name}) for {k} outputs per sequence."
        )


def _step_values(y: Any, lengths: np.ndarray, name: str) -> np.ndarray:
    """Read a target that has one array per sequence, and concatenate it."""
    y = unwrapped(y, name)
    items = list(y if isinstance(y, (list, tuple)) else read(y, name))
    _check_count(len(lengths), items, name)
    arrays = [read(item, f"{name}[{i}]", _ONE_PER_STEP) for i, item in enumerate(items)]
    columns = arrays[0].shape[1:]
    for i, (array, T) in enumerate(zip(arrays, lengths.tolist(), strict=True)):
        if len(array) != T:
            raise ValueError(
                f"{name}[{i}] must have {T} entries, one for each step of X[{i}], "
                f"got {len(array)}. Cut or fill one of the two."
            )
        if array.shape[1:] != columns:
            raise ValueError(
                f"{name}[{i}] must have the columns of {name}[0], shape {('T', *columns)}, "
                f"got {shown(array)}. Give every step the same outputs."
            )
    # Concatenating would turn numbers into text; objects are left to the readers of labels.
    if len({array.dtype.kind in "US" for array in arrays if array.dtype.kind != "O"}) > 1:
        raise TypeError(
            f"{name} must be all text or all numbers, got both in different items. "
            "Convert one of them."
        )
    return np.concatenate(arrays)


def read(values: Any, where: str, remedy: str = _ONE_PER_SEQUENCE) -> np.ndarray:
    """Return an array-like of at least one axis as an array; refuse text mixed with numbers."""
    array = as_array(values, where, remedy)
    if array.ndim == 0:
        raise ValueError(f"{where} must be an array or list, got {shown(values)}. {remedy}")
    if array.dtype.kind in "US" and isinstance(values, (list, tuple)):
        # NumPy has turned numbers among text into text: only the items still show their types.
        items = np.array(values, dtype=object).ravel().tolist()
        kinds = {type(item).__name__ for item in items}
        if len({kind.removesuffix("_") for kind in kinds}) > 1:  # str and np.str_ are both text
            raise TypeError(
                f"{where} must be all text or all numbers, got {sorted(kinds)}. "
                "Convert one of them."
            )
    # StringDType ("T"): as objects, its items are str and missing values stay what they are.
    return array.astype(object) if array.dtype.kind == "T" else array


def check_finite(values: np.ndarray, dtype: npt.DTypeLike, name: str) -> None:
    """Raise for the first NaN, infinity or overflow among the values of y."""
    if first_not_finite([values], dtype) is not None:
        index, value, remedy = first_bad(values, dtype)
        kind = "NaN" if value == "NaN" else "infinity or a value too large"
        raise ValueError(
            f"Input {name} contains {kind}: it must be finite, got {value} in row {index[0]}. "
            f"{remedy}"
        )
