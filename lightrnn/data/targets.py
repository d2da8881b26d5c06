"""Targets: how y is encoded for the network, scored, weighted, and decoded for the user.

`Targets` is the interface; `RealTargets` standardises numbers. Labels are in `labels.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..exceptions import DataConversionWarning, warn
from ..metrics import r_squared
from ..utils.scales import median_and_deviation, usable_scale
from .arrays import as_numbers
from .ragged import Values, arranged_like, as_values, check_finite, pool, split

if TYPE_CHECKING:
    from ..losses import Loss

# Where numbers standardised for a robust loss are cut off: so far from any output that no gradient
# changes, and far enough from the end of float32 that a loss can be summed.
_FAR = 1e18
# Rows of y that calls of `partial_fit` keep to take mean and scale from: both are then known to
# some 3 %, which is more than a network needs.
_SAMPLE = 1000


def _flat(values: np.ndarray) -> np.ndarray:
    """Return a single column as a flat array."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def flat_with_warning(values: np.ndarray, name: str) -> np.ndarray:
    """Return a single column as a flat array, with scikit-learn's warning."""
    flat = _flat(values)
    if flat is not values:
        warn(
            DataConversionWarning,
            "A column-vector y was passed when a 1d array was expected. Please change the shape "
            f"of {name} to (n_samples,), for example using ravel().",
        )
    return flat


class Targets:
    """Interface of all kinds of targets, and the conversion between sequences and values.

    Encoded targets are an array with one entry per sequence, (n,) or (n, k), or with `step` a list
    with one array per sequence, (T_i,) or (T_i, k).

    Attributes
    ----------
    step : bool
        Whether there is a target for every step.
    n_outputs : int
        Number of outputs of the network.
    """

    step: bool
    n_outputs: int
    is_multilabel = False

    # -- from y to the network and back -----------------------------------------------------------

    def read(self, y: Any, lengths: np.ndarray, name: str = "y") -> Values:
        """Check y and return it encoded.

        Parameters
        ----------
        y : array-like
            As in `ragged.as_values`.
        lengths : ndarray of int64, shape (n,)
            Lengths of the sequences.
        name : str, default="y"
            Name of y in messages.

        Returns
        -------
        ndarray or list of ndarray
            Encoded targets.

        Raises
        ------
        ValueError, TypeError
            If y is not of the kind that the targets were learned from.
        """
        values = _flat(as_values(y, lengths, self.step, name))  # (N,) or (N, k)
        return self.arranged(self._encoded(values, name), lengths)

    def truth(self, y: Any, lengths: np.ndarray) -> np.ndarray:
        """Check y as `read` does and return it as it is, pooled over steps, to score predictions.

        Labels that were not seen in fit are let through: a prediction can only be wrong about them.
        """
        return _flat(self._checked(_flat(as_values(y, lengths, self.step)), "y"))

    def arranged(self, values: np.ndarray, lengths: np.ndarray) -> Values:
        """Return values (N, ...) as they are, or with `step` one array per sequence."""
        return split(values, lengths) if self.step else values

    def decode(self, outputs: Values) -> Values:
        """Return predictions in the form of y for raw outputs, (n, k) or a list of (T_i, k)."""
        return arranged_like(self._decoded(pool(outputs)), outputs)

    def decode_row(self, output: np.ndarray) -> Any:
        """Return the prediction for one raw output (k,), as `decode` gives it."""
        return self._decoded(output[None])[0]

    # -- what training needs ----------------------------------------------------------------------

    def loss(self, **arguments: Any) -> Loss:
        """Return the loss to minimise, given the estimator's arguments."""
        raise NotImplementedError

    def score(self, outputs: np.ndarray, encoded: np.ndarray, weights: np.ndarray) -> float:
        """Return what the estimator's `score` would for raw outputs (N, k); greater is better.

        Parameters
        ----------
        outputs : ndarray (N, k)
            Raw outputs of the network.
        encoded : ndarray (N,) or (N, k)
            Encoded targets, pooled over steps.
        weights : ndarray (N,)
            Sample weights.

        Returns
        -------
        float
        """
        raise NotImplementedError

    def weigh(
        self,
        encoded: Values,
        weights: Values,
        class_weight: Any = None,
    ) -> Values:
        """Return sample weights multiplied by the weight of each target's class."""
        return weights

    def require_enough(self, encoded: Values, weights: Values) -> None:
        """Raise a ValueError if a whole fit cannot learn from these targets."""

    def follow(self, y: Any, lengths: np.ndarray, weights: Values) -> tuple[Targets, Values]:
        """Return targets that also know the y of a further `partial_fit`, and this y encoded."""
        return self, self.read(y, lengths)

    def take_over(self, network: Any, old: Any) -> None:
        """Let a network that was trained on `old` targets go on with these; predictions stay."""

    def _checked(self, values: np.ndarray, name: str) -> np.ndarray:
        """Return values of the kind and the columns that the targets were learned from."""
        raise NotImplementedError

    def _encoded(self, values: np.ndarray, name: str) -> np.ndarray:
        """Return checked and encoded values."""
        raise NotImplementedError

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        """Return predictions for raw outputs (N, k)."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class RealTargets(Targets):
    """Real numbers, standardised column by column.

    The network's outputs are standardised too. They become predictions in the units of y outside of
    it, in float64: a float32 network could not hold a level that is large beside the deviation.

    Attributes
    ----------
    mean, scale : ndarray of float64, shape (n_outputs,)
        Encoded targets are (y - mean) / scale, predictions are outputs * scale + mean. The scale of
        a column in which no two numbers differ is 0.
    robust : bool
        Whether they are not mean and standard deviation but median and median absolute deviation.
    step : bool
        Whether there is a target for every step.
    dtype : dtype
        Precision of encoded targets.
    result : dtype
        Precision of predictions.
    sample : ndarray (m, 2 + n_outputs) or None
        Rows of y from all calls of `partial_fit`, of which mean and scale are taken, each behind a
        random key and its weight; None after a fit, whose mean and scale stay.
    seen : int
        Number of rows that the sample was drawn from.
    folded : ndarray (2, n_outputs) or None
        Mean and scale that the network's output layer applies itself, which a file of an earlier
        version has; `mean` is then 0 and `scale` 1. Training that goes on takes them out of it.

    Examples
    --------
    >>> targets, encoded = read_numbers([1.0, 3.0], np.array([5, 7]))
    >>> targets.mean, targets.scale
    (array([2.]), array([1.]))
    >>> encoded.ravel()
    array([-1.,  1.], dtype=float32)
    >>> targets.decode(np.array([[0.5]]))
    array([2.5])
    """

    mean: np.ndarray
    scale: np.ndarray
    step: bool = False
    dtype: npt.DTypeLike = np.float32
    result: npt.DTypeLike = np.float64
    robust: bool = False
    sample: np.ndarray | None = None
    seen: int = 0
    folded: np.ndarray | None = None

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        """The number of columns."""
        return len(self.mean)

    def loss(
        self,
        *,
        loss: str = "squared_error",
        delta: float = 1.0,
        quantile: float = 0.5,
        **others: Any,
    ) -> Loss:
        """Return the loss of the standardised targets that the arguments name."""
        # Imported here to keep `import lightrnn` fast.
        from ..losses import make_loss

        return make_loss(loss, delta=delta, quantile=quantile)

    def score(self, outputs: np.ndarray, encoded: np.ndarray, weights: np.ndarray) -> float:
        """Return R^2."""
        return r_squared(encoded, outputs, weights)

    def follow(self, y: Any, lengths: np.ndarray, weights: Values) -> tuple[Targets, Values]:
        """Let mean and scale follow the y of a further `partial_fit`, unless they are a fit's.

        The network's outputs stay what they are, so predictions follow mean and scale too: a first
        call that was not like the others is then forgotten soonest.
        """
        columns = self._checked(_flat(as_values(y, lengths, self.step)), "y")
        targets = self
        if self.folded is not None:
            mean, scale = self.folded
            targets = replace(self, mean=mean, scale=scale, folded=None)
        targets = targets._with(columns, pool(weights))
        return targets, targets.arranged(targets.standardised(columns), lengths)

    def take_over(self, network: Any, old: RealTargets) -> None:
        """Re-express the network's outputs in these units, so that predictions stay what they were.

        An old scale of 0 leaves the network nothing but its bias.
        """
        if not (np.array_equal(old.mean, self.mean) and np.array_equal(old.scale, self.scale)):
            divisor = self._divisor
            network.rescale_outputs(old.scale / divisor, (old.mean - self.mean) / divisor)

    def standardised(self, columns: np.ndarray) -> np.ndarray:
        """Return checked columns (N, k) in units of their scale, in the network's precision."""
        with np.errstate(over="ignore"):
            encoded = (columns - self.mean) / self._divisor
        return (encoded.clip(-_FAR, _FAR) if self.robust else encoded).astype(self.dtype)

    @property
    def _divisor(self) -> np.ndarray:
        """The scale, or 1 where there is none."""
        return np.where(self.scale > 0, self.scale, 1.0)

    def _with(self, columns: np.ndarray, weights: np.ndarray) -> RealTargets:
        """Return targets that know further rows of y."""
        if self.sample is None:
            return self
        keys = np.random.default_rng(self.seen).random(len(columns))
        rows = np.column_stack([keys, weights, columns])
        sample = np.concatenate([self.sample, rows[weights > 0]])
        # The rows of the smallest keys are a fair sample of all, however many calls brought them.
        if len(sample) > _SAMPLE:
            sample = sample[np.argpartition(sample[:, 0], _SAMPLE)[:_SAMPLE]]
        mean, scale = _mean_and_scale(sample[:, 2:], sample[:, 1], self.robust)
        seen = self.seen + len(rows)
        return replace(self, mean=mean, scale=scale, sample=sample, seen=seen)

    def _checked(self, values: np.ndarray, name: str) -> np.ndarray:
        """Return values as numbers (N, k), of as many columns as in fit."""
        columns = _columns(values, self.dtype, name)
        if columns.shape[1] != self.n_outputs:
            raise ValueError(
                f"{name} must have {self.n_outputs} outputs as in fit, got {columns.shape[1]}. "
                "Give the same columns."
            )
        return columns

    def _encoded(self, values: np.ndarray, name: str) -> np.ndarray:
        return self.standardised(self._checked(values, name))

    def _decoded(self, outputs: np.ndarray) -> np.ndarray:
        # Always a copy: a stream goes on writing to its outputs.
        with np.errstate(over="ignore"):  # infinity is refused by who predicts
            predictions = (outputs * self.scale + self.mean).astype(self.result)
        return predictions[:, 0] if self.n_outputs == 1 else predictions


def _columns(values: np.ndarray, dtype: npt.DTypeLike, name: str) -> np.ndarray:
    """Return values as finite numbers, (N, k) float64."""
    numbers = as_numbers(values, name)
    check_finite(numbers, dtype, name)
    return numbers.astype(np.float64).reshape(len(numbers), -1)


def _mean_and_scale(
    columns: np.ndarray, weights: np.ndarray, robust: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of each column, and its deviation, 0 where rounding explains it."""
    largest = abs(columns).max(axis=0)
    # Squares of large numbers overflow; the result is refused below, with a message of ours.
    with np.errstate(over="ignore", invalid="ignore"):
        if robust:
            mean, scale = median_and_deviation(columns, weights)
        else:
            mean = np.average(columns, axis=0, weights=weights)  # (k,)
            deviation = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weights))
            scale = usable_scale(deviation, largest, constant=0.0)
    if not (np.isfinite(mean) & np.isfinite(scale)).all():
        raise ValueError(
            f"y must have a finite variance, got values to {largest.max():g}. Rescale it first."
        )
    return mean, scale


def read_numbers(
    y: Any,
    lengths: np.ndarray,
    *,
    step: bool = False,
    weights: Values | None = None,
    dtype: npt.DTypeLike = np.float32,
    robust: bool = False,
    partial: bool = False,
) -> tuple[RealTargets, Values]:
    """Read a regressor's y: learn the weighted mean and scale of each column, and standardise.

    Predictions will be float32 where y is float32 or float16, else float64, whatever precision the
    network computes in.

    Parameters
    ----------
    y : array-like
        As in `ragged.as_values`: (n,), (n, k), or with `step` a list of (T_i,) or (T_i, k).
    lengths : ndarray of int64, shape (n,)
        Lengths of the sequences.
    step : bool, default=False
        Whether there is a target for every step.
    weights : ndarray (n,) or list of (T_i,), optional
        As `sample_weight.check_sample_weight` returns them; by default all are equal.
    dtype : float32 or float64, default=float32
        Precision of the network: y must be finite in it.
    robust : bool, default=False
        Whether to take median and median absolute deviation instead, as losses that resist outliers
        need them.
    partial : bool, default=False
        Whether this y is the first of several, which mean and scale are to follow.

    Returns
    -------
    targets : RealTargets
    encoded : ndarray (n, k) or list of (T_i, k)
        y, standardised.

    Raises
    ------
    ValueError
        If y is complex, holds NaN, infinity or numbers too large to be squared.
    TypeError
        If it holds anything but numbers.
    """
    values = flat_with_warning(as_values(y, lengths, step), "y")
    columns = _columns(values, dtype, "y")  # (N, k)
    w = np.ones(len(columns)) if weights is None else pool(weights)
    mean, scale = _mean_and_scale(columns, w, robust)
    # Names, not dtypes: a saved file holds plain values.
    result = "float32" if values.dtype in (np.float16, np.float32) else "float64"
    targets = RealTargets(mean, scale, step, dtype, result, robust)
    # A constant y shows no scale yet: further calls may, also after a fit.
    if partial or not scale.all():
        targets = replace(targets, sample=np.empty((0, 2 + len(mean))))._with(columns, w)
    return targets, targets.arranged(targets.standardised(columns), lengths)
