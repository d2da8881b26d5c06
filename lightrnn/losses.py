"""Losses: the cost of a network's raw outputs, its gradient, and the link to predictions.

A loss is a pure function of N rows, one per sequence or step: ``loss(raw, target, weight)`` returns
``sum(weight * l)`` and its gradient with respect to `raw`. Here l is the loss of a row, the mean
over its outputs if there are several. Formula and derivative stand side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from . import elementwise
from .elementwise import Value, clip, like, log1p, positive

Costs = tuple[float, np.ndarray]  # sum of losses, and the gradient
# (raw, target, constant) -> (loss, derivative)
Rule = Callable[[Value, Value, Value], tuple[Value, Value]]


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
    constant : float or tuple of k floats
        Delta of "huber" or quantile of "quantile", one for each output if there are several; 0 for
        the others.
    """

    name: str
    call: Callable[[np.ndarray, np.ndarray, np.ndarray], Costs]
    link: Callable[[np.ndarray], np.ndarray]
    constant: float | tuple[float, ...] = 0.0

    def __call__(
        self,
        raw: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
    ) -> Costs:
        """Return sum(weight * l) and its gradient with respect to `raw`."""
        return self.call(raw, target, weight)


def _greatest(raw: np.ndarray) -> np.ndarray:
    """Return the greatest of each row, (N, 1)."""
    if len(raw) < 8 * raw.shape[1]:
        return raw.max(axis=1, keepdims=True)
    # Column by column: NumPy spends 60 ns on a row, however short it is.
    return reduce(np.maximum, raw.T)[:, None]


@np.errstate(under="ignore")
def softmax(raw: np.ndarray) -> np.ndarray:
    """Probabilities of k classes in each row: exp(raw) / sum(exp(raw))."""
    # Less the row's largest, no exponential overflows; the quotient stays the same.
    powers = np.exp(raw - _greatest(raw))
    return powers / powers.sum(axis=1, keepdims=True)


@np.errstate(under="ignore")
def log_softmax(raw: np.ndarray) -> np.ndarray:
    """Logarithm of `softmax`; finite where the softmax itself underflows to 0."""
    shifted = raw - _greatest(raw)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


@np.errstate(under="ignore")
def sigmoid(raw: np.ndarray) -> np.ndarray:
    """Probability of each label on its own: 1 / (1 + exp(-raw))."""
    # The exponential of -|raw| never overflows.
    small = np.exp(-np.abs(raw))
    return np.where(raw >= 0, 1, small) / (1 + small)


def cross_entropy(raw: np.ndarray, target: np.ndarray, weight: np.ndarray) -> Costs:
    """-log softmax(raw)[target]; `target` (N,) holds class codes.

    Networks do not use it: their heads compute the same some rows at a time.
    """
    rows = np.arange(len(raw))
    loss = -float(weight @ log_softmax(raw)[rows, target])
    gradient = softmax(raw)  # (N, k)
    gradient[rows, target] -= 1
    return loss, gradient * weight[:, None]


def _elementwise(
    costs: Rule,
    constant: float | tuple[float, ...],
    raw: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
) -> Costs:
    """Mean over the outputs of a loss that treats each output on its own.

    A number to predict that is NaN is missing: it costs nothing.
    """
    share = (weight / raw.shape[1])[:, None]
    # Training itself reports a loss that is not finite, with the epoch and a remedy.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        target = target.reshape(raw.shape)
        target = np.where(np.isnan(target), raw, target)
        loss, slope = costs(raw, target, np.asarray(constant, raw.dtype))
        return float((loss * share).sum()), slope * share


# -- Losses of one output: pure functions on values, as the cells are ------------------------------


def sigmoid_cross_entropy(
    raw: Value,
    target: Value,
    constant: Value,
) -> tuple[Value, Value]:
    """-y log p - (1 - y) log(1 - p) with p = sigmoid(raw)."""
    # log(1 + exp(raw)) = max(raw, 0) + log(1 + exp(-|raw|)), whose exponential cannot overflow.
    size = positive(raw, raw) + positive(-raw, -raw)
    loss = positive(raw, raw) + log1p(elementwise.exp(clip(-size, like(raw, -80), like(raw, 0))))
    return loss - target * raw, elementwise.sigmoid(raw) - target


def squared_error(raw: Value, target: Value, constant: Value) -> tuple[Value, Value]:
    """(raw - y)^2."""
    error = raw - target
    return error * error, error + error


def absolute_error(raw: Value, target: Value, constant: Value) -> tuple[Value, Value]:
    """|raw - y|, the median's loss."""
    error = raw - target
    one = like(raw, 1)
    loss = positive(error, error) + positive(-error, -error)
    return loss, positive(error, one) - positive(-error, one)


def huber(raw: Value, target: Value, delta: Value) -> tuple[Value, Value]:
    """Half the squared error up to `delta`, linear beyond.

    Huber (1964), Robust estimation of a location parameter.
    """
    error = raw - target
    slope = clip(error, -delta, delta)
    return slope * (error - slope * like(raw, 0.5)), slope


def pinball(raw: Value, target: Value, quantile: Value) -> tuple[Value, Value]:
    """``q (y - raw)`` for y above raw, ``(1 - q) (raw - y)`` below, q the quantile.

    Koenker and Bassett (1978), Regression quantiles.
    """
    error = raw - target
    slope = positive(error, like(raw, 1) - quantile) - positive(-error, quantile)
    return slope * error, slope


COSTS: dict[str, Rule] = {
    "sigmoid": sigmoid_cross_entropy,
    "squared_error": squared_error,
    "absolute_error": absolute_error,
    "huber": huber,
    "quantile": pinball,
}


def identity(raw: np.ndarray) -> np.ndarray:
    """Return `raw` itself."""
    return raw


def make_loss(name: str, *, delta: float = 1.0, quantile: float | tuple[float, ...] = 0.5) -> Loss:
    """Return the loss with this name.

    Parameters
    ----------
    name : {"softmax", "sigmoid", "squared_error", "absolute_error", "huber", "quantile"}
        Key of `LOSSES`.
    delta : float, default=1.0
        Error at which "huber" becomes linear, in units of the target's scale.
    quantile : float or tuple of float, default=0.5
        Quantile that "quantile" estimates, in (0, 1), or one for each output.
    """
    if name == "softmax":
        return Loss(name, cross_entropy, softmax)
    constants: dict[str, float | tuple[float, ...]] = {"huber": delta, "quantile": quantile}
    constant = constants.get(name, 0.0)
    link = sigmoid if name == "sigmoid" else identity
    return Loss(name, partial(_elementwise, COSTS[name], constant), link, constant)


LOSSES = ("softmax", *COSTS)
