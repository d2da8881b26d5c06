"""Numbers to predict: checked and standardised for the losses, decoded for the user; and what they share with labels.

`real_targets` learns from y how; labels are in `labels.py`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..exceptions import DataConversionWarning, warn
from .arrays import as_numbers
from .ragged import Values, as_values, check_finite, pool, split


def _flat(rows: np.ndarray) -> np.ndarray:
    """Turn a single column into a flat array."""
    return rows[:, 0] if rows.ndim == 2 and rows.shape[1] == 1 else rows


def flat_with_warning(rows: np.ndarray, name: str) -> np.ndarray:
    """Turn a single column into a flat array and say so as scikit-learn does: once, when y is learned from."""
    flat = _flat(rows)
    if flat is not rows:
        warn(
            DataConversionWarning,
            f"A column-vector y was passed when a 1d array was expected. Please change the shape of {name} to "
            "(n_samples,), for example using ravel().",
        )
    return flat


class Targets:
    """What all kinds of targets share: rows in, rows out."""

    step: bool
    is_multilabel = False

    def encode(self, y: Any, lengths: np.ndarray, name: str = "y") -> Values:
        """Check y and return what the losses take: (n, ...) rows, or a list of (T_i, ...) rows for steps."""
        rows = self._encoded(_flat(as_values(y, lengths, self.step, name)), name)
        return split(rows, lengths) if self.step else rows

    def decode(self, outputs: Values) -> Values:
        """Turn raw outputs, (n, n_outputs) or a list of (T_i, n_outputs), into predictions in y's form."""
        decoded = self._decoded(pool(outputs))
        return (
            decoded
            if isinstance(outputs, np.ndarray)
            else split(decoded, np.array([len(o) for o in outputs]))
        )

    def decode_row(self, output: np.ndarray) -> Any:
        """Turn one raw output (n_outputs,) into what `decode` gives for it."""
        return self._decoded(output[None])[0]

    def _encoded(self, rows: np.ndarray, name: str) -> np.ndarray:
        raise NotImplementedError

    def _decoded(self, rows: np.ndarray) -> np.ndarray:
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class RealTargets(Targets):
    """Real numbers, standardised a column.

    Attributes
    ----------
    mean, scale : ndarray of float64, shape (n_outputs,)
        Standardised rows are (y - mean) / scale.
    step : bool
        Whether there is a target for every step.
    dtype : dtype
        Of the standardised rows.
    result : dtype
        Of decoded rows.

    Examples
    --------
    >>> targets = real_targets([1.0, 3.0], np.array([5, 7]))
    >>> targets.mean, targets.scale
    (array([2.]), array([1.]))
    >>> targets.encode([1.0, 3.0], np.array([5, 7])).ravel()
    array([-1.,  1.], dtype=float32)
    """

    mean: np.ndarray
    scale: np.ndarray
    step: bool = False
    dtype: npt.DTypeLike = np.float32
    result: npt.DTypeLike = np.float64

    @property
    def n_outputs(self) -> int:
        """The number of columns."""
        return len(self.mean)

    def _encoded(self, rows: np.ndarray, name: str) -> np.ndarray:
        columns = _columns(rows, self.dtype, name)
        if columns.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} must have {self.n_outputs} outputs as in fit, got {columns.shape[1]}. Give the same columns."
            )
        return ((columns - self.mean) / self.scale).astype(self.dtype)

    def _decoded(self, rows: np.ndarray) -> np.ndarray:
        rows = rows.astype(self.result)  # a copy always: a stream goes on writing to its outputs
        return rows[:, 0] if self.n_outputs == 1 else rows


def _columns(rows: np.ndarray, dtype: npt.DTypeLike, name: str) -> np.ndarray:
    """Return rows of finite numbers as (N, k) float64."""
    numbers = as_numbers(rows, name)
    check_finite(numbers, dtype, name)
    return numbers.astype(np.float64).reshape(len(numbers), -1)


def real_targets(
    y: Any,
    lengths: np.ndarray,
    *,
    step: bool = False,
    weights: Values | None = None,
    dtype: npt.DTypeLike = np.float32,
    name: str = "y",
) -> RealTargets:
    """Learn from y what a regressor predicts: weighted mean and scale of each column over all rows.

    Predictions will be float32 where y is float32 or float16, else float64, whatever the network computes in.

    Parameters
    ----------
    y : array-like
        As in `as_values`: (n,), (n, k), or with `step` a list of (T_i,) or (T_i, k).
    lengths : ndarray of int64, shape (n,)
        The sequences' lengths.
    step : bool
        Whether there is a target for every step.
    weights : ndarray (n,) or list of (T_i,), optional
        What `weights.check_sample_weight` returned; equal weights by default.
    dtype : float32 or float64
        The network's precision: y must be finite in it.
    name : str
        What messages call y.

    Raises
    ------
    ValueError
        If y is complex, holds NaN, infinity or numbers too large to be squared.
    TypeError
        If it holds anything but numbers.
    """
    rows = flat_with_warning(as_values(y, lengths, step, name), name)
    columns = _columns(rows, dtype, name)
    w = np.ones(len(columns)) if weights is None else pool(weights)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = np.average(columns, axis=0, weights=w)
        scale = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=w))
    if not (np.isfinite(mean) & np.isfinite(scale)).all():
        raise ValueError(
            f"{name} must have a finite variance, got values to {abs(columns).max():g}. Rescale it first."
        )
    # rounding alone gives a constant column a scale of a few eps
    scale[scale <= 10 * np.finfo(np.float64).eps * abs(columns).max(axis=0)] = 1.0
    return RealTargets(
        mean, scale, step, dtype, "float32" if rows.dtype in (np.float16, np.float32) else "float64"
    )
