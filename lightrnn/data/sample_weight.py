"""What weighs in the loss: `sample_weight` and `class_weight`, checked and multiplied into one weight a row."""

from typing import Any

import numpy as np

from ..utils.checks import real, shown
from .arrays import as_numbers
from .ragged import Values, as_values, check_finite, pool, split


def check_sample_weight(
    weights: Any, lengths: np.ndarray, step: bool, name: str = "sample_weight"
) -> Values:
    """Return weights for the rows of y: float64 (n,), or a list of (T_i,) if there is a target for every step.

    Parameters
    ----------
    weights : None, array-like (n,), or list of (T_i,) where `step`
        None means equal weights; (n,) with `step` gives every step its sequence's weight.
    lengths : ndarray of int64, shape (n,)
        The sequences' lengths.
    step : bool
        Whether there is a target for every step.
    name : str
        What messages call it.

    Raises
    ------
    ValueError
        If the shape is another, or a weight is negative, NaN or infinite, or all are zero.
    TypeError
        If a weight is no number.

    Examples
    --------
    >>> check_sample_weight([1, 2], np.array([1, 3]), step=True)
    [array([1.]), array([2., 2., 2.])]
    """
    if weights is None:
        rows = np.ones(int(lengths.sum()) if step else len(lengths))
    else:
        rows = _weight_rows(weights, lengths, step, name)
    return split(rows, lengths) if step else rows


def _weight_rows(weights: Any, lengths: np.ndarray, step: bool, name: str) -> np.ndarray:
    """Read and check weights, as float64 rows."""
    by_step = step and _is_nested(weights)
    rows = as_numbers(as_values(weights, lengths, by_step, name), name)
    if rows.ndim != 1:
        raise ValueError(
            f"{name} must be 1-D, one weight a row of y, got {shown(rows)}. Ravel it or pick a column."
        )
    check_finite(rows, np.float64, name)
    if (rows < 0).any():
        raise ValueError(
            f"{name} must not be negative, got {rows[rows < 0][0]}. Leave out what should not count."
        )
    if not rows.any():
        raise ValueError(
            f"{name} must hold a positive weight, got only zeros: no sample of any class is left to fit."
        )
    rows = rows.astype(np.float64)
    return np.repeat(rows, lengths) if step and not by_step else rows


def _is_nested(weights: Any) -> bool:
    """Whether weights hold an array for each sequence."""
    if (
        isinstance(weights, (list, tuple))
        or getattr(getattr(weights, "dtype", None), "kind", "") == "O"
    ):
        first = next(iter(weights), None)
        return isinstance(first, (list, tuple)) or getattr(first, "ndim", 0) > 0
    return getattr(weights, "ndim", 1) > 1


def class_weights(codes: Values, weights: Values, class_weight: Any, classes: np.ndarray) -> Values:
    """Multiply weights by their class's weight.

    Parameters
    ----------
    codes : ndarray of int (n,), or list of (T_i,)
        What `labels.ClassTargets.encode` returned.
    weights : ndarray (n,), or list of (T_i,)
        What `check_sample_weight` returned.
    class_weight : None, "balanced" or dict
        "balanced" gives every class the same total weight, counted over all steps; a dict gives a factor for each
        label, 1 where it names none.
    classes : ndarray
        `labels.ClassTargets.classes_`.

    Raises
    ------
    ValueError
        If `class_weight` names an unknown class, a factor is negative or not finite, or y is multilabel.
    TypeError
        If it is of another type.

    Examples
    --------
    >>> class_weights(np.array([0, 0, 1]), np.ones(3), "balanced", np.array(["a", "b"]))
    array([0.75, 0.75, 1.5 ])
    """
    if class_weight is None:
        return weights
    flat = pool(codes)
    if flat.ndim != 1:
        raise ValueError(
            f"class_weight must be None for multilabel y, got {shown(class_weight)}. Use sample_weight."
        )
    rows = pool(weights)
    if isinstance(class_weight, str) and class_weight == "balanced":
        totals = np.bincount(flat, rows, minlength=len(classes))
        factors = rows.sum() / (np.count_nonzero(totals) * np.where(totals > 0, totals, 1.0))
    else:
        factors = _factors(class_weight, classes)
    rows = rows * factors[flat]
    return (
        rows
        if isinstance(weights, np.ndarray)
        else split(rows, np.array([len(w) for w in weights]))
    )


def _factors(class_weight: Any, classes: np.ndarray) -> np.ndarray:
    """Read a dict of label: factor."""
    wanted = "class_weight must be None, 'balanced' or a dict of label: weight"
    if not isinstance(class_weight, dict):
        kind = ValueError if isinstance(class_weight, str) else TypeError
        raise kind(
            f"{wanted}, got {shown(class_weight)}. Write for example class_weight='balanced'."
        )
    codes = {label: code for code, label in enumerate(classes.tolist())}
    factors = np.ones(len(classes))
    for label, factor in class_weight.items():
        if label not in codes:
            raise ValueError(
                f"{wanted}, got the unknown label {shown(label)}. The classes are {shown(list(codes))}."
            )
        factors[codes[label]] = real(f"class_weight[{label!r}]", factor, 0)
    return factors


def require_two_classes(codes: Values, weights: Values) -> None:
    """Raise a ValueError unless rows of positive weight hold two classes or more (multilabel rows always pass)."""
    flat = pool(codes)
    if flat.ndim == 1 and len(np.unique(flat[pool(weights) > 0])) < 2:
        raise ValueError(
            "y must hold at least two classes with a positive weight, got fewer: one class or none is left. "
            "Check sample_weight and class_weight."
        )
