"""Losses: what a network's raw outputs cost, the gradient, and the link from raw outputs to predictions.

A loss is a pure function of rows: ``loss(raw, target, weight)`` returns ``sum(weight * l)`` and its gradient with
respect to `raw`, l being the loss of a row; a row with several outputs costs their mean. Formula and derivative stand
side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

Costs = tuple[np.ndarray, np.ndarray]  # loss and derivative, element by element


class Loss(NamedTuple):
    """A loss and its link.

    Attributes
    ----------
    name : str
        Key of `LOSSES`.
    call : callable
        (raw (N, k), target, weight (N,)) -> (sum of w * l, gradient (N, k)).
    link : callable
        raw -> probabilities or values.
    """

    name: str
    call: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, np.ndarray]]
    link: Callable[[np.ndarray], np.ndarray]

    def __call__(self, raw: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
        """Return sum(weight * l) and its gradient with respect to `raw`."""
        return self.call(raw, target, weight)


def softmax(raw: np.ndarray) -> np.ndarray:
    """Probabilities of k classes, row by row: exp(raw) / sum(exp(raw))."""
    powers = np.exp(raw - raw.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_softmax(raw: np.ndarray) -> np.ndarray:
    """Logarithm of `softmax`, without its underflow."""
    shifted = raw - raw.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def sigmoid(raw: np.ndarray) -> np.ndarray:
    """Probability of each label by itself: 1 / (1 + exp(-raw))."""
    small = np.exp(-np.abs(raw))
    return np.where(raw >= 0, 1, small) / (1 + small)


def cross_entropy(raw: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, np.ndarray]:
    """-log softmax(raw)[target]; `target` (N,) holds class codes. Heads compute it themselves, some rows at a time."""
    gradient, rows = softmax(raw), np.arange(len(raw))
    gradient[rows, target] -= 1
    return -float(weight @ log_softmax(raw)[rows, target]), gradient * weight[:, None]


def _elementwise(
    costs: Callable[[np.ndarray, np.ndarray], Costs], raw: np.ndarray, target: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    """Mean over outputs of a loss that treats each by itself."""
    share = (weight / raw.shape[1])[:, None]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # training says what is not finite, and where
        loss, slope = costs(raw, target.reshape(raw.shape))
        return float((loss * share).sum()), slope * share


def sigmoid_cross_entropy(raw: np.ndarray, target: np.ndarray) -> Costs:
    """-y log p - (1 - y) log(1 - p) with p = sigmoid(raw)."""
    return np.maximum(raw, 0) + np.log1p(np.exp(-np.abs(raw))) - target * raw, sigmoid(raw) - target


def squared_error(raw: np.ndarray, target: np.ndarray) -> Costs:
    """(raw - y)^2."""
    error = raw - target
    return error * error, 2 * error


def absolute_error(raw: np.ndarray, target: np.ndarray) -> Costs:
    """|raw - y|, the median's loss."""
    error = raw - target
    return np.abs(error), np.sign(error)


def huber(raw: np.ndarray, target: np.ndarray, delta: float) -> Costs:
    """Squared up to `delta` of error, linear beyond: Huber (1964), Robust estimation of a location parameter."""
    error = raw - target
    slope = np.clip(error, -delta, delta)
    return slope * (error - slope / 2), slope


def pinball(raw: np.ndarray, target: np.ndarray, quantile: float) -> Costs:
    """Q (y - raw) above, (1 - q) (raw - y) below: Koenker and Bassett (1978), Regression quantiles."""
    error = raw - target
    slope = np.where(error > 0, 1 - quantile, np.where(error < 0, -quantile, 0)).astype(raw.dtype, copy=False)
    return slope * error, slope


def identity(raw: np.ndarray) -> np.ndarray:
    """Return `raw` itself."""
    return raw


def _by_element(
    name: str, costs: Callable[..., Costs], link: Callable[[np.ndarray], np.ndarray], **fixed: float
) -> Loss:
    return Loss(name, partial(_elementwise, partial(costs, **fixed)), link)


def make_loss(name: str, *, delta: float = 1.0, quantile: float = 0.5) -> Loss:
    """Make the loss of this name.

    Parameters
    ----------
    name : {"softmax", "sigmoid", "squared_error", "absolute_error", "huber", "quantile"}
        Which.
    delta : float
        Error at which "huber" becomes linear, in units of the target's scale.
    quantile : float in (0, 1)
        What "quantile" estimates.
    """
    if name == "softmax":
        return Loss(name, cross_entropy, softmax)
    if name == "sigmoid":
        return _by_element(name, sigmoid_cross_entropy, sigmoid)
    if name == "huber":
        return _by_element(name, huber, identity, delta=delta)
    if name == "quantile":
        return _by_element(name, pinball, identity, quantile=quantile)
    return _by_element(name, {"squared_error": squared_error, "absolute_error": absolute_error}[name], identity)


LOSSES = ("softmax", "sigmoid", "squared_error", "absolute_error", "huber", "quantile")
