"""Weights in the loss: `sample_weight` and `class_weight`, checked and multiplied together."""

from typing import Any

import numpy as np

from ..utils.checks import real, shown
from ..utils.indexing import split
from .arrays import as_numbers
from .ragged import Values, arranged_like, as_values, check_finite, pool

# Gradients of larger weights overflow in float32 when they are squared.
_LARGEST = 1e12


def check_sample_weight(weights: Any, lengths: np.ndarray, step: bool) -> Values:
    """Return one weight for each target, as float64.

    Parameters
    ----------
    weights : None, array-like (n,), or with `step` list of (T_i,)
        None means equal weights. With `step`, (n,) gives every step the weight of its sequence.
    lengths : ndarray of int64, shape (n,)
        Lengths of the sequences.
    step : bool
        Whether there is a target for every step.

    Returns
    -------
    ndarray (n,), or with `step` list of (T_i,)

    Raises
    ------
    ValueError
        If the shape is another, or if a weight is negative, NaN or infinite, or all are zero.
    TypeError
        If a weight is not a number.

    Examples
    --------
    >>> check_sample_weight([1, 2], np.array([1, 3]), step=True)
    [array([1.]), array([2., 2., 2.])]
    """
    if weights is None:
        pooled = np.ones(int(lengths.sum()) if step else len(lengths))
    else:
        pooled = _pooled(weights, lengths, step)
    return split(pooled, lengths) if step else pooled


def _pooled(weights: Any, lengths: np.ndarray, step: bool) -> np.ndarray:
    """Return checked weights of all sequences or steps, (N,) float64."""
    by_step = step and _is_nested(weights)  # otherwise one weight per sequence
    pooled = as_numbers(as_values(weights, lengths, by_step, "sample_weight"), "sample_weight")
    if pooled.ndim != 1:
        raise ValueError(
            f"sample_weight must be 1-D, one weight a row of y, got {shown(pooled)}. "
            "Ravel it or pick a column."
        )
    check_finite(pooled, np.float64, "sample_weight")
    if (pooled < 0).any():
        raise ValueError(
            f"sample_weight must not be negative, got {pooled[pooled < 0][0]}. "
            "Leave out what should not count."
        )
    if not pooled.any():
        raise ValueError(
            "sample_weight must hold a positive weight, got only zeros: "
            "no sample of any class is left to fit."
        )
    pooled = pooled.astype(np.float64)
    # A weight of a sequence holds for each of its steps.
    return np.repeat(pooled, lengths) if step and not by_step else pooled


def _is_nested(weights: Any) -> bool:
    """Return whether weights hold an array for each sequence."""
    dtype_kind = getattr(getattr(weights, "dtype", None), "kind", "")
    if isinstance(weights, (list, tuple)) or dtype_kind == "O":
        first = next(iter(weights), None)
        return isinstance(first, (list, tuple)) or getattr(first, "ndim", 0) > 0
    return getattr(weights, "ndim", 1) > 1


def of_mean_one(weights: Values) -> Values:
    """Divide weights by the mean of those that are positive.

    Only the ratios of weights count then, and a minibatch weighs what it does in the whole: its
    loss is the sum of weighted losses divided by the number of its targets, not by their weights.

    Parameters
    ----------
    weights : ndarray (n,), or list of ndarray (T_i,)
        Finite, not negative, at least one of them positive.

    Returns
    -------
    ndarray (n,), or list of ndarray (T_i,)

    Examples
    --------
    >>> of_mean_one(np.array([2e-320, 2e-320])), of_mean_one(np.array([0.0, 1e308, 1e308]))
    (array([1., 1.]), array([0., 1., 1.]))
    """
    pooled = pool(weights)
    # The largest becomes 1, so that no sum overflows and equal weights are exactly 1.
    pooled = pooled / pooled.max()
    mean = pooled.sum() / np.count_nonzero(pooled)
    return arranged_like(pooled / mean, weights)


def check_absolute(weights: Values) -> None:
    """Raise a ValueError if weights are too large to be used as they are.

    A part of the data does not show the mean weight of the whole, by which to divide.
    """
    largest = pool(weights).max()
    if largest > _LARGEST:
        raise ValueError(
            f"sample_weight must be at most {_LARGEST:g} for partial_fit, which takes weights and "
            f"class weights as they are, got {largest:g}. Scale all to a mean of about 1."
        )


def class_weights(
    codes: Values,
    weights: Values,
    class_weight: Any,
    classes: Any,
) -> Values:
    """Return weights multiplied by the weight of each class.

    Parameters
    ----------
    codes : ndarray of int (n,), or list of (T_i,)
        Encoded labels, as `labels.ClassTargets.read` returns them.
    weights : ndarray (n,), or list of (T_i,)
        Sample weights, as `check_sample_weight` returns them.
    class_weight : dict, "balanced" or None
        "balanced" gives every class the same total weight, counted over all steps. A dict gives
        factors by label, 1 where it names none.
    classes : ndarray or None
        The label of each code; None only without `class_weight`.

    Returns
    -------
    ndarray (n,), or list of (T_i,)

    Raises
    ------
    ValueError
        If `class_weight` names an unknown class, a factor is negative, not finite or too large, or
        y is multilabel.
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
            f"class_weight must be None for multilabel y, got {shown(class_weight)}. "
            "Use sample_weight."
        )
    pooled = pool(weights)
    if isinstance(class_weight, str) and class_weight == "balanced":
        totals = np.bincount(flat, pooled, minlength=len(classes))  # (n_classes,)
        present = np.count_nonzero(totals)
        # Classes without weight have no targets here: their factor is not used.
        factors = pooled.sum() / (present * np.where(totals > 0, totals, 1.0))
    else:
        factors = _factors(class_weight, classes)
    with np.errstate(all="ignore"):
        weighted = pooled * factors[flat]
    if not np.isfinite(weighted).all():
        raise ValueError(
            f"class_weight must leave weights finite, got a factor of {factors.max():g}. "
            "Scale the factors down."
        )
    return arranged_like(weighted, weights)


def _factors(class_weight: Any, classes: np.ndarray) -> np.ndarray:
    """Return the factor of each class from a dict of label: factor."""
    wanted = "class_weight must be None, 'balanced' or a dict of label: weight"
    if not isinstance(class_weight, dict):
        kind = ValueError if isinstance(class_weight, str) else TypeError
        raise kind(
            f"{wanted}, got {shown(class_weight)}. Write for example class_weight='balanced'."
        )
    # `tolist` gives Python's own types, which equal the keys that a user writes.
    codes = {label: code for code, label in enumerate(classes.tolist())}
    factors = np.ones(len(classes))  # (n_classes,)
    complete = codes.keys() <= class_weight.keys()
    for label, factor in class_weight.items():
        if label not in codes:
            # A fold may lack a class that the dict names. But if a class of y has no factor, the
            # label is more likely misspelt: scikit-learn draws the same line.
            if complete:
                continue
            raise ValueError(
                f"{wanted}, got the unknown label {shown(label)}. "
                f"The classes are {shown(list(codes))}."
            )
        factors[codes[label]] = real(f"class_weight[{label!r}]", factor, 0)
    return factors
