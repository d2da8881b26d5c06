"""Baselines: the sequences against which an attribution compares those of the user."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..estimators.estimator import NetworkEstimator
from ..utils.checks import shown
from .objective import read_steps

KINDS = ("zeros", "mean", "previous")


def read_baselines(
    estimator: NetworkEstimator, steps: list[np.ndarray], baseline: Any
) -> list[np.ndarray]:
    """Return the baseline of each sequence, in its shape.

    Parameters
    ----------
    estimator : NetworkEstimator
        A fitted estimator.
    steps : list of ndarray (T_i, F), or of codes (T_i,)
        Sequences as `read_steps` returns them.
    baseline : object
        As in `attribution`.

    Raises
    ------
    ValueError, TypeError
        If it is neither a kind of baseline nor of the shape of the sequences.
    """
    if not (baseline is None or (isinstance(baseline, str) and baseline in KINDS)):
        return _given(estimator, steps, baseline)
    if baseline == "previous":
        return [np.concatenate([x[:1], x[:-1]]) for x in steps]
    rest = _constant(estimator, steps, baseline)
    return [np.broadcast_to(np.asarray(rest, np.result_type(x, rest)), x.shape) for x in steps]


def _constant(estimator: NetworkEstimator, steps: list[np.ndarray], kind: str | None) -> Any:
    """Return the values of every step of a baseline; without a kind they say the least."""
    model = estimator._model
    form: Any = model.form
    if model.vocabulary is not None:
        return 0  # the unknown token
    if kind is None and form.fill is not None:
        return np.nan  # a missing step is one that the network knows
    if kind != "zeros" and model.standardization is not None:
        return model.standardization.mean[: form.step_features]  # the first layer sees it as 0
    return np.nanmean(np.concatenate(steps), axis=0, dtype=np.float64) if kind == "mean" else 0.0


def _given(estimator: NetworkEstimator, steps: list[np.ndarray], baseline: Any) -> list[np.ndarray]:
    """Return the user's baselines: one for all sequences, or one for each."""
    form: Any = estimator._model.form
    tokens = estimator._model.vocabulary is not None
    if tokens or _per_sequence(baseline, form.is_table):
        given: Any = read_steps(estimator, baseline) if tokens else list(baseline)
    else:
        given = [baseline] * len(steps)
    if len(given) != len(steps):
        raise ValueError(
            f"baseline must hold one sequence for each of the {len(steps)} of X, got {len(given)}. "
            "Give one array (T, F) if it is the same for all."
        )
    return [_shaped(b, x, i) for i, (b, x) in enumerate(zip(given, steps, strict=True))]


def _per_sequence(baseline: Any, table: bool) -> bool:
    """Return whether a baseline of numbers is a list of sequences, and not a single one."""
    ndim = 1 if table else 2  # of a sequence; rows of a table have no axis of features
    if isinstance(baseline, list | tuple):
        return bool(len(baseline)) and np.ndim(baseline[0]) >= ndim
    return np.ndim(baseline) > ndim


def _shaped(baseline: Any, x: np.ndarray, index: int) -> np.ndarray:
    """Return a baseline in the shape of a sequence."""
    try:
        values = np.asarray(baseline, x.dtype if x.dtype.kind == "i" else np.float64)
        if x.ndim == 2 and x.shape[1] == 1 and values.shape == x.shape[:1]:
            values = values[:, None]  # a sequence of one feature
        if x.dtype.kind == "i" and values.shape != x.shape:
            raise ValueError
        return np.broadcast_to(values, x.shape)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"baseline must be one of {', '.join(map(repr, KINDS))}, numbers that fill the shape "
            f"{x.shape} of X[{index}], or a sequence of as many tokens, got {shown(baseline)}. "
            "None takes the mean of each feature, or the unknown token."
        ) from error
