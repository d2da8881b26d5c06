"""Numbers to predict: standardised for the network, scored, and brought back to the units of y."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..metrics import r_squared
from ..utils.scales import median_and_deviation, usable_scale, weighted_quantile
from .arrays import as_numbers, result_dtype
from .base_targets import Targets, flat, flat_with_warning
from .ragged import Values, as_values, check_finite, pool

if TYPE_CHECKING:
    from ..losses import Loss

# Where numbers standardised for a robust loss are cut off: so far from any output that no gradient
# changes, and far enough from the end of float32 that a loss can be summed.
_FAR = 1e18
# Rows of y that calls of `partial_fit` keep to take mean and scale from: both are then known to
# some 3 %, which is more than a network needs.
_SAMPLE = 1000


@dataclass(eq=False, repr=False)
class RealTargets(Targets):
    """Real numbers, standardised column by column.

    The network's outputs are standardised too. They become predictions in the units of y outside of
    it, in float64: a float32 network could not hold a level that is large beside the deviation.

    Attributes
    ----------
    mean, scale : ndarray of float64, shape (k,)
        Of each column of y. Encoded targets are (y - mean) / scale, predictions are
        outputs * scale + mean. The scale of a column in which no two numbers differ is 0.
    quantiles : tuple of float or None
        The q quantiles of each column of y that are predicted, by outputs column by column; None
        for one output a column. Sorted outputs are the predictions, which therefore never cross and
        whose loss is only less [1]_.
    robust : bool
        Whether they are not mean and standard deviation but median and median absolute deviation.
    step : bool
        Whether there is a target for every step.
    dtype : dtype
        Precision of encoded targets.
    result : dtype
        Precision of predictions.
    sample : ndarray (m, 2 + k) or None
        Rows of y from all calls of `partial_fit`, of which mean and scale are taken, each behind a
        random key and its weight; None after a fit, whose mean and scale stay.
    seen : int
        Number of rows that the sample was drawn from.
    folded : ndarray (2, k) or None
        Mean and scale that the network's output layer applies itself, which a file of an earlier
        version has; `mean` is then 0 and `scale` 1. Training that goes on takes them out of it.

    References
    ----------
    .. [1] Chernozhukov, V., Fernandez-Val, I. and Galichon, A. (2010). Quantile and probability
       curves without crossing. Econometrica 78, proposition 4.

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
    quantiles: tuple[float, ...] | None = None

    @property
    def n_outputs(self) -> int:  # type: ignore[override]
        """The number of columns, times that of quantiles."""
        return len(self.mean) * len(self.quantiles or (0.5,))

    @property
    def output_mean(self) -> np.ndarray:
        """The mean of the column of y that each output is of."""
        return self._per_output(self.mean)

    @property
    def output_scale(self) -> np.ndarray:
        """The scale of the column of y that each output is of."""
        return self._per_output(self.scale)

    def loss(
        self,
        *,
        loss: str = "squared_error",
        delta: float = 1.0,
        quantile: float | tuple[float, ...] = 0.5,
        **others: Any,
    ) -> Loss:
        """Return the loss of the standardised targets that the arguments name."""
        wanted = several_quantiles(loss, quantile)
        if wanted != self.quantiles:
            raise ValueError(
                f"quantile must stay {self.quantiles} while training goes on, got {wanted}. "
                "Fit a new estimator."
            )
        # Imported here to keep `import lightrnn` fast.
        from ..losses import make_loss

        of_outputs = quantile if wanted is None else wanted * len(self.mean)
        return make_loss(loss, delta=delta, quantile=of_outputs)

    def score(self, outputs: np.ndarray, encoded: np.ndarray, weights: np.ndarray) -> float:
        """Return R^2, or of several quantiles the negative mean pinball loss in units of y."""
        if self.quantiles is None:
            return r_squared(encoded, outputs, weights)
        truth = encoded[:, :: len(self.quantiles)] * self.scale + self.mean
        return self.compare(truth, self.decode(outputs), weights)

    def compare(self, truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> float:
        """Return the same for numbers in units of y and their predictions."""
        if self.quantiles is None:
            return r_squared(truth, predicted, weights)
        from ..losses import make_loss

        loss = make_loss("quantile", quantile=self.quantiles * len(self.mean))
        outputs = predicted.reshape(len(predicted), -1).astype(np.float64)
        repeated = self._per_output(truth.reshape(len(truth), -1))
        return -loss(outputs, repeated, weights)[0] / float(weights.sum())

    def require_calibration(self, quantile: Any, weights: Values) -> None:
        """Raise a ValueError if these held-out targets are too few for a quantile or several."""
        rows = int(np.count_nonzero(pool(weights)))
        rarest = float(np.minimum(quantile, 1 - np.array(quantile)).min())
        least = math.ceil(1 / rarest - 1e-9) - 1
        if rows < least:
            raise ValueError(
                f"calibrate must have at least {least} held-out targets for quantiles of "
                f"{rarest:g} or {1 - rarest:g}, got {rows}. Raise validation_fraction, or pass "
                "X_val and y_val."
            )

    def calibration(
        self, quantile: Any, outputs: np.ndarray, encoded: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """Return what to add to each output, so that held-out y is below it as often as it should.

        References
        ----------
        .. [1] Romano, Y., Patterson, E. and Candes, E. (2019). Conformalized quantile regression.
           NeurIPS, theorem 2.
        """
        quantiles = np.tile(quantile, len(self.mean)).tolist()
        columns = zip((encoded - outputs.astype(np.float64)).T, quantiles, strict=True)
        return np.array([weighted_quantile(error, weights, q) for error, q in columns])

    def follow(self, y: Any, lengths: np.ndarray, weights: Values) -> tuple[Targets, Values]:
        """Let mean and scale follow the y of a further `partial_fit`, unless they are a fit's.

        The network's outputs stay what they are, so predictions follow mean and scale too: a first
        call that was not like the others is then forgotten soonest.
        """
        columns = self._read(y, lengths)
        targets = self
        if self.folded is not None:
            mean, scale = self.folded
            targets = replace(self, mean=mean, scale=scale, folded=None)
        w = pool(weights)
        targets = targets._with(columns, w)
        return targets, targets.arranged(targets._weighted(columns, w), lengths)

    def take_over(self, network: Any, old: RealTargets) -> None:
        """Re-express the network's outputs in these units, so that predictions stay what they were.

        An old scale of 0 leaves the network nothing but its bias.
        """
        if not (np.array_equal(old.mean, self.mean) and np.array_equal(old.scale, self.scale)):
            divisor = self._divisor
            factor, shift = old.scale / divisor, (old.mean - self.mean) / divisor
            network.rescale_outputs(self._per_output(factor), self._per_output(shift))

    def _encoded(self, columns: np.ndarray, name: str = "y") -> np.ndarray:
        """Return checked columns (N, k) in units of their scale, in the network's precision."""
        with np.errstate(all="ignore"):
            encoded = (columns - self.mean) / self._divisor
            encoded = (encoded.clip(-_FAR, _FAR) if self.robust else encoded).astype(self.dtype)
        return self._per_output(encoded)

    def _weighted(self, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return checked columns (N, k) encoded, those without weight as the mean.

        They may hold anything, such as a mark of missing values whose square overflows.
        """
        return self._encoded(np.where(weights[:, None] > 0, columns, self.mean))

    def _per_output(self, columns: np.ndarray) -> np.ndarray:
        """Return values (..., k) of each column of y for each output."""
        count = len(self.quantiles or (0.5,))
        return columns if count == 1 else np.repeat(columns, count, axis=-1)

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
        if columns.shape[1] != len(self.mean):
            raise ValueError(
                f"{name} must have {len(self.mean)} outputs as in fit, got {columns.shape[1]}. "
                "Give the same columns."
            )
        return columns

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """Return predictions (N,), (N, k), or of several quantiles (N, q) or (N, k, q)."""
        shape = len(outputs), len(self.mean), -1
        if self.quantiles is not None:
            outputs = np.sort(outputs.reshape(shape), axis=2).reshape(outputs.shape)
        # Always a copy: a stream goes on writing to its outputs.
        with np.errstate(all="ignore"):  # infinity is refused by who predicts
            predictions = (outputs * self.output_scale + self.output_mean).astype(self.result)
        if self.quantiles is None:
            return flat(predictions)
        return predictions if len(self.mean) == 1 else predictions.reshape(shape)


def several_quantiles(loss: str, quantile: float | tuple[float, ...]) -> tuple[float, ...] | None:
    """Return the quantiles that the arguments of a regressor name, None unless it is a tuple."""
    return quantile if loss == "quantile" and isinstance(quantile, tuple) else None


def _columns(values: np.ndarray, dtype: npt.DTypeLike, name: str) -> np.ndarray:
    """Return values as finite numbers, (N, k) float64."""
    numbers = as_numbers(values, name)
    check_finite(numbers, dtype, name)
    # Row by row: in another memory order sums would be rounded otherwise.
    return numbers.astype(np.float64, order="C").reshape(len(numbers), -1)


def _mean_and_scale(
    columns: np.ndarray, weights: np.ndarray, robust: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted mean of each column, and its deviation, 0 where rounding explains it."""
    kept = weights > 0
    columns, weights = columns[kept], weights[kept]
    largest = abs(columns).max(axis=0)
    # Division by a power of two rounds nothing, and keeps the squares from over- and underflow.
    exponent = np.frexp(largest)[1]
    columns = np.ldexp(columns, -exponent)
    if robust:
        mean, scale = median_and_deviation(columns, weights)
    else:
        mean = np.average(columns, axis=0, weights=weights)  # (k,)
        deviation = np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=weights))
        scale = usable_scale(deviation, np.ldexp(largest, -exponent), constant=0.0)
    return np.ldexp(mean, exponent), np.ldexp(scale, exponent)


def read_numbers(
    y: Any,
    lengths: np.ndarray,
    *,
    step: bool = False,
    weights: Values | None = None,
    dtype: npt.DTypeLike = np.float32,
    robust: bool = False,
    quantiles: tuple[float, ...] | None = None,
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
    quantiles : tuple of float, optional
        Several quantiles that are to be predicted of each column.
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
        If y is complex, holds NaN, infinity or numbers too large for `dtype`.
    TypeError
        If it holds anything but numbers.
    """
    values = flat_with_warning(as_values(y, lengths, step), "y")
    columns = _columns(values, dtype, "y")  # (N, k)
    w = np.ones(len(columns)) if weights is None else pool(weights)
    mean, scale = _mean_and_scale(columns, w, robust)
    result = result_dtype(values)
    targets = RealTargets(mean, scale, step, dtype, result, robust, quantiles=quantiles)
    # A constant y shows no scale yet: further calls may, also after a fit.
    if partial or not scale.all():
        targets = replace(targets, sample=np.empty((0, 2 + len(mean))))._with(columns, w)
    return targets, targets.arranged(targets._weighted(columns, w), lengths)
