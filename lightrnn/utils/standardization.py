"""The standardisation of features: mean 0 and deviation 1."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from .scales import usable_scale


@dataclass(frozen=True, eq=False)
class Standardization:
    """Features of mean 0 and deviation 1: ``(x - mean) / scale``, computed in float64.

    Attributes
    ----------
    mean, variance : ndarray of float64, shape (F,)
        Mean of each feature and mean squared deviation from it.
    weight : float, or ndarray (F,)
        Total weight of the steps that they are computed from, or for each feature.

    Examples
    --------
    >>> standardization = Standardization(np.array([1e8]), np.array([4.0]), 10.0)
    >>> standardization.applied(np.array([[1e8 + 2]]), np.dtype("float32"))
    array([[1.]], dtype=float32)
    """

    mean: np.ndarray
    variance: np.ndarray
    weight: Any

    @classmethod
    def of(cls, mean: Any, variance: Any, weight: Any) -> Self:
        """Return a standardisation with copies of arrays or lists, in this machine's byte order."""
        weight = np.array(weight, np.float64) if np.ndim(weight) else weight
        return cls(np.array(mean, np.float64), np.array(variance, np.float64), weight)

    @cached_property
    def scale(self) -> np.ndarray:
        """The divisor of each feature, 1 for a constant one."""
        # Of a constant feature the mean is as large as its largest value, up to rounding.
        return usable_scale(np.sqrt(self.variance), abs(self.mean))

    def merged(self, other: Standardization) -> Standardization:
        """Return the standardisation by the steps of both [1]_.

        It stays accurate when the mean is large compared with the deviation.

        References
        ----------
        .. [1] T. F. Chan, G. H. Golub and R. J. LeVeque (1983). "Algorithms for Computing the
           Sample Variance: Analysis and Recommendations". The American Statistician 37(3),
           242-247. Equation 2.1.
        """
        weight = self.weight + other.weight
        share = other.weight / np.where(weight > 0, weight, 1)
        difference = other.mean - self.mean
        return Standardization(
            mean=self.mean + difference * share,
            variance=(1 - share) * (self.variance + difference**2 * share) + share * other.variance,
            weight=weight,
        )

    def tiled(self, count: int) -> Standardization:
        """Return the standardisation of this many steps, one after another."""
        if count == 1:
            return self
        mean = np.tile(self.mean, count)
        return Standardization(mean, np.tile(self.variance, count), self.weight)

    def applied(self, steps: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return the standardised steps (..., F) in a dtype."""
        # A number far outside of what was learned from may become infinite in float32.
        with np.errstate(all="ignore"):
            # The subtraction comes first and in float64: in float32 a large mean would leave
            # nothing.
            return ((steps - self.mean) / self.scale).astype(dtype)
